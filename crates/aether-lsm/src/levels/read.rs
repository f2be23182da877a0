//! Reading through levels.

use super::{Cursor, Entry, Level};
use aether_types::{Result, Timestamp};
use std::collections::BTreeSet;

/// Levels, the newest first.
#[derive(Clone)]
pub struct Levels<'a>(Vec<&'a dyn Level>);

impl<'a> Levels<'a> {
    /// Reads through `levels`, of which the newest comes first.
    pub fn new(levels: Vec<&'a dyn Level>) -> Self {
        Self(levels)
    }

    /// The value of `key` that a snapshot sees.
    ///
    /// # Errors
    /// Those of reading the levels.
    pub fn get(&self, key: &[u8], snapshot: Timestamp) -> Result<Option<Vec<u8>>> {
        for level in self.0.iter().filter(|level| level.may_contain(key)) {
            let mut cursor = level.cursor(key)?;
            while let Some(entry) = cursor.entry().filter(|entry| entry.key == key) {
                if entry.is_visible(snapshot) {
                    return Ok(entry.value.clone());
                }
                cursor.advance()?;
            }
        }
        Ok(None)
    }

    /// What a snapshot sees from the first key at or above `from`.
    ///
    /// # Errors
    /// Those of reading the levels.
    pub fn scan(&self, from: &[u8], snapshot: Timestamp) -> Result<Scan<'a>> {
        Ok(Scan { versions: Versions::new(&self.0, from)?, snapshot, decided: None })
    }
}

/// All versions of all levels: keys in order, of each key those of newer levels first.
pub(super) struct Versions<'a> {
    cursors: Vec<Box<dyn Cursor + 'a>>,
    /// The cursors that are not at their end, by key and level.
    order: BTreeSet<(Vec<u8>, usize)>,
}

impl<'a> Versions<'a> {
    pub(super) fn new(levels: &[&'a dyn Level], from: &[u8]) -> Result<Self> {
        let cursors = levels.iter().map(|level| level.cursor(from)).collect::<Result<Vec<_>>>()?;
        let mut versions = Self { cursors, order: BTreeSet::new() };
        (0..versions.cursors.len()).for_each(|level| versions.file(level));
        Ok(versions)
    }

    /// The next version, and the level that it is from.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        let Some((_, level)) = self.order.pop_first() else { return Ok(None) };
        let entry = self.cursors[level].entry().cloned();
        self.cursors[level].advance()?;
        self.file(level);
        Ok(entry)
    }

    fn file(&mut self, level: usize) {
        self.order.extend(self.cursors[level].entry().map(|entry| (entry.key.clone(), level)));
    }
}

/// Goes through what a snapshot sees.
pub struct Scan<'a> {
    versions: Versions<'a>,
    snapshot: Timestamp,
    /// The last key of which the version to see was found.
    decided: Option<Vec<u8>>,
}

impl Iterator for Scan<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.versions.next() {
                Ok(entry) => entry?,
                Err(error) => return Some(Err(error)),
            };
            if !entry.is_visible(self.snapshot) || self.decided.as_ref() == Some(&entry.key) {
                continue;
            }
            self.decided = Some(entry.key.clone());
            if let Some(value) = entry.value {
                return Some(Ok((entry.key, value)));
            }
        }
    }
}
