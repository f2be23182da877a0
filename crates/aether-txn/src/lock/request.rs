//! What one owner has and wants on one resource.

use super::mode::LockMode;
use aether_trace::planted;
use aether_types::TxnId;

/// Which part of what an owner has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// What it asked for; goes with a savepoint.
    Asked,
    /// What its writing stands for: `X` on a row that it changes or is next to change, `IX` above. Whether a row is
    /// really its own, the row says.
    Written,
}

/// How far a want has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Others are before it.
    Waiting,
    /// The table knows nobody before it, but there may be running writers who have no entry yet. It stands against
    /// others like a lock, until somebody finds one.
    Tentative,
}

/// What an owner wants on top of what it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Want {
    /// Whole: what it will have.
    pub(super) mode: LockMode,
    pub(super) part: Part,
    pub(super) phase: Phase,
    /// Nobody has pushed it back since its owner began to look for writers.
    pub(super) is_clean: bool,
    /// Its owner has something here already: it goes first, or who waits for that would wait for it in vain.
    pub(super) is_conversion: bool,
    /// First come, first served.
    pub(super) turn: u64,
}

impl Want {
    /// That of a writer who asks whether it may write a row at once.
    pub(super) fn to_write(is_conversion: bool) -> Self {
        let (mode, part, phase) = (LockMode::X, Part::Written, Phase::Waiting);
        Self { mode, part, phase, is_clean: false, is_conversion, turn: u64::MAX }
    }

    fn precedes(&self, other: &Self) -> bool {
        (!self.is_conversion, self.turn) < (!other.is_conversion, other.turn)
    }
}

/// One owner's entry in one queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) owner: TxnId,
    pub(super) asked: Option<LockMode>,
    pub(super) written: Option<LockMode>,
    pub(super) want: Option<Want>,
}

pub(super) fn join(a: Option<LockMode>, b: Option<LockMode>) -> Option<LockMode> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.join(b)),
        (a, b) => a.or(b),
    }
}

impl Request {
    pub(super) fn new(owner: TxnId) -> Self {
        Self { owner, asked: None, written: None, want: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_none() && self.written.is_none() && self.want.is_none()
    }

    /// What it has.
    pub(super) fn held(&self) -> Option<LockMode> {
        join(self.asked, self.written)
    }

    /// What it stands against others with.
    pub(super) fn standing(&self) -> Option<LockMode> {
        let tentative = self.want.filter(|want| want.phase == Phase::Tentative);
        join(self.held(), tentative.map(|want| want.mode))
    }

    /// What it waits for.
    pub(super) fn waiting(&self) -> Option<Want> {
        self.want.filter(|want| want.phase == Phase::Waiting)
    }

    /// Must `want` of another owner wait for it?
    pub(super) fn blocks(&self, want: &Want) -> bool {
        let stands = |mode: LockMode| !mode.is_compatible(want.mode);
        self.standing().is_some_and(stands)
            || self
                .waiting()
                .is_some_and(|own| own.precedes(want) && stands(own.mode) && !planted("pass-waiters"))
    }

    /// Does it have, want or try a mode that must find all writers?
    pub(super) fn is_strong(&self) -> bool {
        join(self.held(), self.want.map(|want| want.mode)).is_some_and(LockMode::is_strong)
    }

    pub(super) fn set(&mut self, part: Part, mode: Option<LockMode>) {
        match part {
            Part::Asked => self.asked = mode,
            Part::Written => self.written = mode,
        }
    }

    pub(super) fn get(&self, part: Part) -> Option<LockMode> {
        match part {
            Part::Asked => self.asked,
            Part::Written => self.written,
        }
    }
}
