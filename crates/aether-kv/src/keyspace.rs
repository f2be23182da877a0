//! A keyspace's handle.

use crate::lsm::policy::PolicyKind;
use crate::slot::Slot;
use aether_sync::Arc;
use aether_types::IndexKind;

/// A named, ordered set of keys with values. Cheap to clone; belongs to the home it was opened in. Stays valid while the keyspace is
/// [converted](crate::DbEnv::convert).
#[derive(Clone)]
pub struct Keyspace {
    name: Arc<str>,
    pub(crate) slot: Arc<Slot>,
}

/// How a keyspace is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyspaceOptions {
    /// Its index: a B+tree, unless said otherwise.
    pub kind: IndexKind,
    /// The merge policy of an LSM tree; none: [`LsmConfig::policy`](crate::lsm::tree::LsmConfig::policy). For no other kind.
    pub merge_policy: Option<PolicyKind>,
}

impl KeyspaceOptions {
    /// A keyspace with an index of this kind.
    pub fn of(kind: IndexKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// A keyspace with an LSM tree under this merge policy.
    pub fn lsm(policy: PolicyKind) -> Self {
        Self { merge_policy: Some(policy), ..Self::of(IndexKind::LSM) }
    }
}

impl Keyspace {
    pub(crate) fn new(name: &str, slot: Arc<Slot>) -> Self {
        Self { name: name.into(), slot }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its index, never reused. A conversion gives it another.
    pub fn id(&self) -> u32 {
        self.slot.newest().id()
    }

    /// The kind of its index.
    pub fn kind(&self) -> IndexKind {
        self.slot.newest().kind()
    }
}
