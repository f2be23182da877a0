//! Point reads.

use super::undo::long_row_before;
use super::value::read_extents;
use super::{Leaves, Rows, Stop, Towards, retry};
use crate::trace;
use aether_page::UndoPtr;
use aether_page::node::{Flags, Node};
use aether_trace::planted;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ChainWalk, ReadView, TxnManager, UndoKind, UndoRecord};
use aether_types::{Result, TxnId};
use core::cell::RefCell;

/// What a leaf, rows in memory or an undo record say of a row at a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The row is not there: it was deleted.
    Absent,
    /// Nothing is said of the row: it is not there, unless what lies below has it.
    Missing,
    /// The row is there; its value was appended to the output.
    Value,
    /// The row is there; the stub of its value was appended to the output.
    Stub,
}

impl Seen {
    pub(crate) fn of(flags: Flags) -> Self {
        match flags {
            flags if flags.is_ghost() => Self::Absent,
            flags if flags.is_overflow() => Self::Stub,
            _ => Self::Value,
        }
    }

    /// True if the row is there, as far as this says.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Value | Self::Stub)
    }
}

/// A version's writer, and where its undo record stands.
type Version = (TxnId, UndoPtr);

/// What the leaf says without its undo.
pub(super) enum Newest {
    Seen(Seen),
    /// The key does not belong in this leaf.
    Misled,
    /// A version that the view does not show: look behind it.
    Older(TxnId, UndoPtr),
}

