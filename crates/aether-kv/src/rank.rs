//! Lock ranks of this crate; see `docs/locking.md`.

use aether_sync::Rank;

pub(crate) const GARBAGE: Rank = Rank::new(100, "dropped keyspaces");
