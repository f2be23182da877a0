//! Lock modes: which go together, and what two of one owner make (Gray, Lorie, Putzolu, Traiger, "Granularity of Locks and
//! Degrees of Consistency in a Shared Data Base", 1976, tables 1 and 2).

use core::fmt;

/// How much a lock allows its owner, and forbids others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum LockMode {
    /// Intention shared: something below is locked `S`.
    IS,
    /// Intention exclusive: something below is locked `X`.
    IX,
    /// Shared: nobody else changes anything here.
    S,
    /// Shared here, and something below is locked `X`.
    SIX,
    /// Exclusive: nobody else locks or changes anything here.
    X,
}

use LockMode::*;

impl LockMode {
    /// Every mode, weakest first.
    pub const ALL: [Self; 5] = [IS, IX, S, SIX, X];

    /// May two owners have these at once?
    pub fn is_compatible(self, other: Self) -> bool {
        match self {
            IS => other != X,
            IX => matches!(other, IS | IX),
            S => matches!(other, IS | S),
            SIX => other == IS,
            X => false,
        }
    }

    /// The weakest mode that allows what both do: what an owner has who asks for both.
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (X, _) | (_, X) => X,
            (SIX, _) | (_, SIX) | (IX, S) | (S, IX) => SIX,
            (S, _) | (_, S) => S,
            (IX, _) | (_, IX) => IX,
            (IS, IS) => IS,
        }
    }

    /// Does who has this have `other` too?
    pub fn covers(self, other: Self) -> bool {
        self.join(other) == self
    }

    /// The mode needed on everything that encloses a resource locked so.
    pub fn intention(self) -> Self {
        if matches!(self, IS | S) { IS } else { IX }
    }

    /// True for a mode that not every writer's `IX` goes with: who wants it on a keyspace must find all writers.
    pub fn is_strong(self) -> bool {
        !self.is_compatible(IX)
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// The table of the paper, row by row.
    #[test]
    fn compatibility_is_grays() {
        let table = ["yyyyn", "yynnn", "ynynn", "ynnnn", "nnnnn"];
        for (mode, row) in LockMode::ALL.into_iter().zip(table) {
            for (other, cell) in LockMode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(mode.is_compatible(other), cell == 'y', "{mode} beside {other}");
            }
        }
    }

    /// A join forbids others exactly what one of the two forbids, and is the weakest that does, so far as modes tell.
    #[test]
    fn a_join_forbids_what_either_does() {
        for (a, b) in LockMode::ALL.into_iter().flat_map(|a| LockMode::ALL.map(|b| (a, b))) {
            let both = a.join(b);
            assert!(both == b.join(a) && both.covers(a) && both.covers(b), "{a} and {b}");
            for other in LockMode::ALL {
                let allowed = a.is_compatible(other) && b.is_compatible(other);
                assert_eq!(both.is_compatible(other), allowed, "{a} and {b} make {both}, beside {other}");
            }
        }
    }
}
