//! Changing rows: one mini-transaction of the leaf's operation and the undo record's, each under an exclusive latch.

use super::value::write_extents;
use super::{FILE, Found, Leaves, Rows, Stop, Towards, mtr_bytes, retry};
use crate::trace::{self, Written};
use crate::traits::Anchor;
use aether_page::node::{Node, Row};
use aether_page::{PageOp, Swip, UndoPtr, header};
use aether_sync::Backoff;
use aether_trace::planted;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic, Restart};
use aether_txn::{RowHolder, Txn, UndoKind, UndoPlan, UndoRecord};
use aether_types::{Error, ErrorKind, Result, TxnId, limits};
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
    /// Another is between this transaction and the row.
    Blocked(RowHolder),
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

impl<L: Leaves> Rows<L> {
    /// Inserts or replaces; blocks for latches and log room.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins), or is changing it and this one does not
    /// wait; `TimedOut` or `Deadlock` if it does: after these three nothing is half done, and the transaction may go on.
    /// `InvalidInput` beyond the limits; `TxnOver`; `Poisoned`.
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
    /// As [`Rows::put`]; `InvalidInput` if `from` ends early. Then the transaction can only be aborted.
    pub fn put_from(
        &self,
        txn: &mut Txn,
        key: &[u8],
        length: u64,
        from: &mut dyn std::io::Read,
    ) -> Result<()> {
        self.check_key(key)?;
        let mark = txn.savepoint();
        let stub = write_extents(txn, self.anchor(), key, length, from)?;
        let put = self.change(txn, key, Change::Put { value: &stub, overflow: true });
        if put.as_ref().is_err_and(is_refusal) {
            // What stands in extents already goes, should the transaction go on.
            txn.rollback_to(&mark)?;
        }
        txn.release(&mark)?;
        put.map(|_| ())
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Rows::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        let existed = self.change(txn, key, Change::Delete)?;
        if existed {
            self.merge(key).inspect_err(|_| txn.fail())?;
        }
        Ok(existed)
    }

    /// After an error that is neither the caller's nor a refusal, the transaction is not whole any more: it can only
    /// be aborted.
    fn change(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let changed = self.change_row(txn, key, change);
        if changed.as_ref().is_err_and(|error| !is_refusal(error)) {
            txn.fail();
        }
        changed
    }

    fn change_row(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let mut backoff = Backoff::new();
        loop {
            txn.begin_change(self.id())?;
            match retry(|| self.try_change(txn, key, change))? {
                Attempt::Done { existed, plan, retired } => {
                    txn.applied(plan);
                    txn.wrote(self.id(), key);
                    retired.into_iter().for_each(|stub| txn.retire(stub));
                    return Ok(existed);
                }
                Attempt::Nothing => return Ok(false),
                Attempt::NoRoom => self.make_room(key, change.value().len())?,
                Attempt::Blocked(RowHolder::Writer(writer)) => {
                    txn.wait_for_row(self.id(), key, Some(&writer))?;
                }
                Attempt::Blocked(RowHolder::Table) => txn.wait_for_row(self.id(), key, None)?,
                Attempt::Blocked(_) => backoff.wait(),
            }
        }
    }

    fn upgrade_leaf<'p>(&'p self, found: Found<'p>) -> Result<Exclusive<'p>, Stop> {
        let seen = found.node;
        match found.upgrade() {
            Err(_) if planted("upgrade-whatever-came") => Ok(self.latch_anyway(&seen)?),
            upgraded => upgraded,
        }
    }

    /// Takes the latch though somebody may have written: what planted bugs do instead of an upgrade.
    #[cold]
    fn latch_anyway<'p>(&'p self, node: &Optimistic<'p>) -> Result<Exclusive<'p>, Restart> {
        let page = header::page_no(node.view());
        self.pool().exclusive(FILE, Swip::new(page)).map_err(|_| Restart)
    }

    fn try_change(&self, txn: &Txn, key: &[u8], change: Change<'_>) -> Result<Attempt, Stop> {
        let stream = txn.stream().expect("begin_write was called");
        let mut mtr = self.store().mtr(stream, mtr_bytes(self.store()))?;
        let found = self.leaf(Towards::Key(key), &Access::Normal)?;
        let leaf = trace::upgrade(|| self.upgrade_leaf(found))?;
        let old = old_row(&leaf, key);
        let version = old.row.as_ref().and_then(|row| row.version);
        let holder = txn.holder_of_row(self.id(), key, version.map(|(writer, _)| writer))?;
        if !matches!(holder, RowHolder::Nobody) {
            return Ok(Attempt::Blocked(holder));
        }
        if matches!(change, Change::Delete) && !old.is_live() {
            trace::write(Written::Done, || ());
            return Ok(Attempt::Nothing);
        }
        if !has_room(&leaf, key, &old, change) {
            trace::write(Written::NoRoom, || ());
            return Ok(Attempt::NoRoom);
        }
        let page = mtr.add(leaf);
        let record = undo_record(txn, self.anchor(), key, &old);
        let plan = txn.log_undo(&mut mtr, &record)?;
        let row = change.row(txn.id(), plan.pointer);
        let stored = Node::new(mtr.view(page)).strip(key);
        let op = match old.slot {
            Ok(slot) => PageOp::LeafUpdate { slot, row },
            Err(slot) => PageOp::LeafInsert { slot, key: Cow::Borrowed(stored), row },
        };
        mtr.op(page, op)?;
        trace::write(Written::Done, || mtr.commit());
        Ok(Attempt::Done { existed: old.is_live(), plan, retired: old.stub() })
    }
}

/// Another was first, and nothing was done: the transaction is whole.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TimedOut | ErrorKind::Deadlock)
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

fn undo_record<'a>(txn: &Txn, of: Anchor, key: &'a [u8], old: &'a Old) -> UndoRecord<'a> {
    let (txn, previous) = (txn.id(), txn.undo_head());
    let Anchor { kind: index, id: tree, root } = of;
    let (kind, flags, version, value): (_, _, _, &[u8]) = match &old.row {
        None => (UndoKind::Insert, 0, None, &[]),
        Some(row) => (UndoKind::Update, row.flags().bits(), row.version, &row.value),
    };
    UndoRecord { txn, previous, kind, flags, index, root, tree, key, version, value }
}

/// Refuses a value that no extent can hold.
pub(crate) fn check_value(length: u64, key: &[u8]) -> Result<()> {
    if length > limits::VALUE_BYTES_MAX {
        let what = format!("a value of {length} bytes; at most {} are allowed", limits::VALUE_BYTES_MAX);
        return Err(Error::invalid(what).at_key(key));
    }
    Ok(())
}
