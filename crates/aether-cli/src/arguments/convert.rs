//! The arguments of `convert`.

use super::InKeyspace;
use aether::IndexKind;
use clap::{Args, ValueEnum};

/// `convert`
#[derive(Args)]
pub(crate) struct Convert {
    /// The kind of index that the keyspace gets.
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) to: KindName,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
}

/// A kind of index by the name that `stat` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum KindName {
    /// A B+tree.
    Btree,
    /// All rows in memory, in a skiplist.
    Skiplist,
    /// A radix tree: keys that begin alike share the way to them.
    Rax,
    /// An LSM tree.
    Lsm,
}

impl KindName {
    /// The kind.
    pub(crate) fn kind(self) -> IndexKind {
        match self {
            Self::Btree => IndexKind::BTREE,
            Self::Skiplist => IndexKind::SKIPLIST,
            Self::Rax => IndexKind::RAX,
            Self::Lsm => IndexKind::LSM,
        }
    }

    /// The name of a kind; none for one of a program's own.
    pub(crate) fn of(kind: IndexKind) -> Option<Self> {
        Self::value_variants().iter().copied().find(|name| name.kind() == kind)
    }

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Btree => "btree",
            Self::Skiplist => "skiplist",
            Self::Rax => "rax",
            Self::Lsm => "lsm",
        }
    }
}
