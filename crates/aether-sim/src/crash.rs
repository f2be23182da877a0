//! What a power cut keeps: the policies, and the choices they make change by change.

use crate::data::Change;
use crate::rng::Rng;

/// Which unsynced changes survive a power cut. The same history and policy give the same image.
///
/// Names of files and directories survive whole unless said otherwise, so that the data is there to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPolicy {
    /// Nothing unsynced, neither bytes nor names.
    LoseAll,
    /// Everything.
    KeepAll,
    /// Each unsynced write survives, is lost, or survives in a random subset of its 512-byte sectors; whether its
    /// growth survives is another coin.
    Torn {
        /// What the choices follow from.
        seed: u64,
    },
    /// A random subset of whole writes: later ones may survive while earlier ones are lost.
    Reordered {
        /// What the choices follow from.
        seed: u64,
    },
    /// All bytes, and a random subset of the unsynced creations, renames and removals.
    LostNames {
        /// What the choices follow from.
        seed: u64,
    },
    /// Sizes grow, the bytes in the grown space are random, everything else unsynced is lost.
    GarbageGrown {
        /// What the bytes follow from.
        seed: u64,
    },
    /// Everything, but the newest write in a random subset of its sectors.
    LastTorn {
        /// What the choices follow from.
        seed: u64,
    },
    /// A random prefix of the unsynced changes, names included, in the order they were made.
    PrefixOnly {
        /// What the choices follow from.
        seed: u64,
    },
    /// Everything, but the bytes of unsynced writes are zeroes in a random subset of sectors.
    Zeroed {
        /// What the choices follow from.
        seed: u64,
    },
    /// Any of the above for each change anew, names included.
    Mixed {
        /// What the choices follow from.
        seed: u64,
    },
}

impl CrashPolicy {
    /// Every policy at least once, those with the most outcomes under several seeds.
    pub fn all(seed: u64) -> Vec<Self> {
        let other = seed ^ 0x5555_5555_5555_5555;
        vec![
            Self::LoseAll,
            Self::KeepAll,
            Self::Torn { seed },
            Self::Torn { seed: other },
            Self::Reordered { seed },
            Self::LostNames { seed },
            Self::LostNames { seed: other },
            Self::GarbageGrown { seed },
            Self::LastTorn { seed },
            Self::PrefixOnly { seed },
            Self::Zeroed { seed },
            Self::Mixed { seed },
            Self::Mixed { seed: other },
        ]
    }

    fn seed(self) -> u64 {
        match self {
            Self::LoseAll | Self::KeepAll => 0,
            Self::Torn { seed }
            | Self::Reordered { seed }
            | Self::LostNames { seed }
            | Self::GarbageGrown { seed }
            | Self::LastTorn { seed }
            | Self::PrefixOnly { seed }
            | Self::Zeroed { seed }
            | Self::Mixed { seed } => seed,
        }
    }
}

/// What becomes of one change.
pub(crate) struct Fate {
    pub(crate) sectors: Sectors,
    /// The size of the file after the change survives.
    pub(crate) size: bool,
}

/// What becomes of the sectors of one write.
pub(crate) enum Sectors {
    All,
    None,
    Some(Rng),
    Zeroed(Rng),
}

impl PartialEq for Sectors {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::All, Self::All) | (Self::None, Self::None))
    }
}

impl Fate {
    const KEPT: Self = Self { sectors: Sectors::All, size: true };
    const LOST: Self = Self { sectors: Sectors::None, size: false };

    fn kept_if(kept: bool) -> Self {
        if kept { Self::KEPT } else { Self::LOST }
    }
}

/// The orders of all changes that are not durable.
#[derive(Default)]
pub(crate) struct Unsynced {
    pub(crate) orders: Vec<u64>,
    pub(crate) newest_write: Option<u64>,
}

/// Makes a policy's choices. Asked in a fixed order: names first, then file by file, change by change.
pub(crate) struct Chooser {
    policy: CrashPolicy,
    rng: Rng,
    newest_write: Option<u64>,
    /// Changes up to here are the prefix that survives.
    prefix_end: u64,
}

impl Chooser {
    pub(crate) fn new(policy: CrashPolicy, mut unsynced: Unsynced) -> Self {
        let mut rng = Rng::new(policy.seed());
        unsynced.orders.sort_unstable();
        let kept = rng.below(unsynced.orders.len() as u64 + 1) as usize;
        let prefix_end = if kept == 0 { 0 } else { unsynced.orders[kept - 1] };
        Self { policy, rng, newest_write: unsynced.newest_write, prefix_end }
    }

    pub(crate) fn keeps_name(&mut self, order: u64) -> bool {
        match self.policy {
            CrashPolicy::LoseAll => false,
            CrashPolicy::LostNames { .. } | CrashPolicy::Mixed { .. } => self.rng.coin(),
            CrashPolicy::PrefixOnly { .. } => order <= self.prefix_end,
            _ => true,
        }
    }

    pub(crate) fn fate(&mut self, change: &Change) -> Fate {
        if change.is_durable {
            return Fate::KEPT;
        }
        match self.policy {
            CrashPolicy::LoseAll => Fate::LOST,
            CrashPolicy::KeepAll | CrashPolicy::LostNames { .. } => Fate::KEPT,
            CrashPolicy::Torn { .. } => self.torn(),
            CrashPolicy::Reordered { .. } => Fate::kept_if(self.rng.coin()),
            CrashPolicy::GarbageGrown { .. } => Fate { sectors: Sectors::None, size: true },
            CrashPolicy::LastTorn { .. } if self.newest_write == Some(change.order) => self.some_sectors(),
            CrashPolicy::LastTorn { .. } => Fate::KEPT,
            CrashPolicy::PrefixOnly { .. } => Fate::kept_if(change.order <= self.prefix_end),
            CrashPolicy::Zeroed { .. } => self.zeroed(),
            CrashPolicy::Mixed { .. } => self.mixed(),
        }
    }

    /// The bytes of grown space that no surviving write covers; `None` for zeroes.
    pub(crate) fn garbage(&mut self) -> Option<Rng> {
        let wanted = match self.policy {
            CrashPolicy::GarbageGrown { .. } => true,
            CrashPolicy::Mixed { .. } => self.rng.coin(),
            _ => false,
        };
        wanted.then(|| Rng::new(self.rng.next()))
    }

    fn torn(&mut self) -> Fate {
        match self.rng.below(3) {
            0 => Fate::KEPT,
            1 => Fate { sectors: Sectors::None, size: self.rng.coin() },
            _ => self.some_sectors(),
        }
    }

    fn some_sectors(&mut self) -> Fate {
        Fate { sectors: Sectors::Some(Rng::new(self.rng.next())), size: self.rng.coin() }
    }

    fn zeroed(&mut self) -> Fate {
        Fate { sectors: Sectors::Zeroed(Rng::new(self.rng.next())), size: true }
    }

    fn mixed(&mut self) -> Fate {
        match self.rng.below(5) {
            0 => Fate::KEPT,
            1 => Fate::LOST,
            2 => Fate { sectors: Sectors::None, size: true },
            3 => self.zeroed(),
            _ => self.some_sectors(),
        }
    }
}
