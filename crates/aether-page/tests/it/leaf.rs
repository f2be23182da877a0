//! Does a row of leaves behave like a sorted map, whatever is inserted, cleaned, cut and merged?

use crate::support::{FILE, TestPage, cases, keys, page_sizes, script_len};
use aether_page::node::{Node, NodeImage, Row};
use aether_page::types::{PageNo, PageSize, TxnId, limits};
use aether_page::{Clean, PageOp, UndoPtr};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Row<'static>>;

#[derive(Clone, Debug)]
enum Action {
    Put(Vec<u8>, Row<'static>),
    Remove(Vec<u8>),
    Clean(Vec<u8>, u64),
    Merge(usize),
}

fn row() -> impl Strategy<Value = Row<'static>> {
    let value = prop_oneof![4 => 0usize..40, 2 => 0usize..960, 1 => Just(960)];
    (
        any::<bool>(),
        any::<bool>(),
        proptest::option::of((1u64..99, 1u64..99, any::<u16>())),
        value,
        any::<u8>(),
    )
        .prop_map(|(ghost, overflow, version, len, byte)| Row {
            ghost,
            overflow,
            version: version
                .map(|(txn, page, slot)| (TxnId::new(txn), UndoPtr::new(PageNo::new(page), slot))),
            value: Cow::Owned(vec![byte; len]),
        })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        8 => (keys(), row()).prop_map(|(key, row)| Action::Put(key, row)),
        2 => keys().prop_map(Action::Remove),
        1 => (keys(), any::<u64>()).prop_map(|(key, mask)| Action::Clean(key, mask)),
        1 => any::<usize>().prop_map(Action::Merge),
    ];
    proptest::collection::vec(action, 1..script_len(600))
}

struct Leaves {
    pages: Vec<TestPage>,
    size: PageSize,
    ascending: bool,
}

impl Leaves {
    fn new(size: PageSize) -> Self {
        let first = TestPage::made_by(&PageOp::NodeInit(NodeImage::leaf(7, None, None)), size);
        Self { pages: vec![first], size, ascending: false }
    }

    fn find(&self, key: &[u8]) -> usize {
        let holds: Vec<usize> =
            (0..self.pages.len()).filter(|at| Node::new(self.pages[*at].view()).in_fences(key)).collect();
        assert_eq!(holds.len(), 1, "every key has one leaf");
        holds[0]
    }

    fn put(&mut self, key: &[u8], row: &Row<'static>) {
        for _ in 0..20 {
            let at = self.find(key);
            let node = Node::new(self.pages[at].view());
            let (len, versioned) = (row.value.len(), row.version.is_some());
            let op = match node.search(key) {
                Ok(slot) if node.fits_update(slot, len, versioned) => {
                    PageOp::LeafUpdate { slot, row: row.clone() }
                }
                Err(slot) if node.fits_insert(key.len(), len, versioned) => {
                    PageOp::LeafInsert { slot, key: Cow::Owned(node.strip(key).to_vec()), row: row.clone() }
                }
                _ => {
                    self.split(at, key);
                    continue;
                }
            };
            return self.pages[at].run(&op);
        }
        panic!("twenty splits made no room");
    }

    fn split(&mut self, at: usize, key: &[u8]) {
        let left = &self.pages[at];
        let node = Node::new(left.view());
        let plan = node.split_point(key, self.ascending).expect("a full leaf can be split");
        let (count, prefix) = (node.count(), node.prefix_len());
        let right = TestPage::made_by(&PageOp::NodeInit(node.right_half(&plan)), self.size);
        left.run(&PageOp::NodeCut { count: plan.count, upper: Cow::Borrowed(&plan.separator) });
        let (left, after) = (Node::new(left.view()), Node::new(right.view()));
        assert_eq!(left.count() + after.count(), count);
        assert!(left.prefix_len() >= prefix && left.upper() == after.lower() && left.tree() == 7);
        self.pages.insert(at + 1, right);
    }

    fn clean(&mut self, key: &[u8], mask: u64, model: &mut Model) {
        let page = &self.pages[self.find(key)];
        let node = Node::new(page.view());
        let mut rows = Vec::new();
        for slot in (0..node.count()).filter(|slot| mask >> (slot % 64) & 1 == 1) {
            let mut key = Vec::new();
            node.key_into(slot, &mut key);
            if node.flags(slot).is_ghost() {
                rows.push((slot, Clean::Remove));
                model.remove(&key);
            } else if node.flags(slot).is_versioned() {
                rows.push((slot, Clean::StripVersion));
                model.get_mut(&key).unwrap().version = None;
            }
        }
        page.run(&PageOp::LeafClean { rows: Cow::Owned(rows) });
    }

    fn merge(&mut self, at: usize) {
        let at = at % self.pages.len();
        let Some(right) = self.pages.get(at + 1) else { return };
        let right = Node::new(right.view());
        if let Some(image) = Node::new(self.pages[at].view()).merged(&right) {
            self.pages[at].run(&PageOp::NodeInit(image));
            self.pages.remove(at + 1);
        }
    }

