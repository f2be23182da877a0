//! The kinds of stores that are damaged.

/// A kind of store.
#[derive(Debug)]
pub struct Design {
    pub(super) name: &'static str,
    pub(super) page_bytes: usize,
    pub(super) streams: usize,
    pub(super) max_recovery_bytes: u64,
    pub(super) transactions: usize,
    pub(super) spaces: usize,
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

const PLAIN: Design = Design {
    name: "plain",
    page_bytes: 4096,
    streams: 1,
    max_recovery_bytes: 128 << 10,
    transactions: 24,
    spaces: 1,
    value_bytes_max: 300,
    shrinks: false,
    under_way: false,
    last: Last::Commits,
};

/// Every kind of store.
pub const DESIGNS: [Design; 10] = [
    PLAIN,
    Design { name: "loser", under_way: true, ..PLAIN },
    Design { name: "pages-16k", page_bytes: 16 << 10, under_way: true, ..PLAIN },
    Design { name: "extents", value_bytes_max: 20_000, transactions: 16, ..PLAIN },
    Design { name: "keyspaces", spaces: 5, under_way: true, ..PLAIN },
    Design {
        name: "segments",
        max_recovery_bytes: 4 << 20,
        transactions: 40,
        value_bytes_max: 2000,
        ..PLAIN
    },
    Design { name: "shrunk", spaces: 2, shrinks: true, transactions: 36, under_way: true, ..PLAIN },
    Design { name: "reopened", last: Last::Reopen, max_recovery_bytes: 4 << 20, ..PLAIN },
    Design { name: "checkpoint", last: Last::Checkpoint, under_way: true, ..PLAIN },
    Design { name: "streams", streams: 2, spaces: 2, ..PLAIN },
];

impl Design {
    /// The name of a store of this kind.
    pub fn store_name(&self, closed: bool) -> String {
        format!("{}-{}", self.name, if closed { "closed" } else { "stopped" })
    }
}
