//! Changing rows: one mini-transaction of the leaf's operation and the undo record's, each under an exclusive latch.

use super::descend::Towards;
use super::{BTree, Stop, mtr_bytes, retry};
use aether_page::node::{Node, Row};
use aether_page::{PageOp, UndoPtr};
use aether_sync::Backoff;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive};
use aether_txn::{Txn, UndoKind, UndoPlan, UndoRecord};
use aether_types::{Error, PageNo, Result, TxnId, limits};
use std::borrow::Cow;

/// What a row becomes.
#[derive(Clone, Copy)]
enum Change<'v> {
    Put { value: &'v [u8], overflow: bool },
    Delete,
}

impl<'v> Change<'v> {
    fn value(self) -> &'v [u8] {
        match self {
            Self::Put { value, .. } => value,
            Self::Delete => &[],
        }
    }

    fn row(self, writer: TxnId, undo: UndoPtr) -> Row<'v> {
        let overflow = matches!(self, Self::Put { overflow: true, .. });
        let ghost = matches!(self, Self::Delete);
        Row { ghost, overflow, ..Row::versioned(writer, undo, self.value()) }
    }
}

/// How an attempt to change a row ended.
enum Attempt {
    /// Done: whether the row was there before, and the stub of the large value it had.
    Done { existed: bool, plan: UndoPlan, retired: Option<Vec<u8>> },
    /// There was nothing to delete.
    Nothing,
    /// The leaf has no room.
    NoRoom,
    /// Another's commit of this row is being published.
    Wait,
}

/// The row as the transaction found it.
struct Old {
    slot: Result<usize, usize>,
    row: Option<Row<'static>>,
}

impl Old {
    fn is_live(&self) -> bool {
        self.row.as_ref().is_some_and(|row| !row.ghost)
    }

    fn stub(self) -> Option<Vec<u8>> {
        self.row.filter(|row| row.overflow && !row.ghost).map(|row| row.value.into_owned())
    }
}

impl BTree {
    /// Inserts or replaces; blocks for latches and log room.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins); `InvalidInput` beyond the limits;
    /// `TxnOver`; `Poisoned`.
    pub fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_key(key)?;
        if value.len() <= limits::inline_value_bytes_max(self.store().page_size()) {
            return self.change(txn, key, Change::Put { value, overflow: false }).map(|_| ());
        }
        self.put_from(txn, key, value.len() as u64, &mut &*value)
    }

    /// Inserts or replaces with a value of `length` bytes read from `from`; memory stays bounded. Blocks.
    ///
    /// # Errors
    /// As [`BTree::put`]; `InvalidInput` if `from` ends early. Then the transaction can only be aborted.
    pub fn put_from(
        &self,
        txn: &mut Txn,
        key: &[u8],
        length: u64,
        from: &mut dyn std::io::Read,
    ) -> Result<()> {
        self.check_key(key)?;
        let stub = self.write_extents(txn, key, length, from)?;
        self.change(txn, key, Change::Put { value: &stub, overflow: true }).map(|_| ())
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`BTree::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        let existed = self.change(txn, key, Change::Delete)?;
        if existed {
            self.merge_if_sparse(key).inspect_err(|_| txn.fail())?;
        }
        Ok(existed)
    }

    /// After an error that is not the caller's, the transaction is not whole any more: it can only be aborted.
    fn change(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let changed = self.change_row(txn, key, change);
        if changed.is_err() {
            txn.fail();
        }
        changed
    }

    fn change_row(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let mut backoff = Backoff::new();
        loop {
            txn.begin_write()?;
            match retry(|| self.try_change(txn, key, change))? {
                Attempt::Done { existed, plan, retired } => {
                    txn.applied(plan);
                    txn.wrote(self.id(), key);
                    retired.into_iter().for_each(|stub| txn.retire(stub));
                    return Ok(existed);
                }
                Attempt::Nothing => return Ok(false),
                Attempt::NoRoom => self.make_room(key, change.value().len())?,
                Attempt::Wait => backoff.wait(),
            }
        }
    }

    fn try_change(&self, txn: &Txn, key: &[u8], change: Change<'_>) -> Result<Attempt, Stop> {
        let stream = txn.stream().expect("begin_write was called");
        let mut mtr = self.store().mtr(stream, mtr_bytes(self.store()))?;
        let leaf = self.leaf(Towards::Key(key), &Access::Normal)?.upgrade()?;
        let old = old_row(&leaf, key);
        if let Some((writer, _)) = old.row.as_ref().and_then(|row| row.version)
            && !txn.may_replace(writer, key)?
        {
            return Ok(Attempt::Wait);
        }
        if matches!(change, Change::Delete) && !old.is_live() {
            return Ok(Attempt::Nothing);
        }
        if !has_room(&leaf, key, &old, change) {
            return Ok(Attempt::NoRoom);
        }
        let page = mtr.add(leaf);
        let record = undo_record(txn, self.root(), self.id(), key, &old);
        let plan = txn.log_undo(&mut mtr, &record)?;
        let row = change.row(txn.id(), plan.pointer);
        let stored = Node::new(mtr.view(page)).strip(key);
        let op = match old.slot {
            Ok(slot) => PageOp::LeafUpdate { slot, row },
            Err(slot) => PageOp::LeafInsert { slot, key: Cow::Borrowed(stored), row },
        };
        mtr.op(page, op)?;
        mtr.commit();
        Ok(Attempt::Done { existed: old.is_live(), plan, retired: old.stub() })
    }
}

fn old_row(leaf: &Exclusive<'_>, key: &[u8]) -> Old {
    let node = Node::new(leaf.view());
    let slot = node.search(key);
    Old { slot, row: slot.ok().map(|slot| node.row(slot)) }
}

fn has_room(leaf: &Exclusive<'_>, key: &[u8], old: &Old, change: Change<'_>) -> bool {
    let (node, value_len) = (Node::new(leaf.view()), change.value().len());
    match old.slot {
        Ok(slot) => node.fits_update(slot, value_len, true),
        Err(_) => node.fits_insert(key.len(), value_len, true),
    }
}

fn undo_record<'a>(txn: &Txn, root: PageNo, tree: u32, key: &'a [u8], old: &'a Old) -> UndoRecord<'a> {
    let (txn, previous) = (txn.id(), txn.undo_head());
    let (kind, flags, version, value): (_, _, _, &[u8]) = match &old.row {
        None => (UndoKind::Insert, 0, None, &[]),
        Some(row) => (UndoKind::Update, row.flags().bits(), row.version, &row.value),
    };
    UndoRecord { txn, previous, kind, flags, root, tree, key, version, value }
}

/// Refuses a value that no extent can hold.
pub(crate) fn check_value(length: u64, key: &[u8]) -> Result<()> {
    if length > limits::VALUE_BYTES_MAX {
        let what = format!("a value of {length} bytes; at most {} are allowed", limits::VALUE_BYTES_MAX);
        return Err(Error::invalid(what).at_key(key));
    }
    Ok(())
}
