//! Changing rows, whatever they lie in: who waits for whom, large values, what the transaction notes.

use super::value::{read_short, write_extents};
use crate::traits::Anchor;
use aether_page::UndoPtr;
use aether_page::node::Row;
use aether_sync::Backoff;
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{RowHolder, Txn, UndoKind, UndoPlan, UndoRecord};
use aether_types::{Error, ErrorKind, Psn, Result, TxnId, limits};
use std::io::Read;

/// What a row becomes.
#[derive(Clone, Copy)]
pub(crate) enum Change<'v> {
    Put { value: &'v [u8], overflow: bool },
    Delete,
}

impl<'v> Change<'v> {
    pub(crate) fn value(self) -> &'v [u8] {
        match self {
            Self::Put { value, .. } => value,
            Self::Delete => &[],
        }
    }

    pub(crate) fn is_delete(self) -> bool {
        matches!(self, Self::Delete)
    }

    pub(crate) fn row(self, writer: TxnId, undo: UndoPtr) -> Row<'v> {
        let overflow = matches!(self, Self::Put { overflow: true, .. });
        Row { ghost: self.is_delete(), overflow, ..Row::versioned(writer, undo, self.value()) }
    }
}

/// How an attempt to change a row ended.
pub(crate) enum Attempt {
    /// Done: whether the row was there before, and the stub of the large value it had.
    Done { existed: bool, plan: UndoPlan, retired: Option<Vec<u8>> },
    /// There was nothing to delete.
    Nothing,
    /// Something was in the way and is not any more.
    Again,
    /// Another is between this transaction and the row.
    Blocked(RowHolder),
    #[cfg_attr(
        not(all(feature = "btree", feature = "skiplist")),
        allow(dead_code, reason = "for rows in memory")
    )]
    /// The old value, with the number of its change, is too long for an undo record: it is to be logged in parts first.
    TooLong { psn: Psn, value: Vec<u8> },
}

/// An old value that was logged in parts.
pub(crate) struct InParts {
    /// The number of the change that wrote it.
    #[cfg_attr(
        not(all(feature = "btree", feature = "skiplist")),
        allow(dead_code, reason = "for rows in memory")
    )]
    pub(crate) psn: Psn,
    /// What the undo record has in its place.
    pub(crate) instead: Vec<u8>,
}

/// Where rows lie.
pub(crate) trait Target {
    fn anchor(&self) -> Anchor;

    /// Fails for a key that is too long.
    fn check_key(&self, key: &[u8]) -> Result<()>;

    /// The longest value that lies with the row; others go into extents.
    fn inline_bytes_max(&self, store: &Store) -> usize {
        limits::inline_value_bytes_max(store.page_size())
    }

    /// Changes the row and logs it with its undo record, or says what is in the way. `in_parts`: what it has asked for by
    /// [`Attempt::TooLong`]. Holds nothing on return.
    fn try_change(
        &self,
        txn: &Txn,
        key: &[u8],
        change: Change<'_>,
        in_parts: Option<&InParts>,
    ) -> Result<Attempt>;

    /// True for an error after which nothing is half done: the transaction may go on.
    fn is_refusal(error: &Error) -> bool;
}

/// Inserts or replaces. Blocks.
pub(crate) fn put<T: Target>(target: &T, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
    target.check_key(key)?;
    if value.len() <= target.inline_bytes_max(txn.store()) {
        return change(target, txn, key, Change::Put { value, overflow: false }).map(|_| ());
    }
    put_from(target, txn, key, value.len() as u64, &mut &*value)
}

/// Inserts or replaces with a value that is read piece by piece. Blocks.
pub(crate) fn put_from<T: Target>(
    target: &T,
    txn: &mut Txn,
    key: &[u8],
    length: u64,
    from: &mut dyn Read,
) -> Result<()> {
    put_from_with_room(target, txn, key, length, from, &mut || Ok(false))
}

