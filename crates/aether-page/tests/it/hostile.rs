//! Can any bytes make a reader, a decoder or an operation panic or run on? Nothing here asks for a right answer.

use crate::support::{FILE, PAGE, TestPage, cases, script_len};
use aether_page::fixed::Fixed;
use aether_page::node::{Node, NodeImage, Row};
use aether_page::slotted::Slotted;
use aether_page::space_map::{self, PageState};
use aether_page::types::{PageNo, PageSize, Psn, Reader, TxnId};
use aether_page::{Clean, PageOp, PageType, UndoPtr, check_page, header, mask_hints, overflow};
use proptest::prelude::*;
use std::borrow::Cow;

fn read_node(page: &TestPage, key: &[u8]) {
    let node = Node::new(page.view());
    let slot = node.search(key).unwrap_or_else(|slot| slot);
    assert!(slot <= node.count() && node.child_index(key) <= node.count() + 1);
    let (mut out, mut few) = (Vec::new(), [0; 30]);
    for slot in [0, slot, node.count(), usize::MAX - 1].into_iter().chain(0..node.count().min(60)) {
        out.clear();
        node.key_into(slot, &mut out);
        node.value_into(slot, &mut out);
        assert!(node.value_copy(slot, &mut few) <= 30);
        let _ = (node.flags(slot), node.version(slot), node.value_len(slot), node.compare_key(slot, key));
        let _ = (node.child(slot).page(), node.fits_update(slot, 10, true));
    }
    let _ = (node.in_fences(key), node.lower(), node.upper(), node.tree(), node.fill_percent());
    let _ = (node.fits_insert(10, 10, true), node.live_count(), node.free_bytes());
    if cfg!(miri) {
        return; // long copies, and the tests of sound nodes walk the same code
    }
    for ascending in [false, true] {
        if let Some(plan) = node.split_point(key, ascending) {
            let _ = node.right_half(&plan).size_bytes();
        }
    }
    let _ = (node.whole().count(), node.merged(&node).is_some());
}

fn read_all(page: &TestPage, key: &[u8]) {
    let view = page.view();
    check_page(view);
    read_node(page, key);
    let (slotted, fixed, mut out) = (Slotted::new(view), Fixed::new(view), Vec::new());
    for index in (0..slotted.count().min(50)).chain([usize::MAX]) {
        slotted.bytes_into(index, &mut out);
        fixed.record_into(index, &mut out);
        let _ = space_map::state(view, index);
        out.clear();
    }
    let _ = (slotted.first_free(), slotted.is_empty(), slotted.free_bytes(), fixed.first_free(0));
    let _ = (space_map::find_free(view, 3, 2), space_map::find_free(view, usize::MAX, usize::MAX));
    overflow::bytes_into(view, &mut out);
    mask_hints(&mut page.bytes());
}

/// A page of each type with something in it.
fn valid_page(page_type: u8) -> TestPage {
    let size = PageSize::MIN;
    match page_type % 6 {
        0 => {
            let mut image = NodeImage::leaf(1, Some(b"aaa"), Some(b"aab"));
            let row = Row::versioned(TxnId::new(4), UndoPtr::none(), b"some value");
            (0..50u8).for_each(|i| image.push_row(&[b'a', b'a', b'a', i, 7, i], &row));
            TestPage::made_by(&PageOp::NodeInit(image), size)
        }
        1 => {
            let mut image = NodeImage::inner(1, 1, Some(b"a"), Some(b"c"), PageNo::new(99));
            (0..50u8).for_each(|i| image.push_child(&[b'b', i], PageNo::new(5)));
            TestPage::made_by(&PageOp::NodeInit(image), size)
        }
        2 => {
            let init = PageOp::SlottedInit { page_type: PageType::Slotted, owner: 1, link: 2, aux: 3 };
            let page = TestPage::made_by(&init, size);
            (0..20).for_each(|slot| {
                page.run(&PageOp::SlotInsert { slot, bytes: Cow::Owned(vec![1; slot * 5]) })
            });
            page
        }
        3 => {
            let page = TestPage::made_by(&PageOp::FixedInit { record_size: 24, owner: 1, link: 2 }, size);
            (0..9).for_each(|i| page.run(&PageOp::FixedSet { index: i * 7, bytes: Cow::Borrowed(&[3; 24]) }));
            page
        }
        4 => {
            let page = TestPage::made_by(&PageOp::MapInit { first: PageNo::new(2), covered: 2016 }, size);
            page.run(&PageOp::MapSet { first: 5, count: 30, state: PageState::Used, psn_floor: Psn::new(1) });
            page
        }
        _ => {
            let bytes = Cow::Borrowed(&[5u8; 2000][..]);
            TestPage::made_by(&PageOp::OverflowInit { index: 1, first: PageNo::new(8), bytes }, size)
        }
    }
}

fn spoil(page: &TestPage, flips: &[(usize, u64)]) {
    for (at, flip) in flips {
        // Half of the damage goes to the header and the slots, where it hurts most.
        let word = if at % 2 == 0 { 4 + at / 2 % 30 } else { at / 2 % 512 };
        page.page().put_word(word, page.view().word(word) ^ flip);
    }
}

