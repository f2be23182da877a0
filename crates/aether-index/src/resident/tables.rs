//! All tables of rows of a store, by id: where redo finds them before the catalog can be read, and undo at any time.

use super::below::Below;
use super::flush::known_from;
use super::rank;
use super::rows::{Home, Rows};
use super::write_out::WriteOut;
use super::{Resident, image};
use crate::trace;
use crate::traits::Anchor;
use aether_page::UndoPtr;
use aether_sync::{Arc, Mutex, RwLock};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Account, Budget};
use aether_txn::recovery::{ActiveTxn, Store};
use aether_txn::recovery::{Advance, Participant, RowPart};
use aether_txn::{TxnManager, UndoRecord};
use aether_types::limits::STREAMS_MAX;
use aether_types::{Error, ErrorKind, Lv, Result};
use std::collections::BTreeMap;

/// Bytes that a map can hold at the most.
const MAP_BYTES_MAX: u64 = 32 << 30;
/// Bytes that it holds at the least, however small the budget: redo may need them.
const MAP_BYTES_MIN: u64 = 1 << 20;

/// How tables of rows are kept.
#[derive(Clone, Copy, Debug)]
pub struct TablesConfig {
    /// Decides how high each key's node is; drawn by chance, so that nobody can choose keys that make searches slow.
    pub seed: u64,
    /// Bytes of a slice that is written out, about.
    pub slice_bytes: usize,
}

impl TablesConfig {
    /// With this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, slice_bytes: 64 << 10 }
    }
}

/// The tables of rows of one store.
pub struct Tables {
    by_id: RwLock<BTreeMap<u32, Arc<Rows>>>,
    account: Account,
    memory_bytes_max: u64,
    config: TablesConfig,
    /// Who writes slices out.
    advancing: Mutex<Pass>,
}

/// Where writing out stands.
#[derive(Default)]
struct Pass {
    table: u32,
    key: Vec<u8>,
    /// Slices have been replaced, and their pages are not given back yet.
    has_old: bool,
}

impl Tables {
    /// None yet.
    pub fn new(budget: &Budget, config: TablesConfig) -> Arc<Self> {
        let memory_bytes_max = budget.limit_bytes().saturating_mul(2).clamp(MAP_BYTES_MIN, MAP_BYTES_MAX);
        let by_id = RwLock::new(rank::TABLES, BTreeMap::new());
        let account = budget.account("rows in memory");
        let advancing = Mutex::new(rank::ADVANCING, Pass::default());
        Arc::new(Self { by_id, account, memory_bytes_max, config, advancing })
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
        let rows = Arc::new(Rows::new(id, self.account.clone(), self.memory_bytes_max, self.config.seed)?);
        by_id.insert(id, rows.clone());
        Ok(rows)
    }

    /// Forgets a table that nobody uses any more, and with it what it needs of the log. Its id must not be used again
    /// before the next open.
    pub fn forget(&self, id: u32) {
        self.by_id.write().remove(&id);
    }

    /// Forgets the tables that redo has met and that are none any more. For who has read the catalog.
    pub fn retain(&self, is_known: impl Fn(u32) -> bool) {
        self.by_id.write().retain(|id, _| is_known(*id));
    }

    /// Nothing of the table is written out any more from now on; blocks while it is. Its image may go then.
    pub(super) fn detach(&self, rows: &Rows) {
        let _nobody = self.advancing.lock();
        rows.detach();
    }

    /// Opens the rows that lie over `below`, as the log has them: the table that `anchor` names. `known` is what
    /// [`Leaving::known`](super::Leaving::known) gave for what was handed over last, none if nothing ever was. They go below by themselves
    /// once [`Resident::flush_by`] says how.
    ///
    /// # Errors
    /// `Corruption` if changes are missing that the log should have; `OverLimit` without memory.
    pub fn open_over(
        self: &Arc<Self>,
        txns: &Arc<TxnManager>,
        anchor: Anchor,
        below: Arc<dyn Below>,
        known: Option<&[u8]>,
    ) -> Result<Resident> {
        let rows = self.rows(anchor.id)?;
        let known = known.map(known_from).transpose()?;
        rows.lay_over(txns, known.as_ref())?;
        Ok(Resident::over(txns.clone(), self.clone(), rows, anchor, below))
    }

    /// What stands for no rows yet of the table `id`, which is being made: as [`Leaving::known`](super::Leaving::known).
    ///
    /// # Errors
    /// `OverLimit` without memory.
    pub fn known_at_creation(&self, store: &Store, id: u32) -> Result<Vec<u8>> {
        let mut known = Vec::new();
        image::encode_known(&self.rows(id)?.known_at_creation(store.incarnation()), &mut known);
        Ok(known)
    }

