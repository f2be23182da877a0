//! Page allocation: space-map pages, changed through mini-transactions like any other page.
//!
//! A freed page raises its map page's PSN floor to its own sequence number; a page that begins a new life starts
//! above that floor, so that redo never confuses two lives (P2). Map pages are latched after all others.

use crate::mtr::{Mtr, PageSlot};
use crate::store::{PAGES_FILE, Store};
use aether_page::space_map::PageState;
use aether_page::{PageOp, Swip, space_map};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_types::{Error, ErrorKind, PageNo, Psn, Result};
use aether_wal::buffer::Exclusive;
use aether_wal::buffer::page as aether_page;

/// Where allocation looks first.
pub(crate) struct Space {
    /// The lowest map page (counted from 0) that may have a free page.
    first_map: AtomicU64,
    /// Map pages that exist.
    maps: AtomicU64,
}

/// The space map in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceStats {
    /// Pages that the space map covers, map pages and file header included.
    pub pages: u64,
    /// Free pages among them.
    pub free_pages: u64,
}

impl Space {
    pub(crate) fn new(maps: u64) -> Self {
        Self { first_map: AtomicU64::new(0), maps: AtomicU64::new(maps) }
    }
}

/// The number of the map page `map`, counted from 0, where each covers `covered` pages.
pub(crate) fn map_page_no(map: u64, covered: u64) -> PageNo {
    PageNo::new(1 + map * (covered + 1))
}

/// Which map page it is, counted from 0: what [`map_page_no`] was given.
fn map_of(page: PageNo, covered: u64) -> u64 {
    page.get() / (covered + 1)
}

impl<'s, 'o> Mtr<'s, 'o> {
    /// Allocates a page. It has no content yet: give it an init operation. Call after all other pages are latched.
    ///
    /// # Errors
    /// `Full` if the file cannot grow, `Corruption` in the space map.
    pub fn allocate(&mut self) -> Result<PageSlot> {
        let (page, floor) = self.allocate_run(1)?;
        if self.find(PAGES_FILE, page).is_some() {
            let what = "the space map has a page as free that is in use";
            return Err(Error::corruption(what).at_file(PAGES_FILE).at_page(page));
        }
        let guard = self.store().pool().create(PAGES_FILE, page)?;
        Ok(self.add_fresh(guard, floor))
    }

    /// Allocates `count` consecutive pages, at most as many as a map page covers. Returns the first, and the
    /// floor above which they begin their lives.
    pub fn allocate_run(&mut self, count: u64) -> Result<(PageNo, Psn)> {
        let store = self.store();
        let space = store.space();
        let covered = space_map::entries_per_page(store.page_size()) as u64;
        if count > covered {
            return Err(Error::invalid(format!("{count} consecutive pages, at most {covered} can be had")));
        }
        let mut map = space.first_map.load(Relaxed);
        loop {
            if let Some(found) = self.allocate_in(map, count, covered)? {
                return Ok(found);
            }
            if count == 1 {
                // Only a hint: a page freed below lowers it again.
                let _ = space.first_map.compare_exchange(map, map + 1, Relaxed, Relaxed);
            }
            map += 1;
        }
    }

    fn allocate_in(&mut self, map: u64, count: u64, covered: u64) -> Result<Option<(PageNo, Psn)>> {
        let slot = self.map_slot(map, covered)?;
        let taken = self.taken_in(slot);
        let view = self.view(slot);
        let (fresh, floor) = match self.is_fresh(slot) {
            true => (true, Psn::new(0)),
            false => (false, space_map::psn_floor(view)),
        };
        if floor.get() >= Psn::END {
            let what = "the space map has a sequence number that no page can have had";
            return Err(Error::corruption(what).at_file(PAGES_FILE).at_page(map_page_no(map, covered)));
        }
        let index = if fresh {
            (taken as u64 + count <= covered).then_some(taken)
        } else {
            space_map::find_free(view, taken, count as usize)
        };
        let Some(index) = index else {
            // Map pages are waited for in rising order only; one that is full is let go.
            self.forget_last(slot);
            return Ok(None);
        };
        let state = if count == 1 { PageState::Used } else { PageState::ExtentFirst };
        let set = |first, count, state| PageOp::MapSet { first, count, state, psn_floor: Psn::new(0) };
        self.op(slot, set(index, 1, state))?;
        if count > 1 {
            self.op(slot, set(index + 1, count as usize - 1, PageState::ExtentRest))?;
        }
        Ok(Some((map_page_no(map, covered).offset(1 + index as u64), floor)))
    }

