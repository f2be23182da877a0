//! The rules of a B+tree node.

use super::Report;
use crate::node::Node;
use crate::node::image::common_prefix;
use crate::node::layout::{
    COUNT_AT, Flags, HINTS, HINTS_AT, LOWER_AT, NO_LOWER, NO_UPPER, SLOTS_AT, Slot, UPPER_AT, head_of,
    hint_position, round8,
};
use crate::op::check::key_bytes_max;
use crate::{PageType, View, header};

pub(super) fn check_node(view: View, report: &mut Report) {
    let node = Node::new(view);
    report.need(node.is_node(), || {
        format!("level {} in a page of type {}", node.level(), header::page_type(view))
    });
    let stored = usize::from(view.u16_at(COUNT_AT));
    report.need(stored == node.count(), || format!("{stored} slots have no room"));
    check_heap(node, report);
    check_fences(node, report);
    check_keys(node, report);
    check_hints(node, report);
    if header::is_type(view, PageType::Leaf) {
        check_rows(node, report)
    } else {
        check_children(node, report)
    }
}

fn slots<'a>(node: &'a Node) -> impl Iterator<Item = Slot> + 'a {
    (0..node.count()).map(|index| node.slot(index))
}

fn check_heap(node: Node, report: &mut Report) {
    let (slots_end, len) = (SLOTS_AT + 8 * node.count(), node.view().len_bytes());
    let start = node.heap_start();
    report.need((slots_end..=len).contains(&start), || format!("heap at {start}"));
    let fences = [LOWER_AT, UPPER_AT].map(|at| node.fence_place(at)).map(|(at, len)| (at, round8(len)));
    let entries = slots(&node).map(|slot| (slot.offset(), node.entry_bytes(slot)));
    report.heap(start, len, node.garbage_bytes(), entries.chain(fences).collect());
}

fn check_fences(node: Node, report: &mut Report) {
    let flags = node.fence_flags();
    report.need(flags & !(NO_LOWER | NO_UPPER) == 0, || format!("fence flags {flags}"));
    for (at, flag) in [(LOWER_AT, NO_LOWER), (UPPER_AT, NO_UPPER)] {
        let (_, len) = node.fence_place(at);
        report.need(flags & flag == 0 || len == 0, || format!("an infinite fence of {len} bytes"));
        report.need(len <= key_bytes_max(node.view()), || format!("a fence of {len} bytes"));
    }
    let shared = match (node.lower(), node.upper()) {
        (Some(lower), Some(upper)) => {
            report.need(lower < upper, || "the fences are out of order".into());
            common_prefix(&lower, &upper)
        }
        (None, Some(upper)) => {
            report.need(!upper.is_empty(), || "nothing can lie below the upper fence".into());
            0
        }
        _ => 0,
    };
    report.need(node.prefix_len() == shared, || format!("prefix of {}, not {shared}", node.prefix_len()));
}

fn check_keys(node: Node, report: &mut Report) {
    let mut before: Option<Vec<u8>> = None;
    for (index, slot) in slots(&node).enumerate() {
        let mut key = Vec::new();
        node.stored_key_into(index, &mut key);
        report.need(key.len() == slot.key_len(), || format!("the key at slot {index} runs off the page"));
        report.need(slot.head() == head_of(&key), || format!("wrong head at slot {index}"));
        let whole = node.prefix_len() + key.len();
        report
            .need(whole <= key_bytes_max(node.view()), || format!("a key of {whole} bytes at slot {index}"));
        let ascends = before.as_ref().is_none_or(|before| *before < key);
        report.need(ascends, || format!("keys out of order at slot {index}"));
        before = Some(key);
    }
    if node.count() > 0 {
        let (first, last) = (node.whole_key(0), node.whole_key(node.count() - 1));
        report.need(node.in_fences(&first) && node.in_fences(&last), || "keys beyond the fences".into());
    }
}

fn check_hints(node: Node, report: &mut Report) {
    for index in 0..HINTS {
        let wanted = if node.has_hints() { node.slot(hint_position(index, node.count())).head() } else { 0 };
        let stored = node.view().u32_at(HINTS_AT + 4 * index);
        report.need(stored == wanted, || format!("hint {index} is {stored:x}, not {wanted:x}"));
    }
}

fn check_rows(node: Node, report: &mut Report) {
    let known = slots(&node).all(|slot| Flags::from_bits(slot.flags().bits()).is_some());
    report.need(known, || "unknown row flags".into());
    let live = slots(&node).filter(|slot| !slot.flags().is_ghost()).count();
    report.need(live == node.live_count(), || format!("{live} live rows, {} counted", node.live_count()));
    report.need(node.child(node.count()).word() == 0, || "a leaf with an upper child".into());
}

fn check_children(node: Node, report: &mut Report) {
    report
        .need(slots(&node).all(|slot| slot.flags() == Flags::default()), || "flags on an inner entry".into());
    report.need(node.live_count() == node.count(), || format!("{} separators counted", node.live_count()));
    let mut first = Vec::new();
    node.stored_key_into(0, &mut first);
    let above = node.count() == 0 || node.may_come_first(&first);
    report.need(above, || "nothing can lie below the first separator".into());
    let known = (0..=node.count()).all(|index| node.child(index).page().get() != 0);
    report.need(known, || "a child at page 0".into());
}
