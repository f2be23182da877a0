//! Isolation levels, from the weakest to the strongest.

use aether_kv::Isolation;
use core::fmt;
use core::str::FromStr;

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Forbids what shows uncommitted, given up or half of a transaction.
    ReadCommitted,
    /// Also forbids every cycle in which no two anti-dependencies follow each other.
    Snapshot,
    /// Forbids every cycle.
    Serializable,
}

impl Level {
    /// All levels, the weakest first.
    pub const ALL: [Self; 3] = [Self::ReadCommitted, Self::Snapshot, Self::Serializable];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read-committed",
            Self::Snapshot => "snapshot",
            Self::Serializable => "serializable",
        }
    }

    /// As the engine has it.
    pub fn isolation(self) -> Isolation {
        match self {
            Self::ReadCommitted => Isolation::ReadCommitted,
            Self::Snapshot => Isolation::Snapshot,
            Self::Serializable => Isolation::Serializable,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| format!("{name:?} is no level: {names}"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
