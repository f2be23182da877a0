//! Does an inner node keep its separators, children and their hints through splits, merges and cuts?

use crate::support::{TestPage, cases, keys, page_sizes, script_len};
use aether_page::node::{Node, NodeImage};
use aether_page::types::{PageNo, PageSize};
use aether_page::{PageOp, Swip};
use proptest::prelude::*;
use std::borrow::Cow;

/// Separators and children; there is one child more.
#[derive(Clone, Debug)]
struct Model {
    separators: Vec<Vec<u8>>,
    children: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Action {
    Split(Vec<u8>),
    Merge(usize),
    Replace(usize),
    Hint(usize, u32),
    Halve(bool),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        12 => keys().prop_map(Action::Split),
        3 => any::<usize>().prop_map(Action::Merge),
        1 => any::<usize>().prop_map(Action::Replace),
        4 => (any::<usize>(), 0u32..9999).prop_map(|(at, frame)| Action::Hint(at, frame)),
        1 => any::<bool>().prop_map(Action::Halve),
    ];
    proptest::collection::vec(action, 1..script_len(500))
}

struct Subject {
    page: TestPage,
    model: Model,
    next: u64,
}

impl Subject {
    fn new(size: PageSize) -> Self {
        let image = NodeImage::inner(3, 1, None, None, PageNo::new(1));
        let page = TestPage::made_by(&PageOp::NodeInit(image), size);
        Self { page, model: Model { separators: vec![], children: vec![1] }, next: 2 }
    }

    fn step(&mut self, action: Action) {
        let children = self.model.children.len();
        match action {
            Action::Split(key) => self.split(&key),
            Action::Merge(at) if children > 1 => {
                let slot = at % (children - 1);
                self.page.run(&PageOp::InnerMerge { slot });
                self.model.separators.remove(slot);
                self.model.children.remove(slot + 1);
            }
            Action::Merge(_) => self.page.refuses(&PageOp::InnerMerge { slot: 0 }),
            Action::Replace(at) => {
                let (index, page) = (at % children, self.fresh());
                self.page.run(&PageOp::InnerChild { index, page: PageNo::new(page) });
                self.model.children[index] = page;
            }
            Action::Hint(at, frame) => self.hint(at % children, frame),
            Action::Halve(keep_left) => self.halve(keep_left, b""),
        }
        self.compare();
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn hint(&self, index: usize, frame: u32) {
        let node = Node::new(self.page.view());
        let hinted = node.child(index).with_hint(frame);
        self.page.page().put_word(node.child_word_offset(index), hinted.word());
    }

    fn split(&mut self, key: &[u8]) {
        let node = Node::new(self.page.view());
        let Err(slot) = self.model.separators.binary_search_by(|separator| separator[..].cmp(key)) else {
            return;
        };
        if key.is_empty() || !node.in_fences(key) || node.lower().as_deref() == Some(key) {
            return;
        }
        assert_eq!(node.child_index(key), slot);
        if !node.fits_insert(key.len(), 0, false) {
            return self.halve(key.first().is_some_and(|byte| byte % 2 == 0), key);
        }
        let (left, key): (_, Cow<[u8]>) = (node.child(slot), Cow::Owned(node.strip(key).to_vec()));
        let right = self.fresh();
        let op = PageOp::InnerSplit { slot, key, right: PageNo::new(right) };
        self.page.run(&op);
        let node = Node::new(self.page.view());
        assert_eq!((node.child(slot), node.child(slot + 1)), (left, Swip::new(PageNo::new(right))));
        let mut whole = Vec::new();
        node.key_into(slot, &mut whole);
        self.model.separators.insert(slot, whole);
        self.model.children.insert(slot + 1, right);
    }

    /// Splits, merges both halves again on a third page, and goes on with one half.
    fn halve(&mut self, keep_left: bool, incoming: &[u8]) {
        let node = Node::new(self.page.view());
        let Some(plan) = node.split_point(incoming, false) else { return };
        assert_eq!(plan.separator, self.model.separators[plan.count]);
        let (whole, hinted) = (node.whole(), node.child(plan.count));
        let right = TestPage::made_by(&PageOp::NodeInit(node.right_half(&plan)), self.page.size());
        self.page.run(&PageOp::NodeCut { count: plan.count, upper: Cow::Borrowed(&plan.separator) });
        let (left, after) = (Node::new(self.page.view()), Node::new(right.view()));
        assert_eq!(left.child(plan.count), hinted);
        assert_eq!(left.merged(&after), Some(whole));
        if keep_left {
            self.model.separators.truncate(plan.count);
            self.model.children.truncate(plan.count + 1);
        } else {
            self.page = right;
            self.model.separators.drain(..=plan.count);
            self.model.children.drain(..=plan.count);
        }
    }

    fn compare(&self) {
        let node = Node::new(self.page.view());
        assert!(!node.is_leaf() && node.is_node() && node.count() == self.model.separators.len());
        let children: Vec<u64> = (0..=node.count()).map(|index| node.child(index).page().get()).collect();
        assert_eq!(children, self.model.children);
        for (slot, separator) in self.model.separators.iter().enumerate() {
            let mut key = Vec::new();
            node.key_into(slot, &mut key);
            assert_eq!(&key, separator);
            assert_eq!(node.child_index(separator), slot + 1);
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn an_inner_node_behaves_like_its_model(size in page_sizes(), script in actions()) {
        let mut subject = Subject::new(size);
        script.into_iter().for_each(|action| subject.step(action));
    }
}

#[test]
fn hints_do_not_reach_storage() {
    let subject = Subject::new(PageSize::MIN);
    subject.page.run(&PageOp::InnerSplit { slot: 0, key: Cow::Borrowed(b"m"), right: PageNo::new(5) });
    let before = subject.page.bytes();
    subject.hint(0, 3);
    subject.hint(1, 4);
    assert_eq!(Node::new(subject.page.view()).child(1).hint(), Some(4));
    assert!(subject.page.bytes() == before);
    let image = PageOp::image_of(subject.page.view());
    let copy = TestPage::made_by(&image, PageSize::MIN);
    assert_eq!(Node::new(copy.view()).child(1), Swip::new(PageNo::new(5)));
}
