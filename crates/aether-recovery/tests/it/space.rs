//! Allocation: the space map's pages, one and several, over restarts.

use crate::world::{MTR_BYTES, World, config, empty, stream};
use aether_recovery::wal::buffer::page::Swip;
use aether_recovery::wal::buffer::page::space_map::{PageState, entries_per_page};
use aether_recovery::{FIRST_TREE_ROOT, PAGES_FILE, SpaceStats};
use aether_types::{ErrorKind, PageNo, PageSize, Psn};

/// Pages that one map page covers.
const COVERED: u64 = entries_per_page(PageSize::MIN) as u64;

/// Takes a run of pages, and never uses them.
fn take(world: &World, count: u64) -> PageNo {
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    let (first, _) = mtr.allocate_run(count).unwrap();
    mtr.commit();
    first
}

fn give_back(world: &World, first: PageNo, count: u64) {
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    mtr.free_run(first, count, Psn::new(0)).unwrap();
    mtr.commit();
}

fn free_pages(world: &World) -> u64 {
    world.store.space_stats().unwrap().free_pages
}

#[test]
fn pages_of_one_group_are_all_different() {
    let world = World::new(config(1, 1));
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    let slots = [0; 5].map(|_| mtr.allocate().unwrap());
    let pages = slots.map(|slot| mtr.page_no(slot));
    slots.into_iter().for_each(|slot| mtr.op(slot, empty()).unwrap());
    mtr.commit();
    let first = FIRST_TREE_ROOT.offset(1);
    assert_eq!(pages, core::array::from_fn(|at| first.offset(at as u64)));
    assert!(pages.iter().all(|page| world.store.page_state(*page).unwrap() == PageState::Used));
    assert_eq!(world.store.page_state(first.offset(5)).unwrap(), PageState::Free);
}

#[test]
fn the_file_grows_by_map_pages_that_a_restart_finds() {
    let mut world = World::new(config(1, 1));
    let stats = |maps, free_pages| SpaceStats { pages: 1 + maps * (COVERED + 1), free_pages };
    let left = COVERED - 2;
    assert_eq!(world.store.space_stats().unwrap(), stats(1, left));
    // A whole map's run does not fit into the first, which stays as it is.
    let (second, third) = (take(&world, COVERED), take(&world, COVERED));
    assert_eq!((second, third), (PageNo::new(COVERED + 3), PageNo::new(2 * COVERED + 4)));
    assert_eq!(world.store.space_stats().unwrap(), stats(3, left));
    assert_eq!(world.store.page_state(third).unwrap(), PageState::ExtentFirst);
    assert_eq!(world.store.page_state(third.offset(1)).unwrap(), PageState::ExtentRest);
    for close in [false, true, true] {
        if close {
            world.store.close().unwrap();
        }
        world.sync();
        world = world.after_cut(config(1, 1)).unwrap();
        assert_eq!(world.store.space_stats().unwrap(), stats(3, left));
        assert_eq!(world.store.page_state(third.offset(COVERED - 1)).unwrap(), PageState::ExtentRest);
    }
    give_back(&world, third, COVERED);
    assert_eq!(free_pages(&world), left + COVERED);
    give_back(&world, second.offset(7), 1);
    assert_eq!(free_pages(&world), left + COVERED + 1);
    assert_eq!(world.store.page_state(second.offset(7)).unwrap(), PageState::Free);
    // The lowest that is free comes first.
    assert_eq!(take(&world, left), FIRST_TREE_ROOT.offset(1));
    assert_eq!((world.cell(), world.cell()), (second.offset(7), third));
    assert_eq!(world.store.space_stats().unwrap(), stats(3, COVERED - 1));
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    assert_eq!(mtr.allocate_run(COVERED + 1).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// A group that needs more than a new map page has left goes on in the next.
#[test]
fn a_new_map_page_is_filled_to_its_end() {
    let world = World::new(config(1, 1));
    take(&world, COVERED - 2);
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    let (first, _) = mtr.allocate_run(COVERED - 2).unwrap();
    let (second, _) = mtr.allocate_run(2).unwrap();
    let (third, _) = mtr.allocate_run(1).unwrap();
    mtr.commit();
    assert_eq!(first, PageNo::new(COVERED + 3));
    assert_eq!((second, third), (first.offset(COVERED - 2), first.offset(COVERED + 1)));
}

#[test]
fn a_freed_page_begins_its_next_life_above_the_last() {
    let mut world = World::new(config(1, 1));
    let cell = world.cell();
    (1..10).for_each(|number| _ = world.set(0, cell, number));
    let store = world.store.clone();
    let last = world.psn(cell);
    let mut mtr = store.mtr(stream(0), MTR_BYTES).unwrap();
    let slot = mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(cell)).unwrap());
    mtr.free(slot).unwrap();
    mtr.commit();
    assert_eq!(store.page_state(cell).unwrap(), PageState::Free);
    assert_eq!(world.cell(), cell);
    assert!(world.psn(cell) > last);
    world.set(0, cell, 4);
    world.sync();
    world = world.after_cut(config(1, 1)).unwrap();
    assert_eq!(world.get(cell).unwrap(), 4);
}

#[test]
fn references_outside_the_file_are_refused() {
    let world = World::new(config(1, 1));
    for page in [PageNo::new(0), PageNo::new(PageNo::END)] {
        assert_eq!(world.store.check_page(page).unwrap_err().kind(), ErrorKind::Corruption);
    }
    world.store.check_page(PageNo::new(1)).unwrap();
    world.store.check_page(PageNo::new(PageNo::END - 1)).unwrap();
    assert_eq!(world.store.page_state(PageNo::new(1)).unwrap_err().kind(), ErrorKind::Corruption);
}
