//! Which lists are in use, and how they stand in the store.
//!
//! Of each slot, one list is in use at a time; after so many appends the next takes its place. The rows of one slot
//! stand side by side, so a scan over a few of them meets the row that somebody is about to insert.

use super::event::Key;
use aether_kv::{Error, Keyspace, Result, Txn};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Appends after which another list takes the place of one.
const PER_LIST: u64 = 16;

/// The lists of a history.
#[derive(Debug)]
pub(super) struct Lists {
    /// Appends to each slot so far, meant or done.
    appends: Vec<AtomicU64>,
    value: AtomicU64,
}

impl Lists {
    /// So many slots.
    pub(super) fn new(slots: usize) -> Self {
        Self { appends: (0..slots).map(|_| AtomicU64::new(0)).collect(), value: AtomicU64::new(0) }
    }

    /// Slots.
    pub(super) fn slots(&self) -> usize {
        self.appends.len()
    }

    /// The list of a slot to append to, and a value that is appended but once.
    pub(super) fn next_append(&self, slot: usize) -> (Key, u64) {
        let count = self.appends[slot].fetch_add(1, Relaxed);
        (key(slot, count / PER_LIST), 1 + self.value.fetch_add(1, Relaxed))
    }

    /// The list of a slot that is in use.
    pub(super) fn current(&self, slot: usize) -> Key {
        key(slot, self.generation(slot))
    }

    /// The lists of a slot from the one before that in use to the one after it, which are neighbours.
    pub(super) fn around(&self, slot: usize) -> Vec<Key> {
        let now = self.generation(slot);
        (now.saturating_sub(1)..=now + 1).map(|generation| key(slot, generation)).collect()
    }

    /// Every list of a slot that was ever used.
    pub(super) fn all(&self, slot: usize) -> Vec<Key> {
        (0..=self.generation(slot)).map(|generation| key(slot, generation)).collect()
    }

    fn generation(&self, slot: usize) -> u64 {
        self.appends[slot].load(Relaxed) / PER_LIST
    }
}

/// Keys of one slot sort by generation.
fn key(slot: usize, generation: u64) -> Key {
    format!("{slot:03}-{generation:06}").into()
}

/// The row that appends to a list change first, where no other conflict keeps them apart.
pub(super) fn guard_key(key: &Key) -> String {
    format!("guard-{key}")
}

/// The list of a key, empty if there is no row.
pub(super) fn read(txn: &Txn, space: &Keyspace, key: &Key) -> Result<Vec<u64>> {
    txn.get(space, key.as_bytes())?.map_or(Ok(Vec::new()), |bytes| decode(&bytes))
}

/// The lists of neighbouring keys, by one scan from the first to the last.
pub(super) fn scan(txn: &Txn, space: &Keyspace, keys: &[Key]) -> Result<Vec<Vec<u64>>> {
    let mut found = vec![Vec::new(); keys.len()];
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(found) };
    for row in txn.range(space, first.as_bytes().to_vec()..=last.as_bytes().to_vec())? {
        let (key, value) = row?;
        if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
            found[at] = decode(&value)?;
        }
    }
    Ok(found)
}

/// Puts a list.
pub(super) fn write(txn: &mut Txn, space: &Keyspace, key: &Key, list: &[u64]) -> Result<()> {
    let bytes: Vec<u8> = list.iter().flat_map(|value| value.to_le_bytes()).collect();
    txn.put(space, key.as_bytes(), &bytes)
}

fn decode(bytes: &[u8]) -> Result<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<8>();
    match rest {
        [] => Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect()),
        _ => Err(Error::corruption("a list is cut")),
    }
}
