//! Faults that strike while the power is on.

use crate::log::OpKind;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A fault. `nth` counts from 0, from the moment of injection, among the calls that the fault is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A call fails and does nothing.
    FailOp {
        /// Which one.
        nth: u64,
        /// Of which kind.
        kind: OpKind,
        /// With what.
        error: Errno,
        /// And every later one too.
        sticky: bool,
    },
    /// A file's sync fails as on Linux: the unsynced bytes are marked clean, so that readers still see them, the
    /// next sync succeeds, and a power cut loses them.
    FailSyncDropsDirty {
        /// Which sync.
        nth: u64,
    },
    /// No more than this many bytes of disk are left, in blocks of 4 KiB. Cutting and removing files frees theirs.
    DiskFull {
        /// The space.
        bytes_left: u64,
    },
    /// A read fails.
    FailRead {
        /// Which read.
        nth: u64,
    },
    /// The first half of a write is written, then it fails.
    ShortWrite {
        /// Which write.
        nth: u64,
    },
    /// A write succeeds, but its bytes land its own length below the right place (above, if there is no room).
    Misdirect {
        /// Which write.
        nth: u64,
    },
    /// A write succeeds, but its bytes land nowhere.
    LoseWrite {
        /// Which write.
        nth: u64,
    },
    /// A read sees the bytes that newer writes have replaced: of each place, those from before its newest write since
    /// the injection.
    StaleRead {
        /// Which read.
        nth: u64,
    },
    /// Opening fails while this many handles exist.
    FewHandles {
        /// The most handles at once.
        most: u64,
    },
    /// A call does not return until [`release`](crate::Sim::release) or the power cut; then it goes on. Calls of other
    /// threads are served meanwhile.
    Stuck {
        /// Which one.
        nth: u64,
        /// Of which kind.
        kind: OpKind,
    },
    /// One stored bit changes now. Nothing happens if the file has no such byte.
    FlipBit {
        /// The file.
        path: PathBuf,
        /// The byte.
        byte: u64,
        /// The bit, 0 to 7.
        bit: u8,
    },
    /// Every counted operation moves the clock of the simulation forward.
    SlowOps {
        /// By this.
        pause: Duration,
    },
}

/// Errors of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// The device failed.
    Eio,
    /// No space is left.
    Enospc,
    /// The process has too many open files.
    Emfile,
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(match errno {
            Errno::Eio => 5,
            Errno::Enospc => 28,
            Errno::Emfile => 24,
        })
    }
}

/// What the faults do to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    Fail(Errno),
    DropDirty,
    Short,
    Misdirect,
    Lose,
    Stale,
    Stuck,
}

impl Twist {
    /// What the caller gets to hear, if the call fails.
    pub(crate) fn error(self) -> Option<Errno> {
        match self {
            Self::Fail(error) => Some(error),
            Self::DropDirty | Self::Short => Some(Errno::Eio),
            Self::None | Self::Misdirect | Self::Lose | Self::Stale | Self::Stuck => None,
        }
    }
}

/// The faults in waiting, each with the number of its calls so far.
#[derive(Clone, Default)]
pub(crate) struct Faults(Vec<(Fault, u64)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    /// Counts a call for every fault that is about it; the first that strikes decides.
    pub(crate) fn strike(&mut self, kind: OpKind) -> Twist {
        let mut struck = Twist::None;
        for (fault, seen) in &mut self.0 {
            let Some((twist, nth, sticky)) = about(fault, kind) else { continue };
            if struck == Twist::None && (*seen == nth || sticky && *seen > nth) {
                struck = twist;
            }
            *seen += 1;
        }
        struck
    }

    /// The most handles at once.
    pub(crate) fn handles_max(&self) -> Option<u64> {
        let most = |(fault, _): &(Fault, u64)| match fault {
            Fault::FewHandles { most } => Some(*most),
            _ => None,
        };
        self.0.iter().filter_map(most).min()
    }

    /// True if a read will want what writes replace.
    pub(crate) fn wants_replaced(&self) -> bool {
        self.0.iter().any(|(fault, _)| matches!(fault, Fault::StaleRead { .. }))
    }

    pub(crate) fn pause(&self) -> Duration {
        let pause = |(fault, _): &(Fault, u64)| match fault {
            Fault::SlowOps { pause } => *pause,
            _ => Duration::ZERO,
        };
        self.0.iter().map(pause).sum()
    }
}

/// What the fault does to a call of this kind, to which one, and whether to later ones too.
fn about(fault: &Fault, kind: OpKind) -> Option<(Twist, u64, bool)> {
    let (of, twist, nth, sticky) = match *fault {
        Fault::FailOp { nth, kind, error, sticky } => (kind, Twist::Fail(error), nth, sticky),
        Fault::FailSyncDropsDirty { nth } => (OpKind::Sync, Twist::DropDirty, nth, false),
        Fault::FailRead { nth } => (OpKind::Read, Twist::Fail(Errno::Eio), nth, false),
        Fault::ShortWrite { nth } => (OpKind::Write, Twist::Short, nth, false),
        Fault::Misdirect { nth } => (OpKind::Write, Twist::Misdirect, nth, false),
        Fault::LoseWrite { nth } => (OpKind::Write, Twist::Lose, nth, false),
        Fault::StaleRead { nth } => (OpKind::Read, Twist::Stale, nth, false),
        Fault::Stuck { nth, kind } => (kind, Twist::Stuck, nth, false),
        Fault::DiskFull { .. } | Fault::FewHandles { .. } | Fault::FlipBit { .. } | Fault::SlowOps { .. } => {
            return None;
        }
    };
    of.covers(kind).then_some((twist, nth, sticky))
}
