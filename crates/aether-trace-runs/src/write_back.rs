//! Runs of a store below transactions, for `tla/write_back`: mini-transactions change a few pages, batches are written back,
//! checkpoints are taken.
//!
//! Pool, log, mini-transactions and checkpoints are the code under test; only which thread does what is decided here.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::wal::buffer::page::{PageOp, Swip};
use aether_index::txn::recovery::{PAGES_FILE, Store};
use aether_sim::{Sim, file_number};
use aether_sync::Arc;
use aether_trace::take;
use aether_types::{Lsn, Lv, PageNo, Result, StreamId, limits};

const STREAMS: usize = 2;
const PAGES: usize = 3;
const THREADS: u64 = 3;
/// At most, of one thread. The spec has room for the records of all.
const CHANGES_EACH: u64 = 3;

/// A page that takes part: its number, its frame, its sequence number at first.
type Page = (PageNo, u32, u64);

struct World {
    store: Arc<Store>,
    /// In the order of their frames, which is that of checkpoints.
    pages: Vec<Page>,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let world = Arc::new(World::open(seed).expect("a store on a sound disk opens"));
    let file = world.store.pool().file(PAGES_FILE).expect("a store has pages");
    // What has led here is the spec's initial state.
    drop(take());
    let threads = (1..=THREADS).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            world.work(&mut dice).expect("the store is sound");
        })
    });
    stage::join(threads);
    let disk =
        told::Disk { file: file_number(file.path()), page_bytes: world.store.page_size().bytes() as u64 };
    told::translate(take(), &world.pages, disk)
}

impl World {
    /// A store with some pages, all of them clean.
    fn open(seed: u64) -> Result<Self> {
        let mut config = stage::config(24, STREAMS);
        config.wal.flusher = seed.is_multiple_of(2);
        let store = stage::redone(&Sim::new(seed), config)?.into_parts().0;
        let mut pages = (0..PAGES).map(|_| make_page(&store)).collect::<Result<Vec<_>>>()?;
        pages.sort_by_key(|(_, frame, _)| *frame);
        store.checkpoint()?;
        Ok(Self { store, pages })
    }

    fn work(&self, dice: &mut Dice) -> Result<()> {
        let mut changes = 0;
        for _ in 0..4 + dice.below(3) {
            match dice.below(6) {
                0 => self.store.checkpoint()?,
                1..=3 => drop(self.store.pool().write_back_below(&everywhere())?),
                _ if changes < CHANGES_EACH => {
                    changes += 1;
                    self.change(dice)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Changes one page or several in one group.
    fn change(&self, dice: &mut Dice) -> Result<()> {
        let stream = StreamId::new(dice.below(STREAMS as u64) as u8);
        let first = dice.below(PAGES as u64) as usize;
        let last = if dice.once_in(2) { first } else { PAGES - 1 };
        let mut mtr = self.store.mtr(stream, 512)?;
        for (page, ..) in &self.pages[first..=last] {
            let slot = mtr.add(self.store.pool().exclusive(PAGES_FILE, Swip::new(*page))?);
            let bytes = dice.next().to_le_bytes().to_vec().into();
            mtr.op(slot, PageOp::FixedSet { index: 0, bytes })?;
        }
        mtr.commit();
        Ok(())
    }
}

fn make_page(store: &Store) -> Result<Page> {
    let mut mtr = store.mtr(StreamId::new(0), 512)?;
    let slot = mtr.allocate()?;
    mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 })?;
    let (page, psn, swip) = (mtr.page_no(slot), mtr.next_psn(slot), mtr.swip(slot));
    mtr.commit();
    Ok((page, swip.hint().unwrap_or_default(), psn.get()))
}

/// Above every position.
fn everywhere() -> Lv {
    let mut lv = Lv::ZERO;
    (0..limits::STREAMS_MAX as u8).for_each(|stream| lv.set(StreamId::new(stream), Lsn::new(u64::MAX)));
    lv
}
