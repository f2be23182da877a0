//! A file system between the engine and the simulator: it plants bugs, and it records what the engine does.
//!
//! A harness that has never caught anything proves nothing. Each [`Mutant`] is a bug that storage engines have had;
//! it is planted from outside, by a file system that lies, so that no engine code knows of it.

mod files;
mod switch;

pub(crate) use switch::Switch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The log is written and never made durable: commits are acknowledged before the flush.
    AcknowledgeBeforeFlush,
    /// Directories are never synced.
    ForgetDirectorySync,
    /// Outside of commits the log is made durable later than the pages that depend on it.
    PageBeforeLog,
    /// One page that recovery brought up to date is not written, though the write and its sync succeed.
    LoseRedo,
    /// The directory is not synced after a renaming.
    ForgetRename,
    /// Page files are never synced.
    ForgetPageSync,
    /// The double-write area is written and never made durable.
    SkipDoubleWriteSync,
    /// Pages go to their places without a copy in the double-write area.
    TornPageWithoutCopy,
    /// A page write that was made before a sync reaches the disk after it.
    ReorderAcrossSync,
    /// A log segment gets its name before its bytes are durable.
    SegmentBeforeDurable,
    /// With the oldest log segment the one after it goes as well.
    SegmentDeletedEarly,
    /// The second half of each write of the log is made with the next one.
    HalfLogWrite,
    /// The control file has one slot, which is overwritten in place.
    ControlInPlace,
    /// The control file does not learn of checkpoints, and the log is cut all the same.
    LoseCheckpoint,
    /// After a restart one page is read as it was before its newest write.
    StalePage,
    /// A sync that failed is taken for done.
    FailedSyncAsSuccess,
    /// A write that was done in part, or not at all, is taken for whole.
    ShortWriteAsWhole,
    /// A write for which there was no space is taken for whole.
    DiskFullAsSuccess,
}

/// The campaign that a planted bug is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Campaign {
    /// Power cuts.
    Crash,
    /// Failing calls and full disks.
    Faults,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 18] = [
        Self::AcknowledgeBeforeFlush,
        Self::ForgetDirectorySync,
        Self::PageBeforeLog,
        Self::LoseRedo,
        Self::ForgetRename,
        Self::ForgetPageSync,
        Self::SkipDoubleWriteSync,
        Self::TornPageWithoutCopy,
        Self::ReorderAcrossSync,
        Self::SegmentBeforeDurable,
        Self::SegmentDeletedEarly,
        Self::HalfLogWrite,
        Self::ControlInPlace,
        Self::LoseCheckpoint,
        Self::StalePage,
        Self::FailedSyncAsSuccess,
        Self::ShortWriteAsWhole,
        Self::DiskFullAsSuccess,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeFlush => "acknowledge-before-flush",
            Self::ForgetDirectorySync => "forget-directory-sync",
            Self::PageBeforeLog => "page-before-log",
            Self::LoseRedo => "lose-redo",
            Self::ForgetRename => "forget-rename",
            Self::ForgetPageSync => "forget-page-sync",
            Self::SkipDoubleWriteSync => "skip-double-write-sync",
            Self::TornPageWithoutCopy => "torn-page-without-copy",
            Self::ReorderAcrossSync => "reorder-across-sync",
            Self::SegmentBeforeDurable => "segment-before-durable",
            Self::SegmentDeletedEarly => "segment-deleted-early",
            Self::HalfLogWrite => "half-log-write",
            Self::ControlInPlace => "control-in-place",
            Self::LoseCheckpoint => "lose-checkpoint",
            Self::StalePage => "stale-page",
            Self::FailedSyncAsSuccess => "failed-sync-as-success",
            Self::ShortWriteAsWhole => "short-write-as-whole",
            Self::DiskFullAsSuccess => "disk-full-as-success",
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }

    /// The campaign that finds it.
    pub fn campaign(self) -> Campaign {
        match self {
            Self::FailedSyncAsSuccess | Self::ShortWriteAsWhole | Self::DiskFullAsSuccess => Campaign::Faults,
            _ => Campaign::Crash,
        }
    }

    /// A bug of recovery: it waits for the first restart.
    fn waits_for_restart(self) -> bool {
        matches!(self, Self::LoseRedo | Self::StalePage)
    }
}

/// What a file is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Log,
    /// A segment that has no name yet.
    FreeLog,
    Pages,
    DoubleWrite,
    Control,
    Other,
}

impl Role {
    fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        match name.split('-').next() {
            Some("log") if name.contains("free") => Self::FreeLog,
            Some("log") => Self::Log,
            Some("pages") => Self::Pages,
            Some("double") => Self::DoubleWrite,
            Some("control") => Self::Control,
            _ => Self::Other,
        }
    }
}

/// What the engine did to its files and directories, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub what: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Offset and length, where there are any.
    pub range: (u64, u64),
    /// A checksum of the bytes written, or 0.
    pub bytes: u64,
}

/// Pages that were read again after they had been read or written since the store was opened: each was evicted.
pub fn evictions(calls: &[Call]) -> usize {
    let mut known = BTreeSet::new();
    let mut evictions = 0;
    for call in calls.iter().filter(|call| Role::of(&call.path) == Role::Pages) {
        match call.what {
            "open" => known.clear(),
            "read" if !known.insert(call.range.0) => evictions += 1,
            "write" => drop(known.insert(call.range.0)),
            _ => {}
        }
    }
    evictions
}
