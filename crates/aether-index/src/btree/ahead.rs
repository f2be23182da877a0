//! Reading ahead of a scan.

use super::Tree;
use crate::rows::{FILE, Leaves};
use aether_page::node::Node;
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Optimistic, ScanRing};
use aether_types::PageNo;

/// Leaves read ahead.
const READ_AHEAD: usize = 32;

impl Tree {
    /// Names the next leaves under the same parent to the pool, once half of those named before are used up; without
    /// validation, since a wrong page loaded early is no harm.
    pub(super) fn name_next(
        &self,
        parent: &Optimistic<'_>,
        index: usize,
        forward: bool,
        ring: &Arc<ScanRing>,
    ) {
        let node = Node::new(parent.view());
        let far = READ_AHEAD.min(ring.ahead_max());
        let (near, range) = if forward {
            let last = node.count();
            ((index + far / 2).min(last), index + 1..(index + far).min(last) + 1)
        } else {
            (index.saturating_sub(far / 2), index.saturating_sub(far)..index)
        };
        if range.is_empty() || self.pool().is_resident(FILE, node.child(near).page()) {
            return;
        }
        let pages: Vec<PageNo> = range.map(|index| node.child(index).page()).collect();
        if parent.validate().is_ok() {
            self.pool().prefetch(FILE, pages, ring);
        }
    }
}
