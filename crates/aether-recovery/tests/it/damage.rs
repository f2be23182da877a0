//! Pages whose bytes are damaged: made anew from the log, fenced if that does not hold their life, never taken for others.

use crate::world::{HOME, MTR_BYTES, World, config, stream};
use aether_recovery::pages_path;
use aether_recovery::wal::buffer::page::space_map::entries_per_page;
use aether_sim::{Fault, Sim};
use aether_types::{ErrorKind, PageNo, PageSize};
use std::path::Path;

/// Flips a bit of a page in the file.
fn damage(sim: &Sim, page: PageNo) {
    let byte = page.get() * PageSize::MIN.bytes() as u64 + 100;
    sim.inject(Fault::FlipBit { path: pages_path(Path::new(HOME)), byte, bit: 3 });
}

/// Writes all back, twice: what the double-write area holds is of the second time.
fn settle(world: &World, others: &[PageNo]) {
    world.store.checkpoint().unwrap();
    others.iter().for_each(|cell| _ = world.set(0, *cell, 1));
    world.store.checkpoint().unwrap();
}

#[test]
fn a_page_whose_life_is_in_the_log_is_made_anew() {
    let world = World::new(config(1, 1));
    let cells = world.cells(4);
    world.set(0, cells[1], 6);
    world.store.pool().flush_all().unwrap();
    world.sync();
    let sim = world.sim.kill_image();
    damage(&sim, cells[1]);
    let again = World::open(&sim, config(1, 1)).unwrap();
    assert_eq!((again.all(&cells), again.report.fenced), (vec![0, 6, 0, 0], vec![]));
}

/// Its last change is in the log, its beginning is not. It was taken for a new page that lacks changes.
#[test]
fn a_page_that_lacks_its_beginning_is_fenced_and_the_rest_opens() {
    for threads in [1, 3] {
        let world = World::new(config(1, threads));
        let cells = world.cells(40);
        settle(&world, &cells[20..]);
        (2..5).for_each(|number| _ = world.set(0, cells[3], number));
        world.set(0, cells[30], 8);
        world.sync();
        let sim = world.sim.kill_image();
        damage(&sim, cells[3]);
        let again = World::open(&sim, config(1, threads)).unwrap();
        assert_eq!(again.report.fenced, [cells[3]]);
        assert_eq!(again.report.pages_waited, 3);
        assert_eq!(again.get(cells[3]).unwrap_err().kind(), ErrorKind::Corruption);
        assert_eq!((again.get(cells[4]).unwrap(), again.get(cells[30]).unwrap()), (0, 8));
    }
}

#[test]
fn a_damaged_page_that_begins_a_life_needs_nothing_of_it() {
    let world = World::new(config(1, 1));
    let cells = world.cells(40);
    settle(&world, &cells[20..]);
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    let pool = mtr.store().pool();
    let page = aether_recovery::wal::buffer::page::Swip::new(cells[3]);
    let slot = mtr.add(pool.exclusive(aether_recovery::PAGES_FILE, page).unwrap());
    mtr.free(slot).unwrap();
    mtr.commit();
    assert_eq!(world.cell(), cells[3]);
    world.set(0, cells[3], 9);
    world.sync();
    let sim = world.sim.kill_image();
    damage(&sim, cells[3]);
    let again = World::open(&sim, config(1, 1)).unwrap();
    assert_eq!((again.get(cells[3]).unwrap(), again.report.fenced), (9, vec![]));
}

/// A map page that cannot be read is no sign that the file ends before it.
#[test]
fn a_damaged_map_page_is_not_the_end_of_the_map() {
    let covered = entries_per_page(PageSize::MIN) as u64;
    let world = World::new(config(1, 1));
    let cells = world.cells(40);
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    mtr.allocate_run(covered).unwrap();
    mtr.commit();
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    mtr.allocate_run(covered).unwrap();
    mtr.commit();
    settle(&world, &cells);
    world.store.close().unwrap();
    let sim = world.sim.kill_image();
    damage(&sim, PageNo::new(covered + 2));
    assert_eq!(World::open(&sim, config(1, 1)).map(drop).unwrap_err().kind(), ErrorKind::Corruption);
}
