//! Lock ranks of this crate; see `docs/locking.md`.

use aether_sync::Rank;

pub(crate) const COLLECT: Rank = Rank::new(200, "version collection");
pub(crate) const SEGMENTS: Rank = Rank::new(210, "undo segments");
pub(crate) const MOVING: Rank = Rank::new(658, "a snapshot that moves");
pub(crate) const SNAPSHOTS: Rank = Rank::new(660, "registered snapshots");
pub(crate) const PENDING: Rank = Rank::new(670, "commits not yet durable");
pub(crate) const TABLE: Rank = Rank::new(680, "transaction table");
pub(crate) const READS: Rank = Rank::new(665, "what a serializable transaction has read");
pub(crate) const LOCKS: Rank = Rank::new(682, "lock table");
pub(crate) const INTENTIONS: Rank = Rank::new(684, "trees that a transaction writes to");
pub(crate) const DEPS: Rank = Rank::new(695, "vectors of commits read");
pub(crate) const RETIRED: Rank = Rank::new(205, "retired extents");
