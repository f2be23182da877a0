//! The history of a simulation, for the report of a failing one.

use crate::fault::Errno;
use core::fmt;
use std::path::PathBuf;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// `File::write_at`.
    Write,
    /// `File::sync`.
    Sync,
    /// `File::set_size`.
    SetSize,
    /// `Vfs::open` that creates the file.
    Create,
    /// `Vfs::remove`.
    Remove,
    /// `Vfs::rename`.
    Rename,
    /// `Vfs::create_dir`.
    CreateDir,
    /// `Vfs::sync_dir`.
    SyncDir,
    /// `Vfs::open`, whether it creates or not. Not counted as an operation; for faults.
    Open,
    /// `File::read_at`. Not counted as an operation; for faults.
    Read,
    /// `Vfs::list`. Not counted as an operation; for faults.
    List,
    /// Any counted operation; for faults.
    Any,
}

impl OpKind {
    /// True if the kind moves [`op_count`](crate::Sim::op_count).
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::List | Self::Any)
    }

    /// True if a call of kind `other` is one of these.
    pub(crate) fn covers(self, other: Self) -> bool {
        self == other || self == Self::Any && other.is_counted()
    }
}

/// One operation of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRecord {
    /// Its index, as [`cut_power_at`](crate::Sim::cut_power_at) takes it.
    pub index: u64,
    /// Its kind.
    pub kind: OpKind,
    /// Of which file or directory.
    pub path: PathBuf,
    /// The byte offset of a write, the new size of `SetSize`, else 0.
    pub offset: u64,
    /// The bytes of a write, else 0.
    pub len: u64,
}

impl fmt::Display for OpRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} {:?} {}", self.index, self.kind, self.path.display())?;
        match self.kind {
            OpKind::Write => write!(f, " {}+{}", self.offset, self.len),
            OpKind::SetSize => write!(f, " {}", self.offset),
            _ => Ok(()),
        }
    }
}

/// A call that a fault has struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Its kind.
    pub kind: OpKind,
    /// Of which file or directory.
    pub path: PathBuf,
    /// What it failed with; none if it did not fail.
    pub error: Option<Errno>,
}

/// How many calls there were of each kind.
#[derive(Clone, Default)]
pub(crate) struct Counts(Vec<(OpKind, u64)>);

impl Counts {
    pub(crate) fn add(&mut self, kind: OpKind) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.0.push((kind, 1)),
        }
    }

    pub(crate) fn of(&self, kind: OpKind) -> u64 {
        self.0.iter().filter(|(known, _)| kind.covers(*known)).map(|(_, count)| count).sum()
    }
}
