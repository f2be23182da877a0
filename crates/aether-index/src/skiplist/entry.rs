//! A key's entry: its key and its payload.

use super::Skiplist;
use aether_sync::atomic::Ordering::*;

/// The payload of an entry that is removed from its map.
pub const CLOSED: u64 = u64::MAX;

/// The entry of a key.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub(super) map: &'a Skiplist,
    pub(super) node: u32,
}

impl Entry<'_> {
    /// The key.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        self.copy_key(&mut key);
        key
    }

    /// Replaces what is in `into` by the key.
    pub fn copy_key(&self, into: &mut Vec<u8>) {
        self.map.copy_key(self.node, into);
    }

    /// The payload. What its writer wrote before (a value, say) is seen.
    #[inline]
    pub fn payload(&self) -> u64 {
        // Acquire: pairs with the release in `replace`.
        self.map.payload_word(self.node).load(Acquire)
    }

    /// Replaces the payload by `new` if it is `old`; the one that stands there otherwise. What the caller wrote before is
    /// seen by who reads `new`.
    ///
    /// # Errors
    /// The payload found, if it is another; [`CLOSED`] if the entry is removed: insert the key again.
    ///
    /// # Panics
    /// If one of both is [`CLOSED`].
    pub fn replace(&self, old: u64, new: u64) -> Result<(), u64> {
        assert!(old != CLOSED && new != CLOSED, "entries are removed by the map");
        // Release: publishes what `new` stands for. Acquire: what was found is likely to be followed.
        self.map.payload_word(self.node).compare_exchange(old, new, AcqRel, Acquire).map(|_| ())
    }
}

impl core::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} -> {:#x}", String::from_utf8_lossy(&self.key()), self.payload())
    }
}
