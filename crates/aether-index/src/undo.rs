//! Undo of a store with indexes of several kinds. A record names the kind of its index, so that nobody has to ask a catalog.

#[cfg(feature = "btree")]
use crate::btree::BTree;
use crate::rows::{free_values, undo_extents};
use crate::traits::IndexFactory;
use aether_sync::Arc;
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{TxnManager, UndoHandler, UndoKind, UndoRecord};
#[cfg(feature = "btree")]
use aether_types::IndexKind;
use aether_types::Result;

use aether_page::UndoPtr;

type Find = dyn Fn(&UndoRecord<'_>) -> Result<Arc<dyn IndexFactory>> + Send + Sync;

/// Undoes changes of indexes of any kind, each by the factory of its kind. B+trees need none.
pub struct KindsUndo(Box<Find>);

impl KindsUndo {
    /// `find` gives the factory for a record of an index that is no B+tree, just before the change is undone.
    pub fn new(
        find: impl Fn(&UndoRecord<'_>) -> Result<Arc<dyn IndexFactory>> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(find))
    }

    /// For a store that has, beside B+trees, indexes of one kind.
    pub fn of(factory: Arc<dyn IndexFactory>) -> Self {
        Self::new(move |_| Ok(factory.clone()))
    }
}

impl UndoHandler for KindsUndo {
    fn undo(
        &self,
        manager: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        if record.kind == UndoKind::WriteExtents {
            return undo_extents(manager, txn, record);
        }
        #[cfg(feature = "btree")]
        if record.index == IndexKind::BTREE {
            return BTree::open(manager.clone(), record.root, record.tree).undo(txn, pointer, record);
        }
        (self.0)(record)?.undo(manager, txn, pointer, record)
    }

    fn free_extents(&self, manager: &Arc<TxnManager>, stubs: &[Vec<u8>]) -> Result<()> {
        free_values(manager.store(), stubs)
    }
}
