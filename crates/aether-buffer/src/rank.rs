//! Lock ranks of this crate; see `docs/locking.md`.

use aether_sync::Rank;

pub(crate) const PROVIDER: Rank = Rank::new(500, "page provider wake-up");
pub(crate) const PREFETCH: Rank = Rank::new(510, "prefetch queue");
pub(crate) const WRITE_BACK: Rank = Rank::new(520, "write-back batch");
pub(crate) const PSN_TABLE: Rank = Rank::new(785, "PSN table");
pub(crate) const RING: Rank = Rank::new(790, "scan ring");
pub(crate) const FREE_LIST: Rank = Rank::new(800, "free frames");
pub(crate) const POISON: Rank = Rank::new(810, "pool failure");
pub(crate) const FILES: Rank = Rank::new(820, "page files");
pub(crate) const BUDGET: Rank = Rank::new(900, "budget accounts");