impl<L: Leaves> Rows<L> {
    /// Appends the value of `key`, as `view` shows it, to `out`; false if there is none.
    ///
    /// # Errors
    /// `Corruption`, `Io`.
    pub fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        let seen = self.get_row(view, key, out)?;
        if seen == Seen::Stub {
            let stub = out.split_off(start);
            read_extents(self.store(), &stub, out)?;
        }
        Ok(seen.is_there())
    }

    /// The row as it stands: value or stub.
    pub(crate) fn get_row(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<Seen> {
        let start = out.len();
        retry(|| {
            out.truncate(start);
            self.try_get(view, key, out)
        })
    }

    /// The value of `key` at the newest durable commit, without a snapshot, if that is possible: a row that is bare,
    /// or whose newest version is settled. `None`: it takes a view to tell.
    pub fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        let start = out.len();
        retry(|| {
            out.truncate(start);
            self.try_get_settled(key, out)
        })
    }

    /// Runs `read` on the value of `key`, without allocating for it. `read` may call back into the store.
    pub fn get_with<R>(
        &self,
        view: &ReadView,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        with_scratch(|value| Ok(self.get_into(view, key, value)?.then(|| read(value))))
    }

    fn try_get(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<Seen, Stop> {
        let behind = |newest: &Result<Seen, Version>| newest.as_ref().err().map(|(writer, _)| *writer);
        match trace::read_row(|| self.try_get_newest(view, key, out), behind)? {
            Ok(seen) => Ok(seen),
            Err(version) => older(self.manager(), view, key, version, out),
        }
    }

    /// What the leaf says, or the version that the view does not show.
    #[inline]
    fn try_get_newest(
        &self,
        view: &ReadView,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Result<Seen, Version>, Stop> {
        let found = self.leaf(Towards::Key(key), &Access::Normal)?;
        let leaf = &found.node;
        let node = Node::new(leaf.view());
        let slot = node.search(key);
        let newest = match slot {
            Err(_) if !node.in_fences(key) => Newest::Misled,
            Err(_) => Newest::Seen(Seen::Absent),
            Ok(slot) => newest(&node, slot, view, out),
        };
        let validate = || if planted("answer-without-validation") { Ok(()) } else { leaf.validate() };
        trace::answer(&node, slot.ok(), validate)?;
        view.check()?;
        match newest {
            Newest::Seen(seen) => Ok(Ok(seen)),
            Newest::Misled => Err(Stop::Fail(self.wrong_leaf(&found))),
            Newest::Older(writer, undo) => Ok(Err((writer, undo))),
        }
    }

    fn try_get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>, Stop> {
        let leaf = self.leaf(Towards::Key(key), &Access::Normal)?.node;
        let node = Node::new(leaf.view());
        let Ok(slot) = node.search(key) else {
            leaf.validate()?;
            return Ok(Some(false));
        };
        let (flags, version) = (node.flags(slot), node.version(slot));
        let settled = version.is_none_or(|(writer, _)| self.manager().is_settled(writer));
        if settled && !flags.is_ghost() && !flags.is_overflow() {
            node.value_into(slot, out);
        }
        leaf.validate()?;
        Ok(match (settled, flags) {
            (false, _) => None,
            (true, flags) if flags.is_ghost() => Some(false),
            (true, flags) if flags.is_overflow() => None,
            (true, _) => Some(true),
        })
    }
}

/// Reads the newest version; the view is asked before the caller validates the page.
#[inline]
pub(super) fn newest(node: &Node<'_>, slot: usize, view: &ReadView, out: &mut Vec<u8>) -> Newest {
    let flags = node.flags(slot);
    if let Some((writer, undo)) = node.version(slot)
        && !view.sees(writer)
    {
        return Newest::Older(writer, undo);
    }
    if !flags.is_ghost() {
        node.value_into(slot, out);
    }
    Newest::Seen(Seen::of(flags))
}

/// Follows a row's before-images to the version that the view shows. An undo record that is not there any more, or
/// not of the expected writer, means that the row has changed: restart.
pub(crate) fn older(
    manager: &TxnManager,
    view: &ReadView,
    key: &[u8],
    mut version: Version,
    out: &mut Vec<u8>,
) -> Result<Seen, Stop> {
    let mut walk = ChainWalk::default();
    loop {
        walk.visit(version.1)?;
        match trace::older(|| behind(manager, view, key, version, out), told)? {
            Ok(seen) => return Ok(seen),
            Err(before) => version = before,
        }
    }
}

/// What stood before a version, or the version that stood there if the view does not show that either.
fn behind(
    manager: &TxnManager,
    view: &ReadView,
    key: &[u8],
    (writer, undo): Version,
    out: &mut Vec<u8>,
) -> Result<Result<Seen, Version>, Stop> {
    let bytes = manager.read_undo(undo)?;
    view.check()?;
    with_record(bytes, key, writer, |record| {
        if record.kind == UndoKind::Insert {
            return Ok(Ok(Seen::Missing));
        }
        match record.version {
            // The writer itself is not asked for again: rolled back by now, it would look like one that is forgotten.
            Some((before, undo)) if before == writer || !view.sees(before) => Ok(Err((before, undo))),
            _ => {
                let before = long_row_before(manager, record)?.ok_or(Stop::Restart)?;
                out.extend_from_slice(&before.value);
                Ok(Ok(Seen::of(before.flags())))
            }
        }
    })
}

/// Hands over the undo record that was read for a version of `key` by `writer`. One that is not there any more, or another's, means
/// that the row has changed: restart.
pub(crate) fn with_record<T>(
    bytes: Option<Vec<u8>>,
    key: &[u8],
    writer: TxnId,
    read: impl FnOnce(&UndoRecord<'_>) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let Some(bytes) = bytes else { return Err(Stop::Restart) };
    let record = UndoRecord::decode(&bytes)?;
    if record.txn != writer || record.key != key {
        return Err(Stop::Restart);
    }
    read(&record)
}

/// For traces: 0 if the record is gone, 1 if another is to be read, 2 if this was the last; none after an error.
fn told(read: &Result<Result<Seen, Version>, Stop>) -> Option<u64> {
    match read {
        Err(Stop::Restart) => Some(0),
        Err(Stop::Fail(_)) => None,
        Ok(Err(_)) => Some(1),
        Ok(Ok(_)) => Some(2),
    }
}

/// A buffer of the thread, for values that are only looked at.
fn with_scratch<T>(body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: the caller's closure may read again.
    let mut scratch = SCRATCH.with(RefCell::take);
    scratch.clear();
    let result = body(&mut scratch);
    if scratch.capacity() <= 1 << 16 {
        SCRATCH.with(|cell| cell.replace(scratch));
    }
    result
}

#[cfg(all(test, feature = "btree", not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::{BTree, TreeUndo};
    use aether_page::Swip;
    use aether_txn::recovery::wal::buffer::BufferConfig;
    use aether_txn::recovery::{FIRST_TREE_ROOT, PAGES_FILE, Store, StoreConfig};
    use aether_txn::{Durability, TxnConfig};
    use aether_types::Timestamp;

    /// A reader meets a row that a transaction has inserted and changed; before it looks behind the change, the transaction is
    /// rolled back and gone. Found by threads that scan one snapshot in both directions.
    #[test]
    fn a_writer_that_is_rolled_back_meanwhile_shows_nothing() {
        let buffer = BufferConfig { num_frames: 64, enable_page_provider: false, ..BufferConfig::default() };
        let store = Store::volatile(StoreConfig { buffer, ..StoreConfig::default() }).unwrap();
        let config = TxnConfig::new(Durability::None);
        let manager =
            TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(TreeUndo)).unwrap();
        let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
        let mut txn = manager.begin();
        tree.put(&mut txn, b"key", b"first").unwrap();
        tree.put(&mut txn, b"key", b"second").unwrap();
        let view = manager.view();
        let version = {
            let leaf = manager.store().pool().shared(PAGES_FILE, Swip::new(FIRST_TREE_ROOT)).unwrap();
            Node::new(leaf.view()).version(0).unwrap()
        };
        assert!(!view.sees(version.0));
        txn.abort().unwrap();
        let seen = older(&manager, &view, b"key", version, &mut Vec::new());
        assert!(matches!(seen, Ok(Seen::Missing) | Err(Stop::Restart)), "an aborted value is shown");
    }
}
