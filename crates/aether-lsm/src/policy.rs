//! Merge policies: which runs are merged next, and how much merging is owed.
//!
//! A policy is a pure function of the [`Shape`] of a tree: which runs there are, in which order, how large, how old. It says
//! what to merge and where the result goes; who merges, when, and in how small steps is the pacer's matter. So every policy may
//! be put to any shape, also to one that another policy has made, and a restart needs to remember nothing.
//!
//! | policy | after | levels | written per byte | runs per get |
//! |---|---|---|---|---|
//! | [`Hanoi`] | Bentley & Saxe (1980); the binary levels of Basho's hanoidb | runs of 2^n flushes | 1 + log2 of the flushes | up to 3 a level |
//! | [`Predictable`] | the stepped-merge tree of Jagadish et al. (VLDB 1997) | `ratio` runs of `ratio`^n | 1 + log of the flushes | up to `ratio` a level, twice at its worst |
//! | [`Fast`], the default | lazy leveling: Dayan & Idreos, Dostoevsky (SIGMOD 2018) | as above, but one run at the bottom | the same, and some `ratio` at the bottom | as above, one at the bottom |
//! | [`Leveled`] | O'Neil et al. (1996), with the partial merges of LevelDB | disjoint runs, `ratio`^n | `ratio` a level | one a level |
//! | [`Adaptive`] | one of these at a time | | | |
//!
//! How deep a tree is follows from its data: no policy has a number of levels. Order among runs is that of age, the
//! newest first, and only where key ranges overlap; [`Shape::fits`] is the rule that every plan and every installed edit keeps.
//! All policies merge runs that are mostly tombstones ([`density`](self::Reason::Dense)) when they have nothing else to do.

mod adaptive;
mod density;
mod fast;
mod hanoi;
mod leveled;
mod pick;
mod plan;
mod predictable;
mod shape;

pub use adaptive::{Adaptive, Mix, Switch};
pub use fast::Fast;
pub use hanoi::{Hanoi, WorkBudget};
pub use leveled::Leveled;
pub use plan::{Plan, Reason};
pub use predictable::Predictable;
pub use shape::{KeyRange, LevelShape, RunShape, Shape};

use core::fmt;

/// The policies by name, as a keyspace's options and its statistics call them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum PolicyKind {
    /// Binary doubling.
    Hanoi = 0,
    /// Tiered.
    Predictable = 1,
    /// Lazy leveling.
    Fast = 2,
    /// Leveled.
    Leveled = 3,
    /// Whichever the work asks for.
    Adaptive = 4,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hanoi => "hanoi",
            Self::Predictable => "predictable",
            Self::Fast => "fast",
            Self::Leveled => "leveled",
            Self::Adaptive => "adaptive",
        })
    }
}

impl PolicyKind {
    const ALL: [Self; 5] = [Self::Hanoi, Self::Predictable, Self::Fast, Self::Leveled, Self::Adaptive];

    /// What stands for it in the manifest.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The policy that `code` stands for.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The policy of that name, with its defaults.
    pub fn policy(self) -> Box<dyn MergePolicy> {
        match self {
            Self::Hanoi => Box::new(Hanoi),
            Self::Predictable => Box::new(Predictable::default()),
            Self::Fast => Box::new(Fast::default()),
            Self::Leveled => Box::new(Leveled::default()),
            Self::Adaptive => Box::new(Adaptive::default()),
        }
    }
}

/// Says what to merge next.
pub trait MergePolicy: Send + Sync + fmt::Debug {
    /// Its name.
    fn kind(&self) -> PolicyKind;

    /// The next merge, of runs that take part in no other; none if all is in order or must wait for a merge under way.
    fn pick(&self, shape: &Shape) -> Option<Plan>;

    /// Bytes of merging that a written byte causes in the long run, for a tree of this shape.
    fn price(&self, shape: &Shape) -> u64;

    /// The level for a run of so many bytes that overlaps no other: where no merge takes it along for what it has nothing to do with.
    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        let _ = bytes;
        shape.bottom().unwrap_or(0)
    }

    /// Bytes that must be read to bring the shape in order, beside the merges under way. Costs as much as that many picks.
    fn owed(&self, shape: &Shape) -> u64 {
        plan::owed(shape, |shape| self.pick(shape))
    }

    /// Takes notice of what the tree was used for since the last call. What it then changes is for the caller to log.
    fn observe(&mut self, mix: Mix) -> Option<Switch> {
        let _ = mix;
        None
    }
}
