//! Walks a page of any type and reports every broken rule. For tests, for `verify`, and for whoever wonders.

mod node;

use crate::fixed::{self, BITMAP_AT, Fixed};
use crate::header;
use crate::slotted::{self, Slotted};
use crate::space_map::{self, PageState};
use crate::{PageType, View, overflow, radix};

/// What is wrong with the page; empty if nothing is. The checksum is not looked at: the words in memory have none.
pub fn check_page(view: View) -> Vec<String> {
    let mut report = Report::default();
    match PageType::from_code(header::page_type(view)) {
        None => report.broken(format!("unknown page type {}", header::page_type(view))),
        Some(PageType::Unwritten) => check_unwritten(view, &mut report),
        Some(PageType::FileHeader) => {}
        Some(PageType::SpaceMap) => check_map(view, &mut report),
        Some(PageType::Slotted | PageType::Undo) => check_slotted(view, &mut report),
        Some(PageType::Fixed) => check_fixed(view, &mut report),
        Some(PageType::Leaf | PageType::Inner) => node::check_node(view, &mut report),
        Some(PageType::Overflow) => check_overflow(view, &mut report),
        Some(PageType::Radix) => radix::faults(view).into_iter().for_each(|what| report.broken(what)),
    }
    report.0
}

/// The broken rules found so far.
#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn broken(&mut self, what: String) {
        self.0.push(what);
    }

    fn need(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(what());
        }
    }

    /// The heap from `start` to `end`: its pieces (offset, bytes) must lie in it, apart from each other, and with
    /// `garbage` fill it.
    fn heap(&mut self, start: usize, end: usize, garbage: usize, mut pieces: Vec<(usize, usize)>) {
        pieces.retain(|(_, bytes)| *bytes > 0);
        pieces.sort_unstable();
        let outside = pieces.iter().find(|(at, bytes)| *at < start || at + bytes > end);
        self.need(outside.is_none(), || format!("a piece at {outside:?} outside the heap {start}..{end}"));
        let overlap = pieces.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0);
        self.need(overlap.is_none(), || format!("pieces overlap: {overlap:?}"));
        let used: usize = pieces.iter().map(|(_, bytes)| bytes).sum();
        let heap = end.saturating_sub(start);
        self.need(used + garbage == heap, || format!("{used} bytes used and {garbage} of garbage in {heap}"));
    }
}

fn check_unwritten(view: View, report: &mut Report) {
    let zero = (0..view.len_bytes() / 8).all(|index| view.word(index) == 0);
    report.need(zero, || "a page of type 0 holds something".into());
}

fn check_slotted(view: View, report: &mut Report) {
    let slotted = Slotted::new(view);
    let stored = usize::from(view.u16_at(slotted::COUNT_AT));
    report.need(stored == slotted.count(), || format!("{stored} slots have no room"));
    let slots_end = slotted::SLOTS_AT + 8 * slotted.count();
    let start = slotted.heap_start();
    report.need((slots_end..=view.len_bytes()).contains(&start), || format!("heap at {start}"));
    let places = (0..slotted.count()).filter_map(|slot| slotted.place(slot));
    let pieces = places.map(|(at, len)| (at, slotted::piece(len))).collect();
    let garbage = usize::from(view.u16_at(slotted::GARBAGE_AT)) * 8;
    report.heap(start, view.len_bytes(), garbage, pieces);
}

fn check_fixed(view: View, report: &mut Report) {
    let fixed = Fixed::new(view);
    let size = fixed.record_size();
    report.need(size > 0 && size.is_multiple_of(8), || format!("records of {size} bytes"));
    let wanted = fixed::capacity_in(view.len_bytes(), size);
    let stored = view.u32_at(fixed::CAPACITY_AT) as usize;
    report.need(stored == wanted && wanted > 0, || format!("capacity {stored}, not {wanted}"));
    let bitmap =
        (0..fixed.capacity().div_ceil(64)).map(|word| view.word(BITMAP_AT / 8 + word).count_ones() as usize);
    let (marked, known) =
        (bitmap.sum::<usize>(), (0..fixed.capacity()).filter(|index| fixed.is_used(*index)).count());
    report.need(marked == known, || "records beyond the capacity are in use".into());
    report.need(known == fixed.in_use(), || format!("{known} records in use, {} counted", fixed.in_use()));
}

fn check_map(view: View, report: &mut Report) {
    let stored = view.u32_at(space_map::COVERED_AT) as usize;
    let covered = space_map::covered(view);
    report.need(stored == covered, || format!("{stored} pages covered"));
    let states = || (0..covered).map(|index| space_map::state(view, index));
    let free = states().filter(|state| *state == PageState::Free).count();
    report.need(free == space_map::free_count(view), || {
        format!("{free} pages free, {} counted", space_map::free_count(view))
    });
    let single = |state| matches!(state, PageState::Free | PageState::Used);
    let headless = states().zip(states().skip(1)).any(|(a, b)| single(a) && b == PageState::ExtentRest);
    let floor = space_map::psn_floor(view);
    report.need(floor.get() < aether_types::Psn::END, || {
        format!("a floor of {floor}, which no page can have had")
    });
    report.need(!headless, || "an extent without its first page".into());
}

fn check_overflow(view: View, report: &mut Report) {
    let stored = view.u32_at(overflow::LEN_AT) as usize;
    report.need(stored == overflow::len(view), || format!("{stored} bytes in one page"));
    report.need(overflow::first(view).get() != 0, || "an extent at page 0".into());
}
