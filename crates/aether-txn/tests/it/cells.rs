//! A store whose structure is cells: each a page, whose header has a number. Undo puts the old number back.

use aether_sync::{Arc, Mutex, Rank};
use aether_txn::recovery::wal::buffer::BufferConfig;
use aether_txn::recovery::wal::buffer::page::slotted::Slotted;
use aether_txn::recovery::wal::buffer::page::{PageOp, PageType, Swip, UndoPtr};
use aether_txn::recovery::{ActiveTxn, Opening, PAGES_FILE, Store, StoreConfig};
use aether_txn::{Durability, Prepared, Txn, TxnConfig, TxnManager, UndoHandler, UndoKind, UndoRecord};
use aether_types::{IndexKind, PageNo, Result, StreamId};
use aether_vfs::{Env, ManualClock};
use std::path::Path;

/// Bytes of log that one change takes at the most.
const MTR_BYTES: usize = 8192;
/// Owner of the cells' pages.
const OWNER: u64 = 77;

/// Puts the old number back, and notes which cell it was; notes the stubs whose extents may go.
struct Undo {
    undone: Arc<Mutex<Vec<PageNo>>>,
    freed: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Undo {
    fn new() -> Box<Self> {
        let undone = Arc::new(Mutex::new(Rank::new(1, "test"), Vec::new()));
        Box::new(Self { undone, freed: Arc::new(Mutex::new(Rank::new(2, "test"), Vec::new())) })
    }
}

impl UndoHandler for Undo {
    fn undo(
        &self,
        manager: &Arc<TxnManager>,
        txn: &ActiveTxn,
        _: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        assert_ne!(manager.outcome(record.txn), None, "who is undone is not taken for one who is forgotten");
        let old = u64::from_le_bytes(record.value.try_into().unwrap());
        let store = manager.store();
        let mut mtr = store.mtr(txn.stream(), MTR_BYTES)?;
        let cell = mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(record.root))?);
        mtr.op(cell, PageOp::SlottedHeader { link: 0, aux: old })?;
        mtr.in_txn(txn, record.previous);
        mtr.commit();
        self.undone.lock().push(record.root);
        Ok(())
    }

    fn free_extents(&self, _: &Arc<TxnManager>, stubs: &[Vec<u8>]) -> Result<()> {
        self.freed.lock().extend_from_slice(stubs);
        Ok(())
    }
}

/// A store in memory, with its log, and a clock that stands still until told otherwise.
pub(crate) struct World {
    pub(crate) manager: Arc<TxnManager>,
    pub(crate) clock: Arc<ManualClock>,
    /// The cells that were put back, in that order.
    pub(crate) undone: Arc<Mutex<Vec<PageNo>>>,
    /// The stubs whose extents could go, in that order.
    pub(crate) freed: Arc<Mutex<Vec<Vec<u8>>>>,
    pub(crate) env: Env,
}

fn store_config(streams: usize) -> StoreConfig {
    let buffer = BufferConfig {
        num_frames: 96,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let mut config = StoreConfig { buffer, redo_threads: 1, ..StoreConfig::default() };
    (config.wal.flusher, config.wal.streams) = (false, streams);
    config
}

impl World {
    pub(crate) fn new(config: TxnConfig) -> Self {
        Self::of_streams(1, config)
    }

    pub(crate) fn of_streams(streams: usize, config: TxnConfig) -> Self {
        let clock = Arc::new(ManualClock::new());
        Self::open_with(streams, Env { clock: clock.clone(), ..Env::memory() }, clock, config).unwrap()
    }

    /// The store as it was left, recovered if it was not closed.
    pub(crate) fn open(env: Env, clock: Arc<ManualClock>, config: TxnConfig) -> Result<Self> {
        Self::open_with(1, env, clock, config)
    }

    fn open_with(streams: usize, env: Env, clock: Arc<ManualClock>, config: TxnConfig) -> Result<Self> {
        let opening = Opening::begin(env.clone(), Path::new("/home"), store_config(streams), true)?;
        let redone = opening.scan()?.redo()?;
        let floor = redone.timestamp_floor();
        let (store, losers, _) = redone.into_parts();
        let undo = Undo::new();
        let (undone, freed) = (undo.undone.clone(), undo.freed.clone());
        let manager = TxnManager::resume(store, losers, floor, config, undo)?;
        Ok(Self { manager, clock, undone, freed, env })
    }

    /// The store as it was left by a process that was killed with one transaction, which was prepared: takes that up again.
    pub(crate) fn open_prepared(env: Env, clock: Arc<ManualClock>, row: Prepared) -> Result<(Self, Txn)> {
        let redone =
            Opening::begin(env.clone(), Path::new("/home"), store_config(1), true)?.scan()?.redo()?;
        let floor = redone.timestamp_floor();
        let (store, mut losers, _) = redone.into_parts();
        let undo = Undo::new();
        let (undone, freed) = (undo.undone.clone(), undo.freed.clone());
        let manager = TxnManager::take_over(store, &losers, floor, sync(), undo)?;
        let mut txns = manager.resume_losers(&[], vec![(row, losers.pop())])?;
        Ok((Self { manager, clock, undone, freed, env }, txns.pop().unwrap()))
    }

    fn store(&self) -> &Store {
        self.manager.store()
    }

    /// Makes a cell with the number 0, in no transaction.
    pub(crate) fn cell(&self) -> PageNo {
        let mut mtr = self.store().mtr(StreamId::new(0), MTR_BYTES).unwrap();
        let slot = mtr.allocate().unwrap();
        let page = mtr.page_no(slot);
        let init = PageOp::SlottedInit { page_type: PageType::Slotted, owner: OWNER, link: 0, aux: 0 };
        mtr.op(slot, init).unwrap();
        mtr.commit();
        page
    }

    /// What stands in a cell, whoever wrote it.
    pub(crate) fn get(&self, cell: PageNo) -> u64 {
        Slotted::new(self.store().pool().shared(PAGES_FILE, Swip::new(cell)).unwrap().view()).aux()
    }

    /// Writes into a cell; `room` bytes of the undo record's key are for nothing.
    pub(crate) fn set(&self, txn: &mut Txn, cell: PageNo, number: u64, room: usize) {
        let store = self.store();
        let stream = txn.begin_write().unwrap().stream();
        let plan = {
            let mut mtr = store.mtr(stream, MTR_BYTES).unwrap();
            let slot = mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(cell)).unwrap());
            let old = Slotted::new(mtr.view(slot)).aux().to_le_bytes();
            mtr.op(slot, PageOp::SlottedHeader { link: 0, aux: number }).unwrap();
            let record = UndoRecord {
                txn: txn.id(),
                previous: txn.undo_head(),
                kind: UndoKind::Update,
                in_parts: false,
                flags: 0,
                index: IndexKind::BTREE,
                root: cell,
                tree: 1,
                key: &vec![0; room],
                version: None,
                value: &old,
            };
            let plan = txn.log_undo(&mut mtr, &record).unwrap();
            mtr.commit();
            plan
        };
        txn.applied(plan);
    }

    /// Commits a transaction that writes one cell; its commit is durable.
    pub(crate) fn commit_one(&self, cell: PageNo, number: u64, room: usize) {
        let mut txn = self.manager.begin();
        self.set(&mut txn, cell, number, room);
        txn.commit().unwrap();
    }
}

/// Commits wait until they are durable.
pub(crate) fn sync() -> TxnConfig {
    TxnConfig::new(Durability::Sync)
}
