//! Do the bytes stand where `docs/formats.md` says?

use crate::support::TestPage;
use aether_page::node::{NodeImage, Row, layout};
use aether_page::space_map::PageState;
use aether_page::types::{PageNo, PageSize, Psn, Reader, TxnId};
use aether_page::{PageOp, PageType, UndoPtr, check_page, overflow, slotted};
use std::borrow::Cow;

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn a_leaf() {
    let mut image = NodeImage::leaf(0x0102_0304, Some(b"pre-a"), Some(b"pre-z"));
    image.push_row(b"pre-bcdefg", &Row::bare(b"value"));
    let undo = UndoPtr::new(PageNo::new(0x55), 3);
    image.push_row(b"pre-c", &Row { ghost: true, ..Row::versioned(TxnId::new(0x77), undo, b"v") });
    let page = TestPage::made_by(&PageOp::NodeInit(image), PageSize::MIN).bytes();
    assert_eq!((page[16], number(&page, 32, 2), page[34], page[35]), (6, 2, 0, 0));
    // Fences of 8 bytes each, a bare row of 4 + 6 + 5, a versioned one of 16 + 4 + 1 + 1.
    assert_eq!((number(&page, 44, 2), number(&page, 46, 2)), (4088 / 8, 5));
    assert_eq!((number(&page, 48, 2), number(&page, 50, 2)), (4080 / 8, 5));
    assert_eq!((&page[4088..4093], &page[4080..4085]), (&b"pre-a"[..], &b"pre-z"[..]));
    assert_eq!((number(&page, 36, 2), number(&page, 38, 2)), ((4080 - 16 - 24) / 8, 0));
    assert_eq!((number(&page, 40, 2), number(&page, 42, 2)), (4, 1));
    assert_eq!((number(&page, 52, 4), number(&page, 56, 8)), (0x0102_0304, 0));
    let slot = u64::from(u32::from_be_bytes(*b"bcde")) << 32 | (4064 / 8) << 19 | 6 << 4;
    assert_eq!(number(&page, 128, 8), slot);
    assert_eq!(page[4064..4080], *b"\x05\0\0\0bcdefgvalue\0");
    assert_eq!(number(&page, 136, 8), u64::from(b'c') << 56 | (4040 / 8) << 19 | 1 << 4 | 3);
    assert_eq!((number(&page, 4040, 8), number(&page, 4048, 8)), (0x77, 3 << 38 | 0x55));
    assert_eq!(page[4056..4064], *b"\x01\0\0\0cv\0\0");
}

#[test]
fn an_inner_node_and_its_hints() {
    let mut image = NodeImage::inner(1, 2, None, None, PageNo::new(99));
    (0..34u8).for_each(|i| image.push_child(&[i, 1, 2, 3, 4], PageNo::new(u64::from(i) + 1)));
    let page = TestPage::made_by(&PageOp::NodeInit(image), PageSize::MIN).bytes();
    assert_eq!((page[16], page[34], page[35], number(&page, 56, 8)), (7, 2, 3, 99));
    for hint in 0..16 {
        let entry = (hint + 1) * 34 / 17;
        assert_eq!(number(&page, 64 + 4 * hint, 4) as u32, u32::from_be_bytes([entry as u8, 1, 2, 3]));
    }
    assert_eq!((number(&page, 4080, 8), &page[4088..4093]), (1, &[0, 1, 2, 3, 4][..]));
}

#[test]
fn the_small_pages() {
    let init = PageOp::SlottedInit { page_type: PageType::Slotted, owner: 7, link: 8, aux: 9 };
    let slotted = TestPage::made_by(&init, PageSize::MIN);
    slotted.run(&PageOp::SlotInsert { slot: 0, bytes: Cow::Borrowed(b"abc") });
    let page = slotted.bytes();
    assert_eq!((page[16], number(&page, 32, 2), number(&page, 36, 2)), (3, 1, 4088 / 8));
    assert_eq!([40, 48, 56].map(|at| number(&page, at, 8)), [7, 8, 9]);
    assert_eq!(number(&page, 64, 8), 1 << 63 | (4088 / 8) << 32 | 3);

    let fixed = TestPage::made_by(&PageOp::FixedInit { record_size: 16, owner: 7, link: 8 }, PageSize::MIN);
    fixed.run(&PageOp::FixedSet { index: 65, bytes: Cow::Borrowed(&[5; 16]) });
    let (page, capacity) = (fixed.bytes(), 250);
    assert_eq!([32, 36, 40, 44].map(|at| number(&page, at, 4)), [16, capacity, 1, 0]);
    assert_eq!((number(&page, 48, 8), number(&page, 56, 8), number(&page, 72, 8)), (7, 8, 2));
    assert_eq!(page[64 + 32 + 65 * 16..][..17], [[5; 16].as_slice(), &[0]].concat());

    let map = TestPage::made_by(&PageOp::MapInit { first: PageNo::new(2), covered: 2016 }, PageSize::MIN);
    map.run(&PageOp::MapSet { first: 3, count: 2, state: PageState::ExtentFirst, psn_floor: Psn::new(6) });
    let page = map.bytes();
    assert_eq!((page[16], number(&page, 32, 8), number(&page, 40, 8)), (2, 2, 6));
    assert_eq!(
        (number(&page, 48, 4), number(&page, 52, 4), number(&page, 68, 8)),
        (2014, 2016, 0x0002_0002_0000)
    );

    let op = PageOp::OverflowInit { index: 2, first: PageNo::new(9), bytes: Cow::Borrowed(b"xyz") };
    let page = TestPage::made_by(&op, PageSize::MIN).bytes();
    assert_eq!((page[16], number(&page, 32, 4), number(&page, 36, 4), number(&page, 40, 8)), (8, 3, 2, 9));
    assert_eq!(&page[64..68], b"xyz\0");
}

