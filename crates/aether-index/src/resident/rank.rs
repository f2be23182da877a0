//! Lock ranks of tables of rows; see `docs/locking.md`.

use aether_sync::Rank;

pub(super) const ADVANCING: Rank = Rank::new(190, "slices of rows that are written out");
pub(super) const OPENING: Rank = Rank::new(390, "rows that were redone are laid over those below");
pub(super) const FACTORY: Rank = Rank::new(388, "the tables of rows of a home");
pub(super) const BASE: Rank = Rank::new(393, "what empty slices of rows know");
pub(super) const IMAGE: Rank = Rank::new(394, "where rows are written out");
pub(super) const TABLES: Rank = Rank::new(395, "tables of rows");
pub(super) const STRIPE: Rank = Rank::new(400, "stripe of rows");
pub(super) const SLICES: Rank = Rank::new(405, "slices of rows");
pub(super) const SLICE: Rank = Rank::new(410, "what a slice of rows needs of the log");
