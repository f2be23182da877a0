//! Merging levels, step by step.

use super::read::Versions;
use super::{Entry, Level};
use aether_types::{Result, Timestamp};

/// Takes what a merge leaves, in order.
pub trait Sink {
    /// Takes the next version.
    ///
    /// # Errors
    /// Those of writing it.
    fn add(&mut self, entry: Entry) -> Result<()>;
}

/// Which versions of a key a merge leaves.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The snapshots in use, and one that is newer than all.
    observers: Vec<Timestamp>,
    is_bottom: bool,
}

impl Retention {
    /// Keeps what each of `snapshots` and the newest state show; at the bottom, removals that hide nothing go.
    pub fn new(snapshots: &[Timestamp], is_bottom: bool) -> Self {
        let mut observers = snapshots.to_vec();
        observers.push(Timestamp::new(u64::MAX));
        Self { observers, is_bottom }
    }

    /// What is left of the versions of a key, which come newest first.
    pub fn keep(&self, versions: Vec<Entry>) -> Vec<Entry> {
        let mut waiting = self.observers.clone();
        let mut kept: Vec<_> = versions
            .into_iter()
            .filter(|entry| {
                let before = waiting.len();
                waiting.retain(|snapshot| !entry.is_visible(*snapshot));
                waiting.len() < before
            })
            .collect();
        // A removal goes only if nothing older is left that it hides.
        while self.is_bottom && kept.last().is_some_and(|entry| entry.value.is_none()) {
            kept.pop();
        }
        kept
    }
}

/// How far a merge is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes read in this step.
    pub bytes: u64,
    /// True if all is merged.
    pub is_done: bool,
}

/// A merge that goes on where it stopped.
pub struct Merge<'a> {
    versions: Versions<'a>,
    retention: Retention,
    /// Versions of one key, whose last may not have come yet.
    pending: Vec<Entry>,
}

impl<'a> Merge<'a> {
    /// Merges `levels`, of which the newest comes first.
    ///
    /// # Errors
    /// Those of reading them.
    pub fn new(levels: &[&'a dyn Level], retention: Retention) -> Result<Self> {
        Ok(Self { versions: Versions::new(levels, &[])?, retention, pending: Vec::new() })
    }

    /// Reads `bytes` bytes, or a little more, or what is left, and hands on what remains of them.
    ///
    /// # Errors
    /// Those of reading the levels and of the sink.
    pub fn step(&mut self, bytes: u64, sink: &mut dyn Sink) -> Result<Progress> {
        let mut read = 0;
        while read < bytes {
            let Some(entry) = self.versions.next()? else {
                self.hand_on(sink)?;
                return Ok(Progress { bytes: read, is_done: true });
            };
            read += entry.bytes();
            if self.pending.last().is_some_and(|last| last.key != entry.key) {
                self.hand_on(sink)?;
            }
            self.pending.push(entry);
        }
        Ok(Progress { bytes: read, is_done: false })
    }

    fn hand_on(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let kept = self.retention.keep(std::mem::take(&mut self.pending));
        kept.into_iter().try_for_each(|entry| sink.add(entry))
    }
}
