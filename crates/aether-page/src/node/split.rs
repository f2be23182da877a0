//! Where to split a node, and the whole nodes that splits and merges write.
//!
//! The separator between two leaves is the shortest string between the last key left and the first key right
//! (suffix truncation; Bayer and Unterauer, "Prefix B-trees", TODS 2(1)): within a window around the middle the
//! boundary with the shortest separator wins. Ascending inserts split at the right end and leave a full node behind.

use super::image::common_prefix;
use super::layout::{LOWER_AT, SLOTS_AT, UPPER_AT, round8};
use super::{Node, NodeImage, Row};
use core::cmp::Ordering;
use core::ops::Range;
use std::borrow::Cow;

/// Where to split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SplitPlan {
    /// Entries that stay left. Of an inner node, the separator after them moves up.
    pub count: usize,
    /// The new fence between left and right, whole.
    pub separator: Vec<u8>,
}

/// All bytes of entries, and a wish: where the split should be, in bytes of entries from the left, and how far from there it may be.
struct Target {
    total: usize,
    bytes: usize,
    tolerance: usize,
}

impl Target {
    fn new(total: usize, ascending: bool) -> Self {
        let (percent, tolerance) = if ascending { (100, 6) } else { (50, 10) };
        Target { total, bytes: total * percent / 100, tolerance: total * tolerance / 100 }
    }
}

