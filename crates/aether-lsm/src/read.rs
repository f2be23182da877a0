//! Reading several runs at once: what a snapshot sees of them, key by key.
//!
//! [`get`] asks one run after the other, the newest first. [`RunsCursor`] goes through the keys in order, both ways. Runs that lie next to each
//! other in the order of recency and share no key are a chain (`chain.rs`): as one layer, of which a cursor stands in one run at a
//! time, so that a level of hundreds costs as much as a single run, and those that lie elsewhere are not read. A tournament says which
//! layer is next (`layers.rs`); range tombstones are looked up once for a whole stretch of keys (`shade.rs`).
//!
//! Of each key the first version in the order of layers that the snapshot may see decides. A range tombstone that the snapshot sees
//! hides all of the layers below, and in its own layer what has a lower timestamp.

mod chain;
mod layers;
mod position;
mod shade;

// A row is a version that a snapshot sees.
pub use crate::run::Entry as Row;

use crate::filter::KeyHash;
use crate::run::{Answer, Run};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{Result, Timestamp};
use chain::Chain;
use layers::Layers;
use position::{Edge, Way};

/// What a snapshot sees of several runs, key by key, in both directions.
///
/// It stands between two keys. Whoever turns round gets the row that was given out last once more. An error leaves it where it was:
/// it may be asked again, or go elsewhere.
pub struct RunsCursor {
    layers: Layers<Chain>,
}

impl RunsCursor {
    /// A cursor before the first key of `runs`, of which the newest comes first: wherever two overlap, the earlier one is newer.
    pub fn new(runs: Vec<Arc<Run>>, snapshot: Timestamp) -> Self {
        Self { layers: Layers::new(Chain::of(runs), snapshot) }
    }

    /// Goes before `key`: the next step up gives the first key at or above it, the next one down the last key below.
    pub fn seek(&mut self, key: &[u8]) {
        self.layers.go_to(Edge::Before, key);
    }

    /// Goes behind `key`: the next step up gives the first key above it, the next one down the last key at or below.
    pub fn seek_behind(&mut self, key: &[u8]) {
        self.layers.go_to(Edge::Behind, key);
    }

    /// Goes before the first key.
    pub fn seek_first(&mut self) {
        self.layers.go_to(Edge::First, &[]);
    }

    /// Goes behind the last key.
    pub fn seek_last(&mut self) {
        self.layers.go_to(Edge::Last, &[]);
    }

    /// The next row upward that is there: never a tombstone. None at the end. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` naming file and place, or `Io`.
    #[allow(clippy::should_implement_trait, reason = "rows are lent")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        self.layers.step(Way::Up)
    }

    /// The next row downward, likewise.
    ///
    /// # Errors
    /// As [`RunsCursor::next`].
    pub fn prev(&mut self) -> Result<Option<Row<'_>>> {
        self.layers.step(Way::Down)
    }
}

impl core::fmt::Debug for RunsCursor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("RunsCursor").field(self.layers.position()).finish()
    }
}

/// What `runs`, the newest first, say of `key` to a reader at `snapshot`: the answer of the first one that has any, which may be that the key is
/// gone. A value is appended to `into`. Blocks for reads.
///
/// # Errors
/// As [`Run::get`]; then `into` is as before.
pub fn get<'r>(
    runs: impl IntoIterator<Item = &'r Arc<Run>>,
    key: &[u8],
    snapshot: Timestamp,
    into: &mut Vec<u8>,
) -> Result<Option<Answer>> {
    let mut hash = None;
    for run in runs.into_iter().filter(|run| run.info().may_concern(key)) {
        let hash = *hash.get_or_insert_with(|| KeyHash::of(key));
        if let Some(answer) = run.get(key, hash, snapshot, into)? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}
