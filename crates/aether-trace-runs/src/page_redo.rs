//! Runs of one page, for `tla/page_redo`: it is allocated, changed, freed and allocated anew, while others write pages back
//! and take checkpoints; the power goes, or the process dies, also in the middle of a repair, and the store is opened again.
//!
//! Pool, double-write area, log, space map, checkpoint and redo are the code under test.

mod told;

use crate::home::after_crash;
use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::wal::buffer::DOUBLE_WRITE_NAME;
use aether_index::txn::recovery::wal::buffer::page::space_map::PageState;
use aether_index::txn::recovery::wal::buffer::page::{PageOp, Swip, header::psn};
use aether_index::txn::recovery::{Mtr, PAGES_FILE, Store, pages_path};
use aether_sim::{Sim, file_number};
use aether_sync::{Arc, thread};
use aether_trace::{act, name_thread, take};
use aether_types::{Lv, PageNo, Result, StreamId};
use std::path::Path;

const HOME: &str = "/home";
const STREAM: StreamId = StreamId::new(0);
const PAGE_BYTES: u64 = 4096;
/// The thread that opens stores and ends them.
const OPENER: u64 = 9;
/// Of a group, at the most.
const GROUP_BYTES: usize = 512;
/// No page has this number: a store on a sound disk did not open.
const DAMAGED: u64 = 99;
/// What an opening does on the disk, more or less.
const OPENING: u64 = 24;

/// What the translation must know: the page, and the numbers of the files that it is in.
pub(crate) struct Places {
    page: u64,
    pages_file: u64,
    area_file: u64,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let mut sim = Sim::new(seed);
    let mut opened = open(&sim).and_then(|store| begin(&store).map(|page| (store, page)));
    let page = opened.as_ref().map(|(_, page)| *page).expect("a store on a sound disk opens");
    let home = Path::new(HOME);
    let places = Places {
        page: page.get(),
        pages_file: file_number(&pages_path(home)),
        area_file: file_number(&home.join(DOUBLE_WRITE_NAME)),
    };
    // What has led here is the spec's initial state.
    drop(take());
    name_thread(OPENER);
    for life in 1..2 + dice.below(4) {
        if let Ok((store, _)) = opened {
            if !dice.once_in(4) {
                sim.cut_power_at(sim.op_count() + dice.below(30));
            }
            live(store, page, Dice::new(seed, 10 * life));
        }
        sim = after_crash(&sim, &mut dice);
        if dice.once_in(2) {
            sim.cut_power_at(dice.below(OPENING));
        }
        opened = open(&sim).and_then(|store| look(&store, page).map(|()| (store, page)));
        if opened.is_err() && !sim.is_off() {
            // The spec has no such end.
            act("Redo", || (), |()| [DAMAGED, 0]);
            break;
        }
    }
    told::translate(take(), &places)
}

fn open(sim: &Sim) -> Result<Arc<Store>> {
    let mut config = stage::config(16, 1);
    config.wal.ring_bytes = 64 << 10;
    Ok(stage::redone(sim, config)?.into_parts().0)
}

/// Begins to write, so that the store is not closed cleanly; tells which page comes first.
fn begin(store: &Store) -> Result<PageNo> {
    let mut mtr = store.mtr(STREAM, GROUP_BYTES)?;
    let slot = mtr.allocate()?;
    Ok(mtr.page_no(slot))
}

/// Reads what redo has made of the page; one that was never written has no number.
fn look(store: &Store, page: PageNo) -> Result<()> {
    let number =
        || store.pool().shared(PAGES_FILE, Swip::new(page)).map_or(0, |guard| psn(guard.view()).get());
    let is_live = is_live(store, page)?;
    act("Redo", number, |psn| [*psn, u64::from(is_live)]);
    Ok(())
}

fn is_live(store: &Store, page: PageNo) -> Result<bool> {
    Ok(store.page_state(page)? != PageState::Free)
}

fn live(store: Arc<Store>, page: PageNo, mut dice: Dice) {
    let changer = Changer { store: store.clone(), page, dice: dice.clone() };
    let mut threads = vec![thread::spawn("changer", move || {
        name_thread(1);
        // The power cut ends it.
        let _ = changer.work();
    })];
    for number in 2..4 {
        let (store, mut dice) = (store.clone(), Dice::new(dice.next(), number));
        threads.push(stage::worker(number, move || {
            let _ = write_back(&store, &mut dice);
        }));
    }
    stage::join(threads);
}

fn write_back(store: &Store, dice: &mut Dice) -> Result<()> {
    for _ in 0..1 + dice.below(2) {
        if dice.once_in(2) {
            store.checkpoint()?;
        } else {
            store.pool().flush_all()?;
        }
    }
    Ok(())
}

/// Who uses the page.
struct Changer {
    store: Arc<Store>,
    page: PageNo,
    dice: Dice,
}

impl Changer {
    fn work(mut self) -> Result<()> {
        let mut is_live = is_live(&self.store, self.page)?;
        for _ in 0..2 + self.dice.below(5) {
            let ends = is_live && self.dice.once_in(4);
            let lv = match (is_live, ends) {
                (false, _) => self.allocate()?,
                (true, true) => self.free()?,
                (true, false) => self.change()?,
            };
            is_live = !ends;
            if let (Some(log), true) = (self.store.log(), self.dice.once_in(3)) {
                log.wait_durable(&lv)?;
            }
        }
        Ok(())
    }

    fn allocate(&mut self) -> Result<Lv> {
        let number = self.number();
        let mut mtr = self.store.mtr(STREAM, GROUP_BYTES)?;
        let slot = mtr.allocate()?;
        mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 })?;
        mtr.op(slot, PageOp::FixedSet { index: 0, bytes: number.into() })?;
        let psn = mtr.next_psn(slot).get();
        Ok(act("Allocate", || mtr.commit(), |_| [psn]))
    }

    fn change(&mut self) -> Result<Lv> {
        let number = self.number();
        let mut mtr = self.mtr()?;
        let slot = mtr.add(self.store.pool().exclusive(PAGES_FILE, Swip::new(self.page))?);
        mtr.op(slot, PageOp::FixedSet { index: 0, bytes: number.into() })?;
        let psn = mtr.next_psn(slot).get();
        Ok(act("Change", || mtr.commit(), |_| [psn]))
    }

    fn free(&mut self) -> Result<Lv> {
        let mut mtr = self.mtr()?;
        let slot = mtr.add(self.store.pool().exclusive(PAGES_FILE, Swip::new(self.page))?);
        let psn = mtr.next_psn(slot).get() - 1;
        mtr.free(slot)?;
        Ok(act("Free", || mtr.commit(), |_| [psn]))
    }

    fn mtr(&self) -> Result<Mtr<'_, '_>> {
        self.store.mtr(STREAM, GROUP_BYTES)
    }

    /// No two changes leave the same bytes.
    fn number(&mut self) -> Vec<u8> {
        self.dice.next().to_le_bytes().to_vec()
    }
}
