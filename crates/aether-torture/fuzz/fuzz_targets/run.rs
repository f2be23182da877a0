#![no_main]

use aether_torture::{allocation::Counted, fuzz::bounded};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static COUNTED: Counted = Counted;

fuzz_target!(|data: &[u8]| bounded(aether_torture::fuzz::run, data));
