//! Ranks of this crate's locks (`docs/locking.md`).

use aether_sync::Rank;

pub(crate) const MERGE: Rank = Rank::new(193, "a merge under way");
pub(crate) const MERGES: Rank = Rank::new(194, "the merges under way");
pub(crate) const CLAIMS: Rank = Rank::new(350, "runs that are being merged");
pub(crate) const INSTALL: Rank = Rank::new(355, "installing a version, left-right");
pub(crate) const COPY: Rank = Rank::new(358, "a copied reference to the level list");
pub(crate) const SIDE: Rank = Rank::new(360, "a side of the level list");
pub(crate) const SLOT: Rank = Rank::new(365, "a slot of the level list");
