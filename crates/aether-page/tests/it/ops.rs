//! Does every other operation do what the format says, and come back from the log as it went in?

use crate::support::{FILE, PAGE, TestPage, cases, page_sizes, script_len};
use aether_page::fixed::{Fixed, capacity_for};
use aether_page::node::NodeImage;
use aether_page::slotted::Slotted;
use aether_page::space_map::{self, PageState};
use aether_page::types::{PageNo, PageSize, Psn};
use aether_page::{PageOp, PageType, header, overflow};
use proptest::prelude::*;
use std::borrow::Cow;

fn bytes(len: usize, byte: u8) -> Cow<'static, [u8]> {
    Cow::Owned(vec![byte; len])
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_slotted_page_keeps_its_numbers(size in page_sizes(), script in proptest::collection::vec((0u8..4, any::<usize>(), 0usize..700, any::<u8>()), 1..script_len(300))) {
        let init = PageOp::SlottedInit { page_type: PageType::Undo, owner: 5, link: 6, aux: u64::MAX };
        let page = TestPage::made_by(&init, size);
        let mut model: Vec<Option<Vec<u8>>> = Vec::new();
        for (what, at, len, byte) in script {
            let slotted = Slotted::new(page.view());
            let slot = at % (model.len() + 1);
            let taken = model.get(slot).is_some_and(Option::is_some);
            let op = match what {
                0 | 1 if !taken => PageOp::SlotInsert { slot, bytes: bytes(len, byte) },
                3 => PageOp::SlotDelete { slot },
                _ => PageOp::SlotReplace { slot, bytes: bytes(len, byte) },
            };
            let fits = match what {
                0 | 1 if !taken => slotted.fits_insert(slot, len),
                3 => taken,
                _ => slotted.fits_replace(slot, len),
            };
            if !fits {
                page.refuses(&op);
                continue;
            }
            page.run(&op);
            if slot == model.len() {
                model.push(None);
            }
            model[slot] = (what != 3).then(|| vec![byte; len]);
            let slotted = Slotted::new(page.view());
            prop_assert_eq!(slotted.count(), model.len());
            for (slot, wanted) in model.iter().enumerate() {
                let mut found = Vec::new();
                let used = slotted.bytes_into(slot, &mut found);
                prop_assert_eq!(used.then_some(found), wanted.clone());
            }
        }
        page.run(&PageOp::SlottedHeader { link: 8, aux: 9 });
        let slotted = Slotted::new(page.view());
        prop_assert_eq!((slotted.owner(), slotted.link(), slotted.aux()), (5, 8, 9));
    }

    #[test]
    fn fixed_records_are_set_and_cleared(size in page_sizes(), words in 1usize..70, script in proptest::collection::vec((any::<usize>(), any::<bool>(), any::<u8>()), 1..script_len(200))) {
        let record_size = words * 8;
        let page = TestPage::made_by(&PageOp::FixedInit { record_size, owner: 1, link: 2 }, size);
        let capacity = capacity_for(size, record_size);
        let used = |capacity: usize| 64 + capacity.div_ceil(64) * 8 + capacity * record_size;
        prop_assert!(used(capacity) <= size.bytes() && used(capacity + 1) > size.bytes());
        let mut model = vec![None; capacity];
        for (index, set, byte) in script {
            let index = index % capacity;
            if set {
                page.run(&PageOp::FixedSet { index, bytes: bytes(record_size - 3, byte) });
                model[index] = Some([vec![byte; record_size - 3], vec![0; 3]].concat());
            } else if model[index].take().is_some() {
                page.run(&PageOp::FixedClear { index });
            } else {
                page.refuses(&PageOp::FixedClear { index });
            }
        }
        let fixed = Fixed::new(page.view());
        for (index, wanted) in model.iter().enumerate() {
            let mut found = Vec::new();
            prop_assert_eq!(fixed.record_into(index, &mut found).then_some(&found), wanted.as_ref());
        }
        prop_assert_eq!(fixed.first_free(0), model.iter().position(Option::is_none));
        page.refuses(&PageOp::FixedSet { index: capacity, bytes: bytes(1, 1) });
        page.refuses(&PageOp::FixedSet { index: 0, bytes: bytes(record_size + 1, 1) });
    }

    #[test]
    fn the_map_finds_what_is_free(size in page_sizes(), script in proptest::collection::vec((any::<usize>(), 1usize..40, any::<bool>(), 0u64..99), 1..script_len(100)), wanted in 1usize..30, from in 0usize..2000) {
        let covered = space_map::entries_per_page(size);
        let page = TestPage::made_by(&PageOp::MapInit { first: PageNo::new(2), covered }, size);
        let (mut model, mut highest) = (vec![PageState::Free; covered], 0);
        for (first, count, used, floor) in script {
            let first = first % covered;
            let count = count.min(covered - first);
            let state = if used { PageState::Used } else { PageState::Free };
            page.run(&PageOp::MapSet { first, count, state, psn_floor: Psn::new(floor) });
            model[first..first + count].fill(state);
            highest = highest.max(floor);
        }
        let view = page.view();
        prop_assert_eq!(space_map::psn_floor(view), Psn::new(highest));
        prop_assert_eq!(space_map::free_count(view), model.iter().filter(|s| **s == PageState::Free).count());
        let free = |at: &usize| model[*at..].len() >= wanted && model[*at..*at + wanted].iter().all(|s| *s == PageState::Free);
        prop_assert_eq!(space_map::find_free(view, from, wanted), (from.min(covered)..covered).find(free));
        page.refuses(&PageOp::MapSet { first: covered, count: 1, state: PageState::Used, psn_floor: Psn::new(0) });
    }

    #[test]
    fn overflow_pages_hold_what_they_are_given(size in page_sizes(), cut in 0usize..5000, byte in any::<u8>()) {
        let room = overflow::capacity(size);
        let value = bytes(room - cut.min(room), byte);
        let page = TestPage::made_by(&PageOp::OverflowInit { index: 3, first: PageNo::new(70), bytes: value.clone() }, size);
        let mut found = Vec::new();
        overflow::bytes_into(page.view(), &mut found);
        prop_assert_eq!(&found[..], &value[..]);
        prop_assert_eq!((overflow::index(page.view()), overflow::first(page.view()).get()), (3, 70));
        page.refuses(&PageOp::OverflowInit { index: 0, first: PageNo::new(1), bytes: bytes(room + 1, 0) });
    }
}

