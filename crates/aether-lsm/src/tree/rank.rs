//! Lock ranks of LSM trees; see `docs/locking.md`.

use aether_index::txn::recovery::wal::buffer::page::sync::Rank;

pub(super) const WORKERS: Rank = Rank::new(185, "threads that flush and merge");
pub(super) const MADE: Rank = Rank::new(186, "merge policies of trees that are being made");
pub(super) const FLUSH: Rank = Rank::new(192, "a flush under way");
pub(super) const EDITING: Rank = Rank::new(195, "an edit of the manifest");
pub(super) const POLICY: Rank = Rank::new(352, "the merge policy in charge");
