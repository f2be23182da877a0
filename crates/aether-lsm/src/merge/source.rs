//! Where a merge takes versions from.

use crate::run::{Entry, Kind, RunCursor};
use aether_types::{Result, Timestamp};

/// Versions of a layer in order: by key, those of a key newest first.
pub trait Source: Send {
    /// The version it stands at; none behind the last one.
    fn entry(&self) -> Option<Entry<'_>>;

    /// Goes to the next one. May block for reads.
    ///
    /// # Errors
    /// What reading meets.
    fn advance(&mut self) -> Result<()>;

    /// About how many bytes of its file are behind it; 0 if it has none.
    fn passed_bytes(&self) -> u64 {
        0
    }
}

impl Source for RunCursor {
    fn entry(&self) -> Option<Entry<'_>> {
        RunCursor::entry(self)
    }

    fn advance(&mut self) -> Result<()> {
        self.forward()
    }

    fn passed_bytes(&self) -> u64 {
        RunCursor::passed_bytes(self)
    }
}

/// A version with bytes of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedEntry {
    /// The key.
    pub key: Vec<u8>,
    /// When it was committed; 0: every snapshot sees it.
    pub timestamp: Timestamp,
    /// What it says.
    pub kind: Kind,
    /// The value, or what says where it is.
    pub value: Vec<u8>,
}

impl OwnedEntry {
    /// The same, borrowed.
    pub fn as_entry(&self) -> Entry<'_> {
        Entry { key: &self.key, timestamp: self.timestamp, kind: self.kind, value: &self.value }
    }
}

/// A source made of any iterator over versions in order.
pub struct Sorted<I: Iterator<Item = OwnedEntry>> {
    rest: I,
    current: Option<OwnedEntry>,
}

impl<I: Iterator<Item = OwnedEntry>> Sorted<I> {
    /// Stands at the first version.
    pub fn new(versions: impl IntoIterator<IntoIter = I>) -> Self {
        let mut rest = versions.into_iter();
        let current = rest.next();
        Self { rest, current }
    }
}

impl<I: Iterator<Item = OwnedEntry> + Send> Source for Sorted<I> {
    fn entry(&self) -> Option<Entry<'_>> {
        self.current.as_ref().map(OwnedEntry::as_entry)
    }

    fn advance(&mut self) -> Result<()> {
        self.current = self.rest.next();
        Ok(())
    }
}
