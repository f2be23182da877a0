//! Snapshots: consistent and repeatable reading.

use crate::env::DbEnv;
use crate::iter::{Iter, View};
use crate::keyspace::Keyspace;
use crate::lsm::index::txn::ReadView;
use crate::lsm::levels::IndexLevel;
use aether_types::Result;
use std::ops::RangeBounds;

/// One committed state of all keyspaces, for as long as it is held. Never blocks writers. Holding it keeps old
/// versions: let go of it when done.
pub struct Snapshot {
    view: ReadView,
    _env: DbEnv,
}

impl Snapshot {
    pub(crate) fn new(env: DbEnv) -> Self {
        Self { view: env.0.txns.view(), _env: env }
    }

    /// The value of `key`.
    pub fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        let slot = keyspace.slot.shown_to(&self.view);
        Ok(slot.rows().get_into(&self.view, key, &mut value)?.then_some(value))
    }

    /// The values of several keys.
    pub fn multi_get(&self, keyspace: &Keyspace, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(keyspace, key)).collect()
    }

    /// All rows, ascending; `.rev()` descends.
    pub fn iter(&self, keyspace: &Keyspace) -> Result<Iter<'_>> {
        self.range(keyspace, ..)
    }

    /// The rows whose keys lie in a range.
    pub fn range(&self, keyspace: &Keyspace, range: impl RangeBounds<Vec<u8>>) -> Result<Iter<'_>> {
        Ok(Iter::new(keyspace, View::Borrowed(&self.view), range))
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(&self, keyspace: &Keyspace, prefix: &[u8]) -> Result<Iter<'_>> {
        Ok(Iter::prefix(keyspace, View::Borrowed(&self.view), prefix))
    }

    /// A keyspace, of whatever kind, as one of [`Levels`](crate::lsm::levels::Levels).
    pub fn level<'a>(&'a self, keyspace: &'a Keyspace) -> IndexLevel<'a> {
        IndexLevel::new(keyspace.slot.shown_to(&self.view).index(), &self.view)
    }
}