#[test]
fn operations_in_the_log() {
    let bytes = |op: PageOp| {
        let mut out = Vec::new();
        op.encode(&mut out);
        out
    };
    assert_eq!(
        bytes(PageOp::SlotInsert { slot: 200, bytes: Cow::Borrowed(b"ab") }),
        [3, 0xc8, 1, 2, b'a', b'b']
    );
    let row = Row::versioned(TxnId::new(1), UndoPtr::none(), b"v");
    let update = bytes(PageOp::LeafUpdate { slot: 4, row });
    assert_eq!(update, [&[12, 4, 2, 1][..], &[0; 15], &[1, b'v']].concat());
    let split = PageOp::InnerSplit { slot: 1, key: Cow::Borrowed(b"k"), right: PageNo::new(3) };
    assert_eq!(bytes(split), [15, 1, 1, b'k', 3]);
    let mut image = NodeImage::inner(5, 1, None, Some(b"z"), PageNo::new(6));
    image.push_child(b"m", PageNo::new(7));
    assert_eq!(bytes(PageOp::NodeInit(image)), [10, 1, 1, 5, 0, 1, b'z', 6, 1, 0, 1, b'm', 7]);
    let set = PageOp::MapSet { first: 1, count: 2, state: PageState::Used, psn_floor: Psn::new(3) };
    assert_eq!(bytes(set), [19, 1, 2, 1, 3]);
}

/// Each damage is found by one check alone, so that none of them is idle.
#[test]
fn a_page_check_finds_each_kind_of_damage_to_a_heap() {
    let init = PageOp::SlottedInit { page_type: PageType::Slotted, owner: 7, link: 8, aux: 9 };
    let page = TestPage::made_by(&init, PageSize::MIN);
    for slot in 0..4 {
        page.run(&PageOp::SlotInsert { slot, bytes: Cow::Borrowed(b"12345678") });
    }
    let sound = page.bytes();
    let found = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        check_page(TestPage::from_bytes(&bytes).view())
    };
    let set =
        |bytes: &mut [u8], at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    assert_eq!(found(&|_| ()), Vec::<String>::new());
    let words = (PageSize::MIN.bytes() / 8) as u16;
    // The offset of slot 3, in words, stands at byte 4 of its slot.
    let outside = found(&|bytes| set(bytes, slotted::SLOTS_AT + 3 * 8 + 4, words - 5));
    assert!(outside.len() == 1 && outside[0].contains("outside"), "{outside:?}");
    let overlap = found(&|bytes| set(bytes, slotted::SLOTS_AT + 3 * 8 + 4, words - 3));
    assert!(overlap.len() == 1 && overlap[0].contains("overlap"), "{overlap:?}");
    let garbage = found(&|bytes| set(bytes, slotted::GARBAGE_AT, 1));
    assert!(garbage.len() == 1 && garbage[0].contains("garbage"), "{garbage:?}");
    // The heap begins among the slots; all the rest of the page would be garbage.
    let heap = found(&|bytes| {
        let start = (slotted::SLOTS_AT / 8 + 3) as u16;
        set(bytes, slotted::HEAP_AT, start);
        set(bytes, slotted::GARBAGE_AT, words - 4 - start);
    });
    assert!(heap.len() == 1 && heap[0].contains("heap at"), "{heap:?}");
}

/// What a page check finds after one change of a page that is sound.
fn found(op: PageOp, change: &dyn Fn(&mut [u8])) -> Vec<String> {
    let mut bytes = TestPage::made_by(&op, PageSize::MIN).bytes();
    change(&mut bytes);
    check_page(TestPage::from_bytes(&bytes).view())
}

#[test]
fn a_page_check_finds_damage_to_a_part_of_a_value() {
    let op = || PageOp::OverflowInit { index: 0, first: PageNo::new(9), bytes: Cow::Borrowed(b"abc") };
    assert_eq!(found(op(), &|_| ()), Vec::<String>::new());
    let long = found(op(), &|bytes| bytes[overflow::LEN_AT + 1] = 0xff);
    assert!(long.len() == 1 && long[0].contains("bytes in one page"), "{long:?}");
    let nowhere = found(op(), &|bytes| bytes[overflow::FIRST_AT] = 0);
    assert!(nowhere.len() == 1 && nowhere[0].contains("page 0"), "{nowhere:?}");
}

#[test]
fn a_page_check_finds_damage_to_a_node() {
    let op = || PageOp::NodeInit(NodeImage::leaf(5, Some(b"k"), Some(b"m")));
    assert_eq!(found(op(), &|_| ()), Vec::<String>::new());
    let level = found(op(), &|bytes| bytes[layout::LEVEL_AT] = 3);
    assert!(level.len() == 1 && level[0].contains("level 3"), "{level:?}");
    let flags = found(op(), &|bytes| bytes[layout::FLAGS_AT] |= 0x80);
    assert!(flags.len() == 1 && flags[0].contains("fence flags"), "{flags:?}");
    let prefix = found(op(), &|bytes| bytes[layout::PREFIX_AT] = 1);
    assert!(prefix.len() == 1 && prefix[0].contains("prefix of 1, not 0"), "{prefix:?}");
}

#[test]
fn an_infinite_fence_with_a_key_is_no_operation() {
    let decode = |bytes: &[u8]| PageOp::decode(&mut Reader::new(bytes), PageSize::MIN).map(|_| ());
    assert!(decode(&[10, 1, 1, 5, 0, 1, b'z', 6, 0]).is_ok());
    let error = decode(&[10, 1, 1, 5, 1, b'a', 1, b'z', 6, 0]).unwrap_err();
    assert!(error.to_string().contains("infinite fence"), "{error}");
}