#[test]
fn extents_are_found_in_the_map() {
    let page = TestPage::made_by(&PageOp::MapInit { first: PageNo::new(2), covered: 100 }, PageSize::MIN);
    let set = |first, count, state| page.run(&PageOp::MapSet { first, count, state, psn_floor: Psn::new(1) });
    set(4, 1, PageState::ExtentFirst);
    set(5, 7, PageState::ExtentRest);
    assert_eq!(space_map::find_free(page.view(), 0, 5), Some(12));
    assert_eq!(space_map::find_free(page.view(), 2, 2), Some(2));
    assert_eq!(space_map::find_free(page.view(), 0, 89), None);
    assert_eq!(space_map::state(page.view(), 5), PageState::ExtentRest);
    assert_eq!(space_map::state(page.view(), 100), PageState::Used);
}

#[test]
fn map_pages_stand_where_the_format_says() {
    let size = PageSize::MIN;
    let n = space_map::entries_per_page(size) as u64;
    assert_eq!(n, (4096 - 64) / 2);
    let of = |page| space_map::map_page_of(PageNo::new(page), size).map(|(map, index)| (map.get(), index));
    assert_eq!((of(0), of(1), of(n + 2)), (None, None, None));
    assert_eq!((of(2), of(n + 1)), (Some((1, 0)), Some((1, n as usize - 1))));
    assert_eq!(of(n + 3), Some((n + 2, 0)));
    assert_eq!(space_map::next_map_page(space_map::FIRST_MAP_PAGE, size).get(), n + 2);
}

#[test]
fn an_init_operation_needs_nothing_of_the_old_bytes() {
    let garbage = TestPage::from_bytes(&vec![0xab; 4096]);
    let psn = garbage.psn();
    let op = PageOp::SlottedInit { page_type: PageType::Slotted, owner: 1, link: 2, aux: 3 };
    op.apply(garbage.page(), FILE, PAGE);
    assert_eq!(garbage.psn(), psn);
    let fresh = TestPage::made_by(&op, PageSize::MIN);
    header::set_psn(fresh.page(), psn);
    assert!(garbage.bytes() == fresh.bytes());
    let copy = TestPage::made_by(&PageOp::image_of(fresh.view()), PageSize::MIN);
    header::set_psn(copy.page(), psn);
    assert!(copy.bytes() == fresh.bytes());
}

#[test]
fn stubs_come_back() {
    let stub = overflow::Stub {
        len: 5,
        checksum: 6,
        listed: 4,
        extents: vec![(PageNo::new(7), 8), (PageNo::new(90), 1)],
    };
    let mut out = Vec::new();
    stub.encode(&mut out);
    assert_eq!(out.len(), overflow::Stub::len_bytes(2));
    assert_eq!(overflow::Stub::decode(&out).unwrap(), stub);
    assert!(overflow::Stub::decode(&out[..out.len() - 1]).is_err());
    out[24] = 0;
    assert!(overflow::Stub::decode(&out).is_err());
}

/// A log could name page 0 as a child, or give a leaf a child: the check accepted it, and the page that came of it was
/// unsound.
#[test]
fn what_refers_to_page_0_is_refused() {
    let (page, zero) = (TestPage::new(PageSize::MIN), PageNo::new(0));
    page.refuses(&PageOp::OverflowInit { index: 0, first: zero, bytes: Cow::Borrowed(b"x") });
    page.refuses(&PageOp::NodeInit(NodeImage::inner(1, 1, None, None, zero)));
    page.refuses(&PageOp::NodeInit(NodeImage::inner(1, 0, None, None, PageNo::new(9))));
    let mut image = NodeImage::inner(1, 1, None, None, PageNo::new(9));
    let sound = TestPage::made_by(&PageOp::NodeInit(image.clone()), PageSize::MIN);
    sound.refuses(&PageOp::InnerSplit { slot: 0, key: Cow::Borrowed(b"k"), right: zero });
    sound.refuses(&PageOp::InnerChild { index: 0, page: zero });
    image.push_child(b"k", zero);
    page.refuses(&PageOp::NodeInit(image));
}

#[test]
fn records_that_a_page_cannot_hold_are_refused() {
    let page = TestPage::new(PageSize::MIN);
    for record_size in [0, 12, 4096, 1 << 20] {
        page.refuses(&PageOp::FixedInit { record_size, owner: 1, link: 2 });
    }
}
