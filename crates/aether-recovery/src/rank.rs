//! Lock ranks of this crate; see `docs/locking.md`.

use aether_sync::Rank;

pub(crate) const CHECKPOINT: Rank = Rank::new(300, "checkpoint under way");
pub(crate) const CHECKPOINT_BELL: Rank = Rank::new(305, "checkpoint thread");
pub(crate) const ACTIVE: Rank = Rank::new(310, "active transactions");
pub(crate) const REDO_BATCHES: Rank = Rank::new(320, "redo batches");
pub(crate) const REDO_SPARES: Rank = Rank::new(325, "spare redo batches");
pub(crate) const CONTROL: Rank = Rank::new(650, "control file");
pub(crate) const FILE_IDS: Rank = Rank::new(648, "file ids");
pub(crate) const HOPELESS: Rank = Rank::new(645, "pages that cannot be rebuilt");
pub(crate) const REDO_START: Rank = Rank::new(640, "redo start");
pub(crate) const LOCK: Rank = Rank::new(655, "lock on the home");