    fn contents(&self) -> Model {
        let mut model = Model::new();
        for page in &self.pages {
            let node = Node::new(page.view());
            for slot in 0..node.count() {
                let mut key = Vec::new();
                node.key_into(slot, &mut key);
                assert_eq!(node.search(&key), Ok(slot));
                assert!(node.compare_key(slot, &key).is_eq() && node.key_len(slot) == key.len());
                let (row, mut copy) = (node.row(slot), vec![0; 17_000]);
                assert_eq!(node.value_copy(slot, &mut copy), node.value_len(slot));
                assert_eq!(copy[..node.value_len(slot)], row.value[..]);
                assert!(model.insert(key, row).is_none());
            }
        }
        model
    }
}

fn run(size: PageSize, ascending: bool, script: Vec<Action>) {
    let (mut leaves, mut model) = (Leaves::new(size), Model::new());
    leaves.ascending = ascending;
    for action in script {
        match action {
            Action::Put(key, row) => {
                leaves.put(&key, &row);
                model.insert(key, row);
            }
            Action::Remove(key) => {
                let page = &leaves.pages[leaves.find(&key)];
                let found = Node::new(page.view()).search(&key);
                assert_eq!(found.is_ok(), model.remove(&key).is_some());
                if let Ok(slot) = found {
                    page.run(&PageOp::LeafRemove { slot });
                }
            }
            Action::Clean(key, mask) => leaves.clean(&key, mask, &mut model),
            Action::Merge(at) => leaves.merge(at),
        }
    }
    assert!(leaves.contents() == model);
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn leaves_behave_like_a_sorted_map(size in page_sizes(), ascending in any::<bool>(), script in actions()) {
        run(size, ascending, script);
    }

    #[test]
    fn a_search_finds_the_place_between_neighbours(all in proptest::collection::btree_set(keys(), 0..script_len(300)), wanted in keys()) {
        let mut image = NodeImage::leaf(1, None, None);
        all.iter().for_each(|key| image.push_row(key, &Row::default()));
        prop_assume!(image.size_bytes() <= 65536);
        let page = TestPage::made_by(&PageOp::NodeInit(image), PageSize::MAX);
        let all: Vec<Vec<u8>> = all.into_iter().collect();
        prop_assert_eq!(Node::new(page.view()).search(&wanted), all.binary_search(&wanted));
    }
}

/// The largest keys and values that the limits allow always find room after splits.
#[test]
fn the_largest_rows_fit() {
    for size in [4096, 65536].into_iter().take(if cfg!(miri) { 1 } else { 2 }) {
        let size = PageSize::new(size).unwrap();
        let (key_len, value_len) = (limits::key_bytes_max(size), limits::inline_value_bytes_max(size));
        let mut leaves = Leaves::new(size);
        let version = Some((TxnId::new(1), UndoPtr::none()));
        let row = Row { version, value: Cow::Owned(vec![5; value_len]), ..Row::default() };
        for number in [3u8, 9, 1, 2, 5, 4, 8, 7, 6, 0] {
            let mut key = vec![7; key_len];
            key[key_len - 1 - usize::from(number)] = number;
            leaves.put(&key, &row);
        }
        assert_eq!(leaves.contents().len(), 10);
    }
}

#[test]
fn ascending_inserts_leave_full_leaves_behind() {
    let mut leaves = Leaves::new(PageSize::MIN);
    leaves.ascending = true;
    for number in 0..script_len(2000) as u64 {
        leaves.put(&number.to_be_bytes(), &Row { value: Cow::Owned(vec![1; 52]), ..Row::default() });
    }
    let (_, full) = leaves.pages.split_last().unwrap();
    assert!(full.iter().all(|page| Node::new(page.view()).fill_percent() >= 88));
}

#[test]
fn separators_are_short() {
    let page = TestPage::new(PageSize::MIN);
    let mut image = NodeImage::leaf(1, None, None);
    for number in 0..40u32 {
        image.push_row(format!("{:03}-with-a-long-end", number * 5).as_bytes(), &Row::default());
    }
    PageOp::NodeInit(image).apply(page.page(), FILE, PageNo::new(1));
    let plan = Node::new(page.view()).split_point(b"zzz", false).unwrap();
    assert_eq!((plan.count, &plan.separator[..]), (20, &b"1"[..]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let page =
        TestPage::made_by(&PageOp::NodeInit(NodeImage::leaf(1, Some(b"b"), Some(b"d"))), PageSize::MIN);
    let insert = |slot, key: &'static [u8], len| PageOp::LeafInsert {
        slot,
        key: Cow::Borrowed(key),
        row: Row { value: Cow::Owned(vec![0; len]), ..Row::default() },
    };
    page.refuses(&insert(0, b"a", 0));
    page.refuses(&insert(0, b"d", 0));
    page.refuses(&insert(1, b"c", 0));
    page.refuses(&insert(0, b"c", 4000));
    let error = insert(0, b"c", 4000).check(page.view()).unwrap_err();
    assert!(error.to_string().contains("bytes are free"), "{error}");
    page.run(&insert(0, b"c", 900));
    page.refuses(&insert(1, b"bb", 0));
    page.refuses(&insert(0, b"c", 0));
    page.refuses(&PageOp::LeafRemove { slot: 1 });
    page.refuses(&PageOp::LeafClean { rows: Cow::Borrowed(&[(0, Clean::StripVersion)]) });
    page.refuses(&PageOp::InnerMerge { slot: 0 });
    page.refuses(&PageOp::NodeCut { count: 1, upper: Cow::Borrowed(b"c") });
    page.refuses(&PageOp::NodeCut { count: 1, upper: Cow::Borrowed(b"e") });
    page.refuses(&PageOp::SlotDelete { slot: 0 });
}
