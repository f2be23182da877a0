//! The lists: which are in use, and how they stand in the store.
//!
//! Of each slot, one list is in use at a time; after so many appends the next takes its place. The rows of one slot
//! stand side by side, so a scan over a few of them meets the row that somebody is about to insert.

use aether::{Db, Durability, Error, Result, Txn};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The prefix of every list's key.
const PREFIX: &str = "list/";
/// How many runs this home has seen.
const RUNS: &[u8] = b"history/runs";
/// Ids and values of a run begin at its number times this: no run reaches the next one's, and JSON holds them.
const RUN_SPAN: u64 = 1 << 36;

/// The lists of a run.
pub(super) struct Lists {
    /// Appends to each slot so far, meant or done.
    appends: Vec<AtomicU64>,
    per_list: u64,
    run: u64,
    value: AtomicU64,
}

impl Lists {
    /// Goes on with the lists that the home holds, as the next run on it.
    pub(super) fn open(db: &Db, slots: u64, per_list: u64) -> Result<Self> {
        let run = next_run(db)?;
        let appends = (0..slots).map(|slot| appended(db, slot, per_list).map(AtomicU64::new));
        let appends = appends.collect::<Result<_>>()?;
        Ok(Self { appends, per_list, run, value: AtomicU64::new(run * RUN_SPAN) })
    }

    /// Slots.
    pub(super) fn slots(&self) -> u64 {
        self.appends.len() as u64
    }

    /// The number of this run, from 0.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// The number before the run's first.
    pub(super) fn first(&self) -> u64 {
        self.run * RUN_SPAN
    }

    /// The list of a slot to append to, and a value that is appended but once.
    pub(super) fn next_append(&self, slot: u64) -> (String, u64) {
        let count = self.appends[slot as usize].fetch_add(1, Relaxed);
        (key(slot, count / self.per_list), 1 + self.value.fetch_add(1, Relaxed))
    }

    /// The list of a slot that is in use.
    pub(super) fn current(&self, slot: u64) -> String {
        key(slot, self.generation(slot))
    }

    /// The lists of a slot from the one before that in use to the one after it, which are neighbours.
    pub(super) fn around(&self, slot: u64) -> Vec<String> {
        let now = self.generation(slot);
        (now.saturating_sub(1)..=now + 1).map(|generation| key(slot, generation)).collect()
    }

    fn generation(&self, slot: u64) -> u64 {
        self.appends[slot as usize].load(Relaxed) / self.per_list
    }
}

/// Keys of one slot sort by generation.
fn key(slot: u64, generation: u64) -> String {
    format!("{PREFIX}{slot:04}-{generation:08}")
}

/// The row that appends to a list change first.
pub(super) fn guard_key(key: &str) -> String {
    format!("guard/{key}")
}

/// The generation in a list's key.
fn generation_of(key: &[u8]) -> Option<u64> {
    str::from_utf8(key).ok()?.rsplit('-').next()?.parse().ok()
}

/// Counts this run, durably: no later one may take its numbers.
fn next_run(db: &Db) -> Result<u64> {
    let mut txn = db.begin()?;
    let run = match txn.get(db.keyspace(), RUNS)? {
        None => 0,
        Some(text) => number(&text).ok_or_else(|| foreign(RUNS))?,
    };
    txn.put(db.keyspace(), RUNS, (run + 1).to_string().as_bytes())?;
    txn.commit_with(Durability::Sync)?.wait()?;
    Ok(run)
}

/// The appends to a slot that the store tells of.
fn appended(db: &Db, slot: u64, per_list: u64) -> Result<u64> {
    let newest = db.prefix(format!("{PREFIX}{slot:04}-").as_bytes())?.next_back().transpose()?;
    let Some((key, text)) = newest else { return Ok(0) };
    let generation = generation_of(&key).ok_or_else(|| foreign(&key))?;
    let length = parse(&key, &text)?.len() as u64;
    Ok(generation * per_list + length.min(per_list - 1))
}

/// The list of a key, empty if there is no row.
pub(super) fn read(txn: &Txn, db: &Db, key: &str) -> Result<Vec<u64>> {
    match txn.get(db.keyspace(), key.as_bytes())? {
        None => Ok(Vec::new()),
        Some(text) => parse(key.as_bytes(), &text),
    }
}

/// The lists of neighbouring keys, by one scan from the first to the last.
pub(super) fn scan(txn: &Txn, db: &Db, keys: &[String]) -> Result<Vec<Vec<u64>>> {
    let mut found = vec![Vec::new(); keys.len()];
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(found) };
    let range = first.clone().into_bytes()..=last.clone().into_bytes();
    for row in txn.range(db.keyspace(), range)? {
        let (key, text) = row?;
        if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
            found[at] = parse(&key, &text)?;
        }
    }
    Ok(found)
}

/// The text of a list.
pub(super) fn text(list: &[u64]) -> String {
    list.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

fn parse(key: &[u8], text: &[u8]) -> Result<Vec<u64>> {
    let numbers = text.split(|byte| *byte == b' ').map(number);
    numbers.collect::<Option<_>>().ok_or_else(|| foreign(key))
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn foreign(key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(key);
    Error::invalid(format!("the row {key} is none of `torture history`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_text_that_it_was() {
        let list = [7, 1, 1 << 40];
        assert_eq!(parse(b"k", text(&list).as_bytes()).unwrap(), list);
        assert!(parse(b"k", b"").is_err() && parse(b"k", b"1 x").is_err());
    }

    #[test]
    fn keys_of_a_slot_sort_by_generation() {
        assert!(key(3, 9) < key(3, 10) && key(3, 99) < key(4, 0));
        assert_eq!(generation_of(key(3, 12).as_bytes()), Some(12));
    }
}
