//! The kinds of stores that are damaged.

use crate::kind::Kind;
use aether_kv::lsm::policy::PolicyKind;

/// A kind of store.
#[derive(Debug)]
pub struct Design {
    pub(super) name: &'static str,
    pub(super) page_bytes: usize,
    pub(super) streams: usize,
    pub(super) max_recovery_bytes: u64,
    pub(super) transactions: usize,
    /// The kinds of its keyspaces, beside `default`.
    pub(super) spaces: &'static [Kind],
    pub(super) value_bytes_max: usize,
    /// Most rows go again, and a keyspace with them.
    pub(super) shrinks: bool,
    /// Stopped while a transaction larger than the pool is under way.
    pub(super) under_way: bool,
    pub(super) last: Last,
}

/// What the work on a store ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Commits.
    Commits,
    /// The store is opened again, and a few commits.
    Reopen,
    /// A checkpoint, while a transaction may be under way.
    Checkpoint,
}

/// As many B+trees.
const TREES: [Kind; 5] = [Kind::Btree; 5];
/// Every kind.
const KINDS: [Kind; 5] =
    [Kind::Lsm(PolicyKind::Fast), Kind::Skiplist, Kind::Rax, Kind::Lsm(PolicyKind::Hanoi), Kind::Btree];

const PLAIN: Design = Design {
    name: "plain",
    page_bytes: 4096,
    streams: 1,
    max_recovery_bytes: 128 << 10,
    transactions: 24,
    spaces: &[Kind::Btree],
    value_bytes_max: 300,
    shrinks: false,
    under_way: false,
    last: Last::Commits,
};

/// Every kind of store.
pub const DESIGNS: [Design; 11] = [
    PLAIN,
    Design { name: "loser", under_way: true, ..PLAIN },
    Design { name: "pages-16k", page_bytes: 16 << 10, under_way: true, ..PLAIN },
    Design { name: "extents", value_bytes_max: 20_000, transactions: 16, ..PLAIN },
    Design { name: "keyspaces", spaces: &TREES, under_way: true, ..PLAIN },
    Design {
        name: "segments",
        // So many that the log goes on for a segment behind the last page that was written, which would tell that it is missing.
        max_recovery_bytes: 4 << 20,
        transactions: 44,
        value_bytes_max: 2000,
        ..PLAIN
    },
    Design {
        name: "shrunk",
        spaces: &[Kind::Btree; 2],
        shrinks: true,
        transactions: 36,
        under_way: true,
        ..PLAIN
    },
    Design { name: "reopened", last: Last::Reopen, max_recovery_bytes: 4 << 20, ..PLAIN },
    Design { name: "checkpoint", last: Last::Checkpoint, under_way: true, ..PLAIN },
    Design { name: "kinds", spaces: &KINDS, transactions: 60, value_bytes_max: 1500, ..PLAIN },
    Design { name: "streams", streams: 2, spaces: &[Kind::Btree; 2], ..PLAIN },
];

impl Design {
    /// The name of a store of this kind.
    pub fn store_name(&self, closed: bool) -> String {
        format!("{}-{}", self.name, if closed { "closed" } else { "stopped" })
    }
}
