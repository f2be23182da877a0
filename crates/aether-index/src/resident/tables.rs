//! All tables of rows of a store, by id: where redo finds them before the catalog can be read, and undo at any time.

use super::rank;
use super::rows::Rows;
use aether_sync::{Arc, RwLock};
use aether_txn::recovery::wal::buffer::{Account, Budget};
use aether_txn::recovery::{Advance, Participant, RowPart};
use aether_types::{Lv, Result};
use std::collections::BTreeMap;

/// Bytes that a map can hold at the most.
const MAP_BYTES_MAX: u64 = 32 << 30;
/// Bytes that it holds at the least, however small the budget: redo may need them.
const MAP_BYTES_MIN: u64 = 1 << 20;

/// The tables of rows of one store.
pub struct Tables {
    by_id: RwLock<BTreeMap<u32, Arc<Rows>>>,
    account: Account,
    memory_bytes_max: u64,
    seed: u64,
}

impl Tables {
    /// None yet. `seed` is drawn by chance, so that nobody can choose keys that make searches slow.
    pub fn new(budget: &Budget, seed: u64) -> Arc<Self> {
        let memory_bytes_max = budget.limit_bytes().saturating_mul(2).clamp(MAP_BYTES_MIN, MAP_BYTES_MAX);
        let by_id = RwLock::new(rank::TABLES, BTreeMap::new());
        Arc::new(Self { by_id, account: budget.account("rows in memory"), memory_bytes_max, seed })
    }

    /// The table's rows; none yet if it was not there.
    ///
    /// # Errors
    /// `OverLimit` without memory.
    pub(super) fn rows(&self, id: u32) -> Result<Arc<Rows>> {
        if let Some(rows) = self.by_id.read().get(&id) {
            return Ok(rows.clone());
        }
        let mut by_id = self.by_id.write();
        if let Some(rows) = by_id.get(&id) {
            return Ok(rows.clone());
        }
        let rows = Arc::new(Rows::new(id, self.account.clone(), self.memory_bytes_max, self.seed)?);
        by_id.insert(id, rows.clone());
        Ok(rows)
    }

    /// Forgets a table that nobody uses any more, and with it what it needs of the log.
    pub fn forget(&self, id: u32) {
        self.by_id.write().remove(&id);
    }

    fn all(&self) -> Vec<Arc<Rows>> {
        self.by_id.read().values().cloned().collect()
    }
}

impl Participant for Tables {
    fn name(&self) -> &'static str {
        "rows in memory"
    }

    fn redo(&self, part: &RowPart<'_>) -> Result<bool> {
        self.rows(part.place.table)?.redo(part).map(|()| true)
    }

    fn floor(&self, start: &mut Lv) {
        self.all().iter().for_each(|rows| rows.slices.lower(start));
    }

    fn advance(&self, _bound: &Lv) -> Result<Advance> {
        Ok(Advance::Cannot)
    }
}
