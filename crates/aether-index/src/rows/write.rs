//! Changing rows: one mini-transaction of the leaf's operation and the undo record's, each under an exclusive latch.

use super::change::{self, Attempt, Change, InParts, Target};
use super::{FILE, Found, Leaves, Rows, Stop, Towards, mtr_bytes, retry};
use crate::trace::{self, Written};
use crate::traits::Anchor;
use aether_page::node::{Node, Row};
use aether_page::{PageOp, Swip, header};
use aether_trace::planted;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic, Restart};
use aether_txn::{RowHolder, Txn};
use aether_types::{Error, ErrorKind, Result, limits};
use std::borrow::Cow;

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
        change::put(self, txn, key, value)
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
        change::put_from(self, txn, key, length, from)
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Rows::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        let existed = change::change(self, txn, key, Change::Delete)?;
        if existed {
            self.merge(key).inspect_err(|_| txn.fail())?;
        }
        Ok(existed)
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

    /// None: the leaf has no room.
    fn try_change_leaf(&self, txn: &Txn, key: &[u8], change: Change<'_>) -> Result<Option<Attempt>, Stop> {
        let stream = txn.stream().expect("begin_write was called");
        let mut mtr = self.store().mtr(stream, mtr_bytes(self.store()))?;
        let found = self.leaf(Towards::Key(key), &Access::Normal)?;
        let leaf = trace::upgrade(|| self.upgrade_leaf(found))?;
        let old = old_row(&leaf, key);
        let version = old.row.as_ref().and_then(|row| row.version);
        let holder = txn.holder_of_row(self.id(), key, version.map(|(writer, _)| writer))?;
        if !matches!(holder, RowHolder::Nobody) {
            return Ok(Some(Attempt::Blocked(holder)));
        }
        if change.is_delete() && !old.is_live() {
            trace::write(Written::Done, || ());
            return Ok(Some(Attempt::Nothing));
        }
        if !has_room(&leaf, key, &old, change) {
            trace::write(Written::NoRoom, || ());
            return Ok(None);
        }
        let page = mtr.add(leaf);
        let record = change::undo_record(txn, self.anchor(), key, old.row.as_ref(), None);
        let plan = txn.log_undo(&mut mtr, &record)?;
        let row = change.row(txn.id(), plan.pointer);
        let stored = Node::new(mtr.view(page)).strip(key);
        let op = match old.slot {
            Ok(slot) => PageOp::LeafUpdate { slot, row },
            Err(slot) => PageOp::LeafInsert { slot, key: Cow::Borrowed(stored), row },
        };
        mtr.op(page, op)?;
        trace::write(Written::Done, || mtr.commit());
        Ok(Some(Attempt::Done { existed: old.is_live(), plan, retired: old.stub() }))
    }
}

impl<L: Leaves> Target for Rows<L> {
    fn anchor(&self) -> Anchor {
        Leaves::anchor(&**self)
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        Rows::check_key(self, key)
    }

    fn try_change(&self, txn: &Txn, key: &[u8], change: Change<'_>, _: Option<&InParts>) -> Result<Attempt> {
        match retry(|| self.try_change_leaf(txn, key, change))? {
            Some(attempt) => Ok(attempt),
            None => self.make_room(key, change.value().len()).map(|()| Attempt::Again),
        }
    }

    /// Another was first.
    fn is_refusal(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TimedOut | ErrorKind::Deadlock)
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

/// Refuses a value that no extent can hold.
pub(crate) fn check_value(length: u64, key: &[u8]) -> Result<()> {
    if length > limits::VALUE_BYTES_MAX {
        let what = format!("a value of {length} bytes; at most {} are allowed", limits::VALUE_BYTES_MAX);
        return Err(Error::invalid(what).at_key(key));
    }
    Ok(())
}
