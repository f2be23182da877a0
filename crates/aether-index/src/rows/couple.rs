//! Optimistic lock coupling, hand over hand from the root to a leaf.
//!
//! At each level: read the child's reference, fix the child, and only then validate the parent: if the parent has
//! not changed, the child that was fixed is the right one and was so when its version was read.

use super::{Base, FILE, Stop};
use crate::trace;
use aether_page::Swip;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_trace::planted;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Optimistic, Pool, Restart};
use aether_types::PageNo;

/// The root's frame as last seen. Nothing is lost if another thread's hint is.
pub(super) struct RootHint(AtomicU64);

impl RootHint {
    pub(super) fn new(root: PageNo) -> Self {
        Self(AtomicU64::new(Swip::new(root).word()))
    }

    #[inline]
    fn get(&self) -> Swip {
        Swip::from_word(self.0.load(Relaxed))
    }

    fn note(&self, root: PageNo, frame: u32) {
        self.0.store(Swip::new(root).with_hint(frame).word(), Relaxed);
    }
}

impl Base {
    #[inline]
    fn pool(&self) -> &Pool {
        self.txns.store().pool()
    }

    /// Fixes the root. Blocks for a read.
    ///
    /// # Errors
    /// Those of the pool.
    #[inline(always)]
    pub fn fix_root(&self) -> Result<Optimistic<'_>, Stop> {
        let swip = self.root_hint.get();
        let root = trace::fix_root(|| self.pool().optimistic(FILE, swip, &Access::Normal))?;
        if swip.hint() != Some(root.frame()) {
            self.root_hint.note(self.anchor.root, root.frame());
        }
        Ok(root)
    }

    /// Fixes the child `swip` and validates the parent that named it, in the word at the offset that `word` tells. Blocks for a
    /// read.
    ///
    /// # Errors
    /// `Restart` if the parent has changed; those of the pool.
    #[inline]
    pub fn fix_child(
        &self,
        parent: &Optimistic<'_>,
        swip: Swip,
        word: impl FnOnce() -> usize,
        access: &Access<'_>,
    ) -> Result<Optimistic<'_>, Stop> {
        let hinted = || self.pool().hinted(FILE, swip, access).ok_or(Restart);
        if let Ok(child) = trace::fix_child(swip, hinted) {
            trace::couple(|| validate_parent(parent))?;
            return Ok(child);
        }
        // The reference must be a real one before a page is loaded for it.
        parent.validate()?;
        let child = trace::fix_child(swip, || self.pool().optimistic(FILE, swip, access))?;
        trace::couple(|| validate_parent(parent))?;
        parent.repair_hint(word(), swip, child.frame());
        Ok(child)
    }
}

fn validate_parent(parent: &Optimistic<'_>) -> Result<(), Restart> {
    if planted("parent-is-not-validated") { Ok(()) } else { parent.validate() }
}