fn ops() -> impl Strategy<Value = PageOp<'static>> {
    let some_bytes = || {
        let long = (any::<u8>(), 0usize..1500).prop_map(|(byte, len)| vec![byte; len]);
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..20), long].prop_map(Cow::Owned)
    };
    let row = || {
        (some_bytes(), any::<bool>()).prop_map(|(value, versioned)| Row {
            value,
            version: versioned.then(|| (TxnId::new(1), UndoPtr::none())),
            ..Row::default()
        })
    };
    let slot = || prop_oneof![0usize..60, 0usize..5000];
    prop_oneof![
        (slot(), some_bytes()).prop_map(|(slot, bytes)| PageOp::SlotInsert { slot, bytes }),
        (slot(), some_bytes()).prop_map(|(slot, bytes)| PageOp::SlotReplace { slot, bytes }),
        slot().prop_map(|slot| PageOp::SlotDelete { slot }),
        (slot(), some_bytes()).prop_map(|(index, bytes)| PageOp::FixedSet { index, bytes }),
        slot().prop_map(|index| PageOp::FixedClear { index }),
        (slot(), some_bytes(), row()).prop_map(|(slot, key, row)| PageOp::LeafInsert { slot, key, row }),
        (slot(), row()).prop_map(|(slot, row)| PageOp::LeafUpdate { slot, row }),
        slot().prop_map(|slot| PageOp::LeafRemove { slot }),
        (proptest::collection::btree_set(0usize..60, 0..9), any::<bool>()).prop_map(|(slots, strip)| {
            let what = if strip { Clean::StripVersion } else { Clean::Remove };
            PageOp::LeafClean { rows: slots.into_iter().map(|slot| (slot, what)).collect() }
        }),
        (slot(), some_bytes()).prop_map(|(slot, key)| PageOp::InnerSplit {
            slot,
            key,
            right: PageNo::new(9)
        }),
        slot().prop_map(|slot| PageOp::InnerMerge { slot }),
        (slot(), some_bytes()).prop_map(|(count, upper)| PageOp::NodeCut { count, upper }),
        (slot(), slot()).prop_map(|(first, count)| PageOp::MapSet {
            first,
            count,
            state: PageState::Free,
            psn_floor: Psn::new(3)
        }),
        slot().prop_map(|index| PageOp::InnerChild { index, page: PageNo::new(3) }),
    ]
}

/// What the check accepts, apply survives; whether or not it accepts, decode gives the same operation.
fn try_op(page: &TestPage, op: &PageOp) {
    if op.check(page.view()).is_ok() {
        op.apply(page.page(), FILE, PAGE);
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_pages(page_type in 0u8..10, seed in proptest::collection::vec(any::<u64>(), 16..64), key in proptest::collection::vec(any::<u8>(), 0..20), script in proptest::collection::vec(ops(), 0..script_len(60))) {
        let page = TestPage::new(PageSize::MIN);
        (0..512).for_each(|word| page.page().put_word(word, seed[word % seed.len()].rotate_left(word as u32)));
        page.page().put_bytes(header::TYPE_AT, &[page_type]);
        if page_type == 6 {
            page.page().put_bytes(34, &[0]);
        }
        read_all(&page, &key);
        script.iter().for_each(|op| try_op(&page, op));
        read_all(&page, &key);
    }

    #[test]
    fn damaged_pages(page_type in any::<u8>(), flips in proptest::collection::vec((any::<usize>(), any::<u64>()), 1..6), bit in 0u32..64, script in proptest::collection::vec(ops(), 0..script_len(60))) {
        let page = valid_page(page_type);
        let single: Vec<(usize, u64)> = flips.iter().map(|(at, flip)| (*at, if flip % 2 == 0 { 1 << bit } else { *flip })).collect();
        spoil(&page, &single);
        read_all(&page, b"aaa\x03\x07");
        script.iter().for_each(|op| try_op(&page, op));
        read_all(&page, b"b");
    }

    #[test]
    fn random_logs(bytes in proptest::collection::vec(prop_oneof![0u8..30, any::<u8>()], 0..80), page_type in any::<u8>()) {
        let mut reader = Reader::new(&bytes);
        let page = valid_page(page_type);
        while let Ok(op) = PageOp::decode(&mut reader, PageSize::MIN) {
            try_op(&page, &op);
            let mut again = Vec::new();
            op.encode(&mut again);
            let back = PageOp::decode(&mut Reader::new(&again), PageSize::MIN).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(back, op);
        }
        let _ = overflow::Stub::decode(&bytes);
    }

    /// On a sound page, an accepted operation leaves a sound page.
    #[test]
    fn sound_pages_stay_sound(page_type in any::<u8>(), script in proptest::collection::vec(ops(), 0..script_len(60))) {
        let page = valid_page(page_type);
        for op in script {
            if op.check(page.view()).is_ok() {
                op.apply(page.page(), FILE, PAGE);
                prop_assert_eq!(check_page(page.view()), Vec::<String>::new());
            }
        }
    }
}