/// The same; where there is no memory for the row, `make_room` is asked once, and if it has made some the row is tried again. What was
/// read of the value is not read again.
pub(crate) fn put_from_with_room<T: Target>(
    target: &T,
    txn: &mut Txn,
    key: &[u8],
    length: u64,
    from: &mut dyn Read,
    make_room: &mut dyn FnMut() -> Result<bool>,
) -> Result<()> {
    target.check_key(key)?;
    if length <= target.inline_bytes_max(txn.store()) as u64 {
        let value = read_short(key, length, from).inspect_err(|_| txn.fail())?;
        let row = Change::Put { value: &value, overflow: false };
        return change_with_room(target, txn, key, row, make_room).result;
    }
    let mark = txn.savepoint();
    let stub = write_extents(txn, target.anchor(), key, length, from)?;
    let row = Change::Put { value: &stub, overflow: true };
    let put = change_with_room(target, txn, key, row, make_room);
    if put.is_refused {
        // What stands in extents already goes, should the transaction go on.
        txn.rollback_to(&mark)?;
    }
    txn.release(&mark)?;
    put.result
}

/// How a change ended that was tried again.
struct Tried {
    result: Result<()>,
    /// Nothing was done to the row, and the transaction may go on.
    is_refused: bool,
}

fn change_with_room<T: Target>(
    target: &T,
    txn: &mut Txn,
    key: &[u8],
    row: Change<'_>,
    make_room: &mut dyn FnMut() -> Result<bool>,
) -> Tried {
    let mut try_once = || {
        let result = change(target, txn, key, row).map(|_| ());
        Tried { is_refused: result.as_ref().is_err_and(T::is_refusal), result }
    };
    let first = try_once();
    if !first.is_full() {
        return first;
    }
    match make_room() {
        Ok(true) => try_once(),
        Ok(false) => first,
        Err(error) => Tried { result: Err(error), ..first },
    }
}

impl Tried {
    fn is_full(&self) -> bool {
        self.result.as_ref().is_err_and(|error| error.kind() == ErrorKind::OverLimit)
    }
}

/// Changes a row; true if it was there. Blocks.
///
/// After an error that is neither the caller's nor a refusal, the transaction is not whole any more: it can only be aborted.
pub(crate) fn change<T: Target>(target: &T, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
    let changed = change_row(target, txn, key, change);
    if changed.as_ref().is_err_and(|error| !T::is_refusal(error)) {
        txn.fail();
    }
    changed
}

fn change_row<T: Target>(target: &T, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
    let id = target.anchor().id;
    let (mut backoff, mut in_parts) = (Backoff::new(), None);
    loop {
        txn.begin_change(id)?;
        match target.try_change(txn, key, change, in_parts.as_ref())? {
            Attempt::Done { existed, plan, retired } => {
                txn.applied(plan);
                txn.wrote(id, key);
                retired.map_or(Ok(()), |stub| txn.retire(stub))?;
                return Ok(existed);
            }
            Attempt::Nothing => return Ok(false),
            Attempt::Again => {}
            Attempt::Blocked(RowHolder::Writer(writer)) => txn.wait_for_row(id, key, Some(&writer))?,
            Attempt::Blocked(RowHolder::Table) => txn.wait_for_row(id, key, None)?,
            Attempt::Blocked(_) => backoff.wait(),
            Attempt::TooLong { psn, value } => {
                in_parts = Some(InParts { psn, instead: txn.log_parts(&value)? });
            }
        }
    }
}

/// How to undo a change of the row that stood there, if one did.
pub(crate) fn undo_record<'a>(
    txn: &Txn,
    of: Anchor,
    key: &'a [u8],
    old: Option<&'a Row<'_>>,
    in_parts: Option<&'a InParts>,
) -> UndoRecord<'a> {
    let (txn, previous) = (txn.id(), txn.undo_head());
    let Anchor { kind: index, id: tree, root } = of;
    let (kind, flags, version, value): (_, _, _, &[u8]) = match old {
        None => (UndoKind::Insert, 0, None, &[]),
        Some(row) => {
            let value = in_parts.map_or(&*row.value, |parts| &parts.instead);
            (UndoKind::Update, row.flags().bits(), row.version, value)
        }
    };
    let in_parts = in_parts.is_some();
    UndoRecord { txn, previous, kind, flags, in_parts, index, root, tree, key, version, value }
}
