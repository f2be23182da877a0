//! A concurrent ordered map in memory: a skiplist in an arena of words.
//!
//! Maps keys of up to [`KEY_BYTES_MAX`] bytes, in the order of their bytes, to a payload of 64 bits, which the owner may
//! replace by compare-and-set: the newest version's place, say. Values lie in the same arena ([`Guard::add_value`]).
//! Inserting is lock-free: an attempt is only lost to another that has come through. Reading never waits for
//! anybody and writes nothing to shared memory.
//!
//! Everything is words of 64 bits, read and written whole, and named by 32-bit offsets: no pointer, so no `unsafe`. A link
//! tells the next node, how much of its key that has in common with this node's, and the 20 bits after that; so a
//! search reads one word of each node it passes and compares numbers (`search.rs`).
//!
//! Reading order: link, key, node, arena, search, insert, value, cursor, scan, check; grace, reuse, remove.
//!
//! Removal is for maps that are made with it: an entry is closed, its node taken out, and its words used again when nobody is
//! left who can have met them (`remove.rs`, `grace.rs`, `reuse.rs`). A memtable does without, and pays nothing for it.
//!
//! Papers: Pugh, "Skip Lists" (CACM 33(6), 1990); Conner (1977) for the codes in links; Harris (DISC 2001) for marks; Fraser,
//! "Practical Lock-Freedom" (2004), for levels and epochs. LevelDB's `skiplist.h` for proportion.

mod arena;
mod check;
mod cursor;
mod entry;
mod grace;
mod insert;
mod key;
mod link;
mod node;
mod remove;
mod reuse;
mod scan;
mod search;
mod value;

pub use cursor::MapCursor;
pub use entry::{CLOSED, Entry};
pub use insert::Inserted;
pub use scan::Scan;
pub use value::{Offset, Value};

use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_types::Result;
use arena::Arena;
use grace::Ticket;
use reuse::Reuse;

/// Bytes of a key at the most.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// Levels at the most: enough for as many nodes as an arena holds. Under loom as few as make a list of lists.
const HEIGHT_MAX: usize = if cfg!(loom) { 2 } else { 24 };

/// What a map is made with.
#[derive(Clone, Copy, Debug)]
pub struct SkiplistConfig {
    /// Bytes that nodes and values may take at the most; 32 GiB count as more.
    pub memory_bytes_max: u64,
    /// Decides how high each key's node is. Who knows it can choose keys that make searches slow: draw it by chance
    /// where keys come from strangers.
    pub seed: u64,
    /// Whether keys may be removed and values freed. Costs each [`Skiplist::pin`] two steps on a word that threads may share, and
    /// each insertion one.
    pub is_removable: bool,
}

/// A concurrent ordered map in memory; see the module's head.
pub struct Skiplist {
    arena: Arena,
    seed: u64,
    len: AtomicU64,
    height: AtomicU64,
    /// None if nothing is ever removed.
    reuse: Option<Box<Reuse>>,
}

/// Access to a map. What it hands out stays valid as long as it lives; what is removed meanwhile is used again only after.
pub struct Guard<'a> {
    map: &'a Skiplist,
    ticket: Option<Ticket>,
}

impl Skiplist {
    /// An empty map.
    ///
    /// # Errors
    /// `OverLimit` if the memory allowed does not even hold an empty map (about 200 bytes).
    pub fn new(config: SkiplistConfig) -> Result<Self> {
        let arena = Arena::new(config.memory_bytes_max);
        let reuse = config.is_removable.then(|| Box::new(Reuse::new()));
        let map = Self { arena, seed: config.seed, len: AtomicU64::new(0), height: AtomicU64::new(1), reuse };
        map.make_head()?;
        Ok(map)
    }

    /// Access for a while. As long as it lasts, nothing that is removed is used again.
    #[inline]
    pub fn pin(&self) -> Guard<'_> {
        Guard { map: self, ticket: self.reuse.as_deref().map(|reuse| reuse.grace.enter()) }
    }

    /// Whether keys may be removed: what the map was made with.
    pub fn is_removable(&self) -> bool {
        self.reuse.is_some()
    }

    /// Keys in the map. Who goes through it afterwards finds no fewer, unless some are removed.
    pub fn len(&self) -> u64 {
        // Who removes a key may be ahead of who counts it.
        self.len.load(Acquire).cast_signed().max(0).cast_unsigned()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that nodes and values take: what is bounded by [`SkiplistConfig::memory_bytes_max`].
    pub fn used_bytes(&self) -> u64 {
        self.arena.used_bytes().saturating_sub(self.reuse.as_deref().map_or(0, Reuse::free_bytes))
    }

    /// Bytes ever claimed for nodes and values; what is used again is counted once.
    pub fn claimed_bytes(&self) -> u64 {
        self.arena.used_bytes()
    }

    /// Bytes taken from the system for them: chunks of 128 KiB, and the table of chunks.
    pub fn held_bytes(&self) -> u64 {
        self.arena.held_bytes()
    }

    fn claim(&self, words: usize) -> Result<u32> {
        match self.reuse.as_deref() {
            Some(reuse) => reuse.claim(&self.arena, words),
            None => self.arena.claim(words),
        }
    }

    /// Gives words back that nobody else has seen.
    fn unclaim(&self, at: u32, words: usize) {
        match self.reuse.as_deref() {
            Some(reuse) => reuse.release(&self.arena, at, words),
            None => self.arena.unclaim(at, words),
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(reuse), Some(ticket)) = (self.map.reuse.as_deref(), &self.ticket) {
            reuse.grace.leave(ticket);
        }
    }
}

impl<'a> Guard<'a> {
    /// The entry of `key`, if there is one. Never waits.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        self.map.find(key).map(|node| Entry { map: self.map, node })
    }

    /// A position in the map, before its first key.
    pub fn cursor(&self) -> MapCursor<'_> {
        MapCursor::new(self.map)
    }

    /// The map.
    pub fn map(&self) -> &'a Skiplist {
        self.map
    }
}

impl core::fmt::Debug for Skiplist {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (keys, bytes) = (self.len(), self.used_bytes());
        write!(f, "Skiplist({keys} keys, {bytes} bytes)")
    }
}
