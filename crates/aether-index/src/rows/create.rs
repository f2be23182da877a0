//! Making a page-based index, and the factory of its kind.

use super::{Leaves, Rows, empty_root, mtr_bytes};
use crate::traits::{Anchor, IndexFactory, OrderedIndex};
use aether_page::UndoPtr;
use aether_sync::Arc;
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{Txn, TxnManager, UndoKind, UndoRecord};
use aether_types::{IndexKind, PageNo, Result};
use core::marker::PhantomData;

impl<L: Leaves> Rows<L> {
    /// Makes an empty index as part of a transaction; a rollback frees its pages. Blocks.
    pub fn make(txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Self> {
        let root = log_creation(txn, kind, id, id)?;
        Ok(Self::at(txn.manager().clone(), Anchor { kind, id, root }))
    }
}

/// Makes an empty tree as part of a transaction: a leaf that is the root of the index `id` of `kind`, whose pages are those of `tree`. A rollback
/// hands `CreateTree` to the undo of that kind. Blocks.
///
/// # Errors
/// Of pages and of the log.
pub fn log_creation(txn: &mut Txn, kind: IndexKind, id: u32, tree: u32) -> Result<PageNo> {
    txn.begin_write()?;
    let manager = txn.manager().clone();
    let stream = txn.begin_write()?.stream();
    let (root, plan) = {
        let mut mtr = manager.store().mtr(stream, mtr_bytes(manager.store()))?;
        txn.latch_undo(&mut mtr)?;
        let page = mtr.allocate()?;
        let root = mtr.page_no(page);
        mtr.op(page, empty_root(tree))?;
        let record = UndoRecord {
            txn: txn.id(),
            previous: txn.undo_head(),
            kind: UndoKind::CreateTree,
            flags: 0,
            in_parts: false,
            index: kind,
            root,
            tree: id,
            key: &[],
            version: None,
            value: &[],
        };
        let plan = txn.log_undo(&mut mtr, &record)?;
        mtr.commit();
        (root, plan)
    };
    txn.applied(plan);
    Ok(root)
}

/// The factory of a page-based kind.
pub struct RowsFactory<L> {
    name: &'static str,
    leaves: PhantomData<fn() -> L>,
}

impl<L> RowsFactory<L> {
    /// A kind of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, leaves: PhantomData }
    }
}

impl<L: Leaves> IndexFactory for RowsFactory<L> {
    fn name(&self) -> &str {
        self.name
    }

    fn create(&self, txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Anchor> {
        Rows::<L>::make(txn, kind, id).map(|rows| rows.0.anchor())
    }

    fn open(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Arc<dyn OrderedIndex>> {
        Ok(Arc::new(Rows::<L>::at(txns.clone(), at)))
    }

    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        let at = Anchor { kind: record.index, id: record.tree, root: record.root };
        Rows::<L>::at(txns.clone(), at).undo(txn, pointer, record)
    }
}
