//! What is done with bytes from outside, one function a fuzz target.
//!
//! `fuzz/` beside this crate's sources lets libFuzzer call these functions with inputs that it makes up, and keeps
//! a corpus for each; the tests of this crate play every corpus on a stable toolchain. A target panics over whatever
//! must not be: something that decodes and breaks its invariants, a second reading that differs, more memory than
//! [`MEMORY_BYTES`] beside the input. That it does not come back at all is for libFuzzer's clock.
//!
//! Checksums would stop nearly every mutation at the door. So inputs say whether they are sealed once more
//! behind the mutation: what is right about its checksum only must be refused or borne too (R4).
//!
//! The readers of text stand in `aether-cli`, with a target of their own.

mod catalog;
mod checkpoint;
mod disk;
pub mod input;
mod page;
mod record;
mod run;
pub mod seeds;
mod segment;
mod store;

pub use catalog::catalog;
pub use checkpoint::checkpoint;
pub use page::page;
pub use record::record;
pub use run::run;
pub use segment::segment;
pub use store::store;

use crate::allocation;
use aether_kv::{Error, ErrorKind};

/// What a target may allocate beside the size of its input.
pub const MEMORY_BYTES: u64 = 64 << 20;

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// Every target whose body is here, by name.
pub const TARGETS: [(&str, Body); 7] = [
    ("catalog", catalog),
    ("checkpoint", checkpoint),
    ("page", page),
    ("record", record),
    ("run", run),
    ("segment", segment),
    ("store", store),
];

/// Runs `body` on an input.
///
/// # Panics
/// If `body` does, or allocates more than [`MEMORY_BYTES`] beside the input. Without
/// [`Counted`](allocation::Counted) as the allocator nothing is known of that.
pub fn bounded(body: Body, data: &[u8]) {
    allocation::begin();
    body(data);
    let used = allocation::peak();
    assert!(used <= data.len() as u64 + MEMORY_BYTES, "{used} bytes for an input of {}", data.len());
}

/// What decodes encodes again, and that is the form that stays.
fn stays(what: &str, again: impl Fn(&[u8]) -> Result<Vec<u8>, Error>, bytes: &[u8]) {
    let once = match again(bytes) {
        Ok(once) => once,
        Err(error) => return expect_damage(what, &error),
    };
    match again(&once) {
        Ok(twice) => assert!(once == twice, "{what}: {once:02x?} is read as {twice:02x?}"),
        Err(error) => panic!("{what}: what was written is not read: {error}"),
    }
}

/// Bytes that are refused are damaged, or of a version that this build does not know.
#[track_caller]
fn expect_damage(what: &str, error: &Error) {
    let told = matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported);
    assert!(told, "{what}: {:?}, not an error for damage: {error}", error.kind());
}
