//! The engines of this build.

mod aether;
#[cfg(feature = "canopydb")]
mod canopydb;
mod fjall;
mod lmdb;
#[cfg(feature = "mdbx")]
mod mdbx;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "sled")]
mod sled;
mod sqlite;

use crate::engine::{Failure, Level, Peer, Result};

/// All of them, Aether first: its B+tree, its LSM tree.
pub const PEERS: &[Peer] = &[
    aether::PEER,
    aether::LSM,
    lmdb::PEER,
    redb::PEER,
    fjall::PEER,
    sqlite::PEER,
    #[cfg(feature = "sled")]
    sled::PEER,
    #[cfg(feature = "mdbx")]
    mdbx::PEER,
    #[cfg(feature = "canopydb")]
    canopydb::PEER,
    #[cfg(feature = "rocksdb")]
    rocksdb::PEER,
    #[cfg(feature = "rocksdb")]
    rocksdb::UNIVERSAL,
];

/// The level called `name`, of whatever engine.
///
/// # Errors
/// None is, in this build.
pub fn find_level(name: &str) -> Result<&'static Level> {
    let found = PEERS.iter().flat_map(|peer| peer.levels).find(|level| level.name == name);
    found.ok_or_else(|| Failure::from(format!("no level `{name}` in this build; see `list`")))
}

/// The engine called `name`.
///
/// # Errors
/// None is, in this build.
pub fn find(name: &str) -> Result<&'static Peer> {
    let found = PEERS.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| Failure::from(format!("no engine `{name}` in this build (features add some)")))
}
