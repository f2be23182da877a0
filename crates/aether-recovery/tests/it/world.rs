//! A store whose content is cells: each a page, whose header has a number.

use aether_recovery::wal::WalConfig;
use aether_recovery::wal::buffer::BufferConfig;
use aether_recovery::wal::buffer::page::slotted::Slotted;
use aether_recovery::wal::buffer::page::{PageOp, PageType, Swip, header};
use aether_recovery::{Loser, Opening, PAGES_FILE, Participants, RecoveryReport, Store, StoreConfig};
use aether_sim::{CrashPolicy, Sim};
use aether_sync::Arc;
use aether_types::{Lv, PageNo, PageSize, Psn, Result, StreamId};
use std::path::Path;

/// Where stores are.
pub(crate) const HOME: &str = "/home";
/// Bytes of log that one change takes at the most.
pub(crate) const MTR_BYTES: usize = 8192;
/// Owner of the cells' pages.
const OWNER: u64 = 77;

/// A store of small segments, with so many streams and redo threads.
pub(crate) fn config(streams: usize, redo_threads: usize) -> StoreConfig {
    let buffer = BufferConfig {
        num_frames: 96,
        page_size: PageSize::MIN,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let wal = WalConfig {
        streams,
        segment_bytes: 64 << 10,
        ring_bytes: 64 << 10,
        flusher: false,
        ..WalConfig::default()
    };
    StoreConfig { buffer, wal, redo_threads, ..StoreConfig::default() }
}

/// The stream with this number.
pub(crate) fn stream(number: u8) -> StreamId {
    StreamId::new(number)
}

/// An open store, and what the open found.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) store: Arc<Store>,
    pub(crate) losers: Vec<Loser>,
    pub(crate) report: RecoveryReport,
}

impl World {
    pub(crate) fn new(config: StoreConfig) -> Self {
        Self::open(&Sim::new(1), config).unwrap()
    }

    pub(crate) fn open(sim: &Sim, config: StoreConfig) -> Result<Self> {
        Self::open_with(sim, config, Vec::new())
    }

    pub(crate) fn open_with(sim: &Sim, config: StoreConfig, rows: Participants) -> Result<Self> {
        let opening = Opening::begin(sim.env(), Path::new(HOME), config, true)?;
        let (store, losers, report) = opening.scan()?.redo_with(|_| rows)?.into_parts();
        Ok(Self { sim: sim.clone(), store, losers, report })
    }

    /// The store after the death of its process, opened again.
    pub(crate) fn after_kill(&self, config: StoreConfig) -> Result<Self> {
        Self::open(&self.sim.kill_image(), config)
    }

    /// The store after a power cut that leaves what was durable, opened again.
    pub(crate) fn after_cut(&self, config: StoreConfig) -> Result<Self> {
        Self::open(&self.sim.crash_image(CrashPolicy::LoseAll), config)
    }

    /// Makes a cell with the number 0, through stream 0.
    pub(crate) fn cell(&self) -> PageNo {
        let mut mtr = self.store.mtr(stream(0), MTR_BYTES).unwrap();
        let slot = mtr.allocate().unwrap();
        let page = mtr.page_no(slot);
        mtr.op(slot, empty()).unwrap();
        mtr.commit();
        page
    }

    pub(crate) fn cells(&self, count: usize) -> Vec<PageNo> {
        (0..count).map(|_| self.cell()).collect()
    }

    /// Writes into a cell through a stream; returns the vector of the group.
    pub(crate) fn set(&self, through: u8, cell: PageNo, number: u64) -> Lv {
        let mut mtr = self.store.mtr(stream(through), MTR_BYTES).unwrap();
        let slot = mtr.add(self.store.pool().exclusive(PAGES_FILE, Swip::new(cell)).unwrap());
        mtr.op(slot, number_is(number)).unwrap();
        mtr.commit()
    }

    /// What stands in a cell.
    pub(crate) fn get(&self, cell: PageNo) -> Result<u64> {
        let page = self.store.pool().shared(PAGES_FILE, Swip::new(cell))?;
        Ok(Slotted::new(page.view()).aux())
    }

    /// The sequence number of a page.
    pub(crate) fn psn(&self, page: PageNo) -> Psn {
        header::psn(self.store.pool().shared(PAGES_FILE, Swip::new(page)).unwrap().view())
    }

    pub(crate) fn all(&self, cells: &[PageNo]) -> Vec<u64> {
        cells.iter().map(|cell| self.get(*cell).unwrap()).collect()
    }

    /// Makes everything that was logged durable.
    pub(crate) fn sync(&self) {
        let log = self.store.log().unwrap();
        log.wait_durable(&log.slv_join()).unwrap();
    }
}

/// The beginning of a cell's life.
pub(crate) fn empty() -> PageOp<'static> {
    PageOp::SlottedInit { page_type: PageType::Slotted, owner: OWNER, link: 0, aux: 0 }
}

/// A cell's change.
pub(crate) fn number_is(number: u64) -> PageOp<'static> {
    PageOp::SlottedHeader { link: 0, aux: number }
}
