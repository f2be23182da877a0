//! Lock ranks of this crate; see `docs/locking.md`.

use aether_sync::Rank;

pub(crate) const PREPARED: Rank = Rank::new(90, "prepared transactions");
pub(crate) const SWITCHING: Rank = Rank::new(95, "a switch to the next index");
pub(crate) const GARBAGE: Rank = Rank::new(100, "dropped keyspaces");
pub(crate) const SLOTS: Rank = Rank::new(105, "slots of keyspaces");
pub(crate) const INDEXES: Rank = Rank::new(110, "open indexes");
pub(crate) const CAPTURED: Rank = Rank::new(120, "keys changed during a conversion");
pub(crate) const OVERLAY_NAMES: Rank = Rank::new(880, "overlay names");
pub(crate) const OVERLAY_BYTES: Rank = Rank::new(885, "overlay bytes");
