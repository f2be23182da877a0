//! A keyspace's handle.

use crate::lsm::index::BTree;
use aether_sync::Arc;

/// A named, ordered set of keys with values. Cheap to clone; belongs to the home it was opened in.
#[derive(Clone)]
pub struct Keyspace {
    name: Arc<str>,
    pub(crate) tree: BTree,
}

/// How a keyspace is created. The index is a B+tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyspaceOptions {}

impl Keyspace {
    pub(crate) fn new(name: &str, tree: BTree) -> Self {
        Self { name: name.into(), tree }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id, never reused.
    pub fn id(&self) -> u32 {
        self.tree.id()
    }
}