impl Node<'_> {
    /// Where to split for `incoming`, the key that found no room. `ascending`: the caller sees ascending inserts;
    /// it counts only if the key would come last. `None` if there is nothing to split, and then the node is damaged
    /// or the entry larger than the limits allow.
    pub fn split_point(&self, incoming: &[u8], ascending: bool) -> Option<SplitPlan> {
        let ascending = ascending && self.search(incoming) == Err(self.count());
        let total = (0..self.count()).map(|slot| self.piece_bytes(slot)).sum();
        let target = Target::new(total, ascending);
        let near = self.best_split(incoming, &target, target.tolerance, ascending);
        near.or_else(|| self.best_split(incoming, &target, total, ascending))
    }

    /// The boundary with the shortest separator among those `tolerance` bytes around the target whose halves have
    /// room for it as their fence; then the nearest.
    fn best_split(
        &self,
        incoming: &[u8],
        target: &Target,
        tolerance: usize,
        ascending: bool,
    ) -> Option<SplitPlan> {
        let widened = tolerance > target.tolerance;
        let (mut best, mut left_bytes) = (None, 0usize);
        for count in 0..=self.count() {
            let distance = left_bytes.abs_diff(target.bytes);
            if distance <= tolerance && self.may_split_at(count, incoming, ascending) {
                let plan = self.separator(count, incoming).map(|separator| SplitPlan { count, separator });
                let plan = plan.filter(|plan| self.halves_fit(plan, left_bytes, target.total));
                let rank = |plan: SplitPlan| (if widened { 0 } else { plan.separator.len() }, distance, plan);
                best =
                    best.into_iter().chain(plan.map(rank)).min_by_key(|(len, distance, _)| (*len, *distance));
            }
            left_bytes += self.piece_bytes(count);
        }
        best.map(|(_, _, plan)| plan)
    }

    /// A separator may be longer than the fence that it replaces.
    fn halves_fit(&self, plan: &SplitPlan, left_bytes: usize, total: usize) -> bool {
        let moved_up = if self.is_leaf() { 0 } else { self.piece_bytes(plan.count) };
        let right_bytes = total.saturating_sub(left_bytes + moved_up);
        let fence = |at| round8(self.fence_place(at).1) + round8(plan.separator.len());
        let room = self.view().len_bytes().saturating_sub(SLOTS_AT);
        left_bytes + fence(LOWER_AT) <= room && right_bytes + fence(UPPER_AT) <= room
    }

    /// A leaf of one row splits before or after it; otherwise both sides get rows, but for ascending inserts, which
    /// may leave everything left.
    fn may_split_at(&self, count: usize, incoming: &[u8], ascending: bool) -> bool {
        if !self.is_leaf() {
            return count < self.count();
        }
        match self.count() {
            0 => false,
            1 => self.compare_key(0, incoming).is_lt() == (count == 1),
            all => (1..all).contains(&count) || count == all && ascending,
        }
    }

    fn piece_bytes(&self, slot: usize) -> usize {
        if slot < self.count() { 8 + self.entry_bytes(self.slot(slot)) } else { 0 }
    }

    /// The separator for a split after `count` entries; `None` if `incoming` is on the wrong side of the only row.
    fn separator(&self, count: usize, incoming: &[u8]) -> Option<Vec<u8>> {
        if !self.is_leaf() {
            return Some(self.whole_key(count));
        }
        let left = if count == 0 { incoming.to_vec() } else { self.whole_key(count - 1) };
        let right = if count == self.count() { incoming.to_vec() } else { self.whole_key(count) };
        (left.cmp(&right) == Ordering::Less).then(|| shortest_between(&left, &right))
    }

    pub(crate) fn whole_key(&self, slot: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.key_len(slot).min(self.view().len_bytes()));
        self.key_into(slot, &mut key);
        key
    }

    /// The right half of a split, for a new page.
    pub fn right_half(&self, plan: &SplitPlan) -> NodeImage<'static> {
        let first = plan.count + usize::from(!self.is_leaf());
        let (lower, upper) = (Some(&plan.separator[..]), self.upper());
        self.image_of(first..self.count(), lower, upper.as_deref(), self.count())
    }

    /// The whole node, for another page: a root's copy.
    pub fn whole(&self) -> NodeImage<'static> {
        self.image_of(0..self.count(), self.lower().as_deref(), self.upper().as_deref(), self.count())
    }

    /// Bytes of a page that a cut leaves filled, at most: keys may lose more of what they share.
    pub(crate) fn cut_bytes(&self, count: usize, upper: &[u8]) -> usize {
        let fences = round8(self.fence_place(LOWER_AT).1) + round8(upper.len());
        SLOTS_AT + fences + (0..count).map(|slot| self.piece_bytes(slot)).sum::<usize>()
    }

    /// What a cut leaves.
    pub(crate) fn first(&self, count: usize, upper: &[u8]) -> NodeImage<'static> {
        self.image_of(0..count, self.lower().as_deref(), Some(upper), count)
    }

    /// This node and its right sibling as one, if one page of this size can hold both.
    pub fn merged(&self, right: &Node) -> Option<NodeImage<'static>> {
        let (lower, upper) = (self.lower(), right.upper());
        let mut image = self.empty_image(lower.as_deref(), upper.as_deref(), right, right.count());
        self.push_into(&mut image, 0..self.count());
        if !self.is_leaf() {
            image.push_child(&self.upper()?, self.child(self.count()).page());
        }
        right.push_into(&mut image, 0..right.count());
        (image.size_bytes() <= self.view().len_bytes()).then_some(image)
    }

    /// The entries `range` under other fences, which must hold them; `upper_child` is the index of the child that
    /// becomes the upper one (inner nodes only).
    pub fn image_of(
        &self,
        range: Range<usize>,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        upper_child: usize,
    ) -> NodeImage<'static> {
        let mut image = self.empty_image(lower, upper, self, upper_child);
        self.push_into(&mut image, range);
        image
    }

    fn empty_image(
        &self,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        last: &Node,
        upper_child: usize,
    ) -> NodeImage<'static> {
        if self.is_leaf() {
            return NodeImage::leaf(self.tree(), lower, upper);
        }
        NodeImage::inner(self.tree(), self.level(), lower, upper, last.child(upper_child).page())
    }

    /// A damaged node may hold more than a page's worth: what cannot fit is not copied further, only enough that
    /// the image's size tells.
    fn push_into(&self, image: &mut NodeImage, range: Range<usize>) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        self.prefix_into(&mut key);
        let prefix_len = key.len();
        for slot in range.start..range.end.min(self.count()) {
            if image.size_bytes() > self.view().len_bytes() {
                return;
            }
            key.truncate(prefix_len);
            self.stored_key_into(slot, &mut key);
            if self.is_leaf() {
                value.clear();
                self.value_into(slot, &mut value);
                image.push_row(&key, &self.row_with(slot, &value));
            } else {
                image.push_child(&key, self.child(slot).page());
            }
        }
    }

    fn row_with<'v>(&self, slot: usize, value: &'v [u8]) -> Row<'v> {
        let flags = self.flags(slot);
        Row {
            ghost: flags.is_ghost(),
            overflow: flags.is_overflow(),
            version: self.version(slot),
            value: Cow::Borrowed(value),
        }
    }

    /// A copy of the row at `slot`.
    pub fn row(&self, slot: usize) -> Row<'static> {
        let mut value = Vec::new();
        self.value_into(slot, &mut value);
        self.row_with(slot, &value).into_owned()
    }
}

/// The shortest string `s` with `left < s <= right`.
fn shortest_between(left: &[u8], right: &[u8]) -> Vec<u8> {
    right[..(common_prefix(left, right) + 1).min(right.len())].to_vec()
}