    /// Undoes a change of a row that lies over something; as [`IndexFactory::undo`](crate::IndexFactory::undo).
    ///
    /// # Errors
    /// Of the log and of pages; `OverLimit` if the map is full.
    pub fn undo(
        &self,
        txns: &TxnManager,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        self.rows(record.tree)?.undo(txns, txn, pointer, record)
    }

    /// The table is about to go, or was never made: nothing of it needs the log any more.
    ///
    /// # Errors
    /// `OverLimit` without memory.
    pub fn abandon(&self, id: u32) -> Result<()> {
        let rows = self.rows(id)?;
        self.detach(&rows);
        rows.slices.forget();
        Ok(())
    }

    /// Bytes of log up to `end`, that of everybody, from the oldest change on that a table's rows need; 0 if they need none.
    pub fn log_bytes(&self, id: u32, end: &Lv) -> u64 {
        let Some(rows) = self.by_id.read().get(&id).cloned() else { return 0 };
        let mut start = *end;
        rows.slices.lower(&mut start);
        end.iter(STREAMS_MAX).map(|(stream, end)| end.get() - start.get(stream).get()).sum()
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

    fn advance(&self, bound: &Lv) -> Result<Advance> {
        let Some(mut pass) = self.advancing.try_lock() else { return Ok(Advance::Busy) };
        match self.write_out(&mut pass, bound) {
            Err(error) if is_of_the_moment(&error) => Ok(Advance::Cannot),
            advanced => advanced,
        }
    }

    fn restart_bytes(&self) -> u64 {
        self.all().iter().map(|rows| rows.slices.bytes()).sum()
    }
}

impl Tables {
    /// Writes the next slices out that need log below `bound`, table after table.
    fn write_out(&self, pass: &mut Pass, bound: &Lv) -> Result<Advance> {
        let mut all = self.all();
        let first = all.partition_point(|rows| rows.id() < pass.table);
        all.rotate_left(first);
        let mut last = None;
        for (rows, home) in all.iter().filter_map(|rows| Some((rows, rows.home()?))) {
            let (manager, root) = match home {
                Home::Image(manager, root) => match manager.upgrade() {
                    Some(manager) => (manager, root),
                    None => continue,
                },
                Home::Below(flush) => match flush.upgrade().filter(|_| rows.slices.needs(bound)) {
                    Some(flush) => match flush.flush()? {
                        Advance::Reached => continue,
                        not_yet => return Ok(not_yet),
                    },
                    None => continue,
                },
            };
            let from = if rows.id() == pass.table { &pass.key[..] } else { &[] };
            let begin = || rows.slices.begin(from, bound, self.config.slice_bytes);
            let Some(due) = trace::begin_slice(begin) else {
                last = Some(manager);
                continue;
            };
            (pass.table, pass.key) = (rows.id(), due.upper.clone().unwrap_or_default());
            let image = image::tree(manager.clone(), root, rows.id());
            let slice_bytes = self.config.slice_bytes;
            let writer = WriteOut { rows: rows.as_ref(), manager: &manager, image, slice_bytes };
            match writer.write(&due) {
                Ok(extents) => trace::written(|| rows.slices.written(&due, &extents)),
                Err(error) => {
                    rows.slices.failed(&due);
                    return Err(error);
                }
            }
            pass.has_old = true;
            return Ok(Advance::Again);
        }
        match last.filter(|_| pass.has_old) {
            Some(manager) => self.give_back(pass, &manager),
            None => Ok(self.outcome(bound)),
        }
    }

    /// Gives the pages of replaced slices back, which can be once what replaced them is durable.
    fn give_back(&self, pass: &mut Pass, manager: &Arc<TxnManager>) -> Result<Advance> {
        if let Some(log) = manager.store().log() {
            log.wait_durable(&log.slv_join())?;
        }
        manager.collect()?;
        pass.has_old = false;
        Ok(Advance::Again)
    }

    /// All is done but for tables that are not open.
    fn outcome(&self, bound: &Lv) -> Advance {
        let mut floor = *bound;
        self.floor(&mut floor);
        if floor == *bound { Advance::Reached } else { Advance::Cannot }
    }
}

/// Who asks goes on, and asks again later.
fn is_of_the_moment(error: &Error) -> bool {
    let kinds = [ErrorKind::OverLimit, ErrorKind::Conflict, ErrorKind::TimedOut, ErrorKind::Deadlock];
    kinds.contains(&error.kind())
}
