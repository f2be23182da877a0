//! Reading several runs at once: what a snapshot sees of them, key by key.
//!
//! [`get`] asks one run after the other, the newest first. A [`SnapshotCursor`] goes through the keys in order, both ways. Runs that lie next to each
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

pub use layers::SnapshotCursor;
pub(crate) use layers::{Head, LayerCursor, State};
pub(crate) use position::{Edge, Position, Way};
pub(crate) use shade::Stretch;

// A row is a version that a snapshot sees.
pub use crate::run::Entry as Row;

use crate::filter::KeyHash;
use crate::run::{Answer, Run};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{Result, Timestamp};
use chain::Chain;

/// What a snapshot sees of several runs, key by key, in both directions.
pub type RunsCursor = SnapshotCursor<Chain>;

impl RunsCursor {
    /// A cursor before the first key of `runs`, of which the newest comes first: wherever two overlap, the earlier one is newer.
    pub fn new(runs: Vec<Arc<Run>>, snapshot: Timestamp) -> Self {
        Self::over(Chain::of(runs), snapshot)
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
