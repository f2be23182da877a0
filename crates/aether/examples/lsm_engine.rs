//! The small engine: keys and values in one LSM tree, here in the working directory.
//!
//! `cd "$(mktemp -d)" && cargo run --manifest-path <the sources>/Cargo.toml -p aether --example lsm_engine`

#![allow(clippy::print_stdout, clippy::unwrap_used, unused_must_use, reason = "as short as it can be")]

use aether::lsm::{Engine, Error};

#[rustfmt::skip]
fn main() {
    let e = Engine::new("./", 64 * 1024 * 1024, 10).unwrap(); // memtable bytes before flush, runs before a merge
    e.put("1", "1");
    assert_eq!("1", e.get("1").unwrap());
    e.del("1");
    assert!(e.get("1").is_err_and(|e| e == Error::KeyNotFound));

    println!("put, found, deleted, and not found any more");
}