    /// The map page, latched and part of the group; a new one if the file has to grow.
    fn map_slot(&mut self, map: u64, covered: u64) -> Result<PageSlot> {
        let store = self.store();
        let page = map_page_no(map, covered);
        if let Some(slot) = self.find(PAGES_FILE, page) {
            return Ok(slot);
        }
        if page.get() + covered >= PageNo::END {
            return Err(Error::new(ErrorKind::Full, "the page file has reached its largest size"));
        }
        let maps = &store.space().maps;
        if map < maps.load(Relaxed) {
            return Ok(self.add(store.pool().exclusive(PAGES_FILE, Swip::new(page))?));
        }
        let guard: Exclusive<'s> = store.pool().create(PAGES_FILE, page)?;
        if map < maps.load(Relaxed) {
            // Somebody else has just begun it, and finished.
            return Ok(self.add(guard));
        }
        let slot = self.add_fresh(guard, Psn::new(0));
        self.op(slot, PageOp::MapInit { first: page.offset(1), covered: covered as usize })?;
        // The latch is held until the group is in the log: who finds the count raised waits for it.
        maps.fetch_max(map + 1, Relaxed);
        Ok(slot)
    }

    /// One above the highest index that this group already takes in a map page.
    fn taken_in(&self, slot: PageSlot) -> usize {
        self.named(slot)
            .filter_map(|op| match op {
                PageOp::MapSet { first, count, state, .. } if *state != PageState::Free => {
                    Some(first + count)
                }
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }

    fn is_fresh(&self, slot: PageSlot) -> bool {
        self.named(slot).any(|op| matches!(op, PageOp::MapInit { .. }))
    }

    /// Frees a page of the group; its later life begins above its present sequence number. Its bytes stay, but who
    /// has read them must begin again.
    pub fn free(&mut self, slot: PageSlot) -> Result<()> {
        let (page, psn) = (self.page_no(slot), self.next_psn(slot));
        self.outdate(slot);
        self.free_run(page, 1, psn)
    }

    /// Frees `count` consecutive pages, none of which has a sequence number above `psn`. A group that frees several runs
    /// does so in rising order of pages: map pages are latched in that order.
    pub fn free_run(&mut self, first: PageNo, count: u64, psn: Psn) -> Result<()> {
        let store = self.store();
        let covered = space_map::entries_per_page(store.page_size()) as u64;
        let (map_page, index) = map_place(store, first)?;
        let map = map_of(map_page, covered);
        let slot = self.map_slot(map, covered)?;
        self.op(
            slot,
            PageOp::MapSet { first: index, count: count as usize, state: PageState::Free, psn_floor: psn },
        )?;
        store.space().first_map.fetch_min(map, Relaxed);
        Ok(())
    }
}

/// Where the space map has a page: map page and index.
fn map_place(store: &Store, page: PageNo) -> Result<(PageNo, usize)> {
    let place = space_map::map_page_of(page, store.page_size());
    place.ok_or_else(|| Error::corruption("the page is part of the space map itself").at_page(page))
}

impl Store {
    /// Counts pages by reading the space map; blocks for reads.
    pub fn space_stats(&self) -> Result<SpaceStats> {
        let covered = space_map::entries_per_page(self.page_size()) as u64;
        let maps = self.space().maps.load(Relaxed);
        let mut stats = SpaceStats { pages: 1 + maps * (covered + 1), free_pages: 0 };
        for map in 0..maps {
            let guard = self.pool().shared(PAGES_FILE, Swip::new(map_page_no(map, covered)))?;
            stats.free_pages += space_map::free_count(guard.view()) as u64;
        }
        Ok(stats)
    }

    /// The state of a page in the space map.
    pub fn page_state(&self, page: PageNo) -> Result<PageState> {
        let (map_page, index) = map_place(self, page)?;
        let guard = self.pool().shared(PAGES_FILE, Swip::new(map_page))?;
        Ok(space_map::state(guard.view(), index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_pages_are_counted_as_far_as_a_file_reaches() {
        let covered = 2016;
        for map in [0, 1, 2, 1007, 1008, 2015, 2016, 1 << 20] {
            assert_eq!(map_of(map_page_no(map, covered), covered), map);
        }
    }
}
