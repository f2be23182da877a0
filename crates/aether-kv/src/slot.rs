//! Where the rows of a keyspace are: in one index, and after a conversion in the next.
//!
//! All handles of a keyspace share the slot of its index, and stay valid: a slot leads to that of the index which took its place, with the
//! timestamp at which it did. Who sees that commit goes on there; an older snapshot stays. Whoever writes looks at the slot once
//! he has his intention lock: a conversion changes what a slot says to writers only under a lock on the keyspace that excludes them.
//!
//! While the switch is published, readers wait for it (`SWITCHES`), so nobody reads the old index at a timestamp above it.

use crate::convert::Captured;
use crate::lsm::index::OrderedIndex;
use crate::lsm::index::txn::{Isolation, LockMode, ReadView, Resource, Txn};
use crate::rank;
use crate::rows::Rows;
use aether_sync::atomic::{AtomicU32, Ordering::*};
use aether_sync::{Arc, Mutex, MutexGuard, OnceLock};
use aether_types::{Error, ErrorKind, IndexKind, Result, Timestamp};

/// Writers note the keys that they are about to change.
const CAPTURES: u32 = 1;
/// The switch to the next index is being published.
const SWITCHES: u32 = 2;
/// There is a next index. For good.
const MOVED: u32 = 4;

/// An index of a keyspace, and what took its place.
pub(crate) struct Slot {
    rows: Rows,
    id: u32,
    kind: IndexKind,
    state: AtomicU32,
    next: OnceLock<Next>,
    /// Held while the state is `SWITCHES`.
    switching: Mutex<()>,
    /// Cloned by whoever stands in the index with a view that may move up: it is not freed meanwhile.
    pin: Arc<()>,
    pub(crate) captured: Captured,
}

/// The index that took the place of another.
struct Next {
    /// The commit that did it.
    at: Timestamp,
    slot: Arc<Slot>,
}

impl Next {
    /// The slot, for a transaction that is to write.
    ///
    /// # Errors
    /// `Conflict` if its snapshot is older than the switch.
    fn for_writer(&self, txn: &mut Txn) -> Result<&Arc<Slot>> {
        if txn.isolation() == Isolation::ReadCommitted {
            txn.read();
        }
        if txn.view().at() >= self.at {
            return Ok(&self.slot);
        }
        let what = "the keyspace was converted after this transaction began; abort and run it again";
        Err(Error::new(ErrorKind::Conflict, what).at_txn(txn.id()))
    }
}

/// The switch of a slot to the next one, until it is done or dropped.
pub(crate) struct Switching<'s> {
    slot: &'s Slot,
    _readers_wait: MutexGuard<'s, ()>,
}

impl Slot {
    pub(crate) fn new(rows: Rows) -> Self {
        let anchor = rows.anchor();
        Self {
            rows,
            id: anchor.id,
            kind: anchor.kind,
            state: AtomicU32::new(0),
            next: OnceLock::new(),
            switching: Mutex::new(rank::SWITCHING, ()),
            pin: Arc::new(()),
            captured: Captured::new(),
        }
    }

    #[inline]
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn index(&self) -> &dyn OrderedIndex {
        self.rows.index()
    }

    #[inline]
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn kind(&self) -> IndexKind {
        self.kind
    }

    /// True if no other index took the place of this one, or is about to. Asked before a read with a view that stays, or
    /// after one without.
    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        // Pairs with the changes of state in `begin_switch` and `Switching::done`.
        self.state.load(Acquire) & (SWITCHES | MOVED) == 0
    }

    /// The next index; waits while it is being published.
    fn next(&self) -> Option<&Next> {
        if self.state.load(Acquire) & SWITCHES != 0 {
            drop(self.switching.lock());
        }
        self.next.get()
    }

    /// What took the place of this one.
    pub(crate) fn successor(&self) -> Option<&Arc<Slot>> {
        self.next().map(|next| &next.slot)
    }

    /// That of this and the following slots whose rows `view` shows.
    #[inline]
    pub(crate) fn shown_to<'s>(self: &'s Arc<Self>, view: &ReadView) -> &'s Arc<Self> {
        if self.is_last() { self } else { self.later_shown_to(view) }
    }

    #[cold]
    fn later_shown_to<'s>(self: &'s Arc<Self>, view: &ReadView) -> &'s Arc<Self> {
        let mut slot = self;
        while let Some(next) = slot.next().filter(|next| next.at <= view.at()) {
            slot = &next.slot;
        }
        slot
    }

    /// The last of this and the following slots.
    #[inline]
    pub(crate) fn newest(self: &Arc<Self>) -> &Arc<Self> {
        if self.is_last() { self } else { self.later() }
    }

    #[cold]
    fn later(self: &Arc<Self>) -> &Arc<Self> {
        let mut slot = self;
        while let Some(next) = slot.next() {
            slot = &next.slot;
        }
        slot
    }

    /// Reads what `view` shows, which may move up meanwhile: `read` is asked again where the rows are then.
    #[inline]
    pub(crate) fn read<T>(
        self: &Arc<Self>,
        view: &ReadView,
        mut read: impl FnMut(&Slot) -> Result<T>,
    ) -> Result<T> {
        if self.is_last() {
            let found = read(self);
            if self.is_last() {
                return found;
            }
        }
        self.read_later(view, &mut read)
    }

    #[cold]
    fn read_later<T>(
        self: &Arc<Self>,
        view: &ReadView,
        read: &mut dyn FnMut(&Slot) -> Result<T>,
    ) -> Result<T> {
        loop {
            let slot = self.shown_to(view);
            let found = read(slot);
            if Arc::ptr_eq(slot, slot.shown_to(view)) {
                return found;
            }
        }
    }

    /// The slot in which `txn` is to change `key`, with its intention locks. Blocks.
    ///
    /// # Errors
    /// As [`Txn::begin_change`]; `Conflict` if the keyspace was converted after the transaction's snapshot.
    #[inline]
    pub(crate) fn to_change<'s>(self: &'s Arc<Self>, txn: &mut Txn, key: &[u8]) -> Result<&'s Slot> {
        txn.begin_change(self.id).inspect_err(|error| self.after_refusal(txn, error))?;
        if self.state.load(Acquire) == 0 { Ok(self) } else { self.to_change_with_care(txn, key) }
    }

    #[cold]
    fn to_change_with_care<'s>(self: &'s Arc<Self>, txn: &mut Txn, key: &[u8]) -> Result<&'s Slot> {
        let mut slot = self;
        while let Some(next) = slot.next() {
            slot = next.for_writer(txn).map_err(|error| error.at_key(key))?;
            txn.begin_change(slot.id).inspect_err(|error| slot.after_refusal(txn, error))?;
        }
        if slot.state.load(Acquire) & CAPTURES != 0 {
            slot.captured.note(key, txn.id());
        }
        Ok(slot)
    }

    /// The slot in which `txn` is to change rows in bulk, and whether each key must be noted by [`Slot::to_change`]. The transaction has the
    /// keyspace to itself where that spares the index work, else its intention locks. Blocks.
    ///
    /// # Errors
    /// As [`Slot::to_change`].
    pub(crate) fn to_change_many<'s>(self: &'s Arc<Self>, txn: &mut Txn) -> Result<(&'s Slot, bool)> {
        let mut slot = self;
        loop {
            slot.lock_for_many(txn).inspect_err(|error| slot.after_refusal(txn, error))?;
            let Some(next) = slot.next() else { break };
            slot = next.for_writer(txn)?;
        }
        Ok((slot, slot.state.load(Acquire) & CAPTURES != 0))
    }

    fn lock_for_many(&self, txn: &mut Txn) -> Result<()> {
        if self.index().as_bulk_load().is_some() {
            return txn.lock(&Resource::Keyspace(self.id), LockMode::X);
        }
        txn.begin_change(self.id).map(drop)
    }

    /// A transaction goes on after a lock that it did not get, and where rows are in memory, without memory; else it is over.
    #[cold]
    fn after_refusal(&self, txn: &mut Txn, error: &Error) {
        let may_go_on = match error.kind() {
            ErrorKind::Conflict | ErrorKind::TimedOut | ErrorKind::Deadlock => true,
            ErrorKind::OverLimit => [IndexKind::SKIPLIST, IndexKind::LSM].contains(&self.kind),
            _ => false,
        };
        if !may_go_on {
            txn.fail();
        }
    }

    /// Keeps the index while the result lives.
    pub(crate) fn pin(&self) -> Arc<()> {
        self.pin.clone()
    }

    /// True if somebody has pinned it.
    pub(crate) fn is_pinned(&self) -> bool {
        Arc::strong_count(&self.pin) > 1
    }

    /// Writers note keys from now on. Only under a lock that excludes them.
    pub(crate) fn begin_capture(&self) {
        self.state.fetch_or(CAPTURES, AcqRel);
    }

    /// They need not any more.
    pub(crate) fn end_capture(&self) {
        self.state.fetch_and(!CAPTURES, AcqRel);
        self.captured.end();
    }

    /// The switch is about to be committed: readers wait. Only under a lock that excludes writers.
    pub(crate) fn begin_switch(&self) -> Switching<'_> {
        let readers_wait = self.switching.lock();
        self.state.fetch_or(SWITCHES, AcqRel);
        Switching { slot: self, _readers_wait: readers_wait }
    }
}

impl Switching<'_> {
    /// The rows have been those of `slot` since the commit at `at`.
    pub(crate) fn done(self, at: Timestamp, slot: Arc<Slot>) {
        let set = self.slot.next.set(Next { at, slot });
        assert!(set.is_ok(), "one conversion of a keyspace at a time");
        self.slot.state.fetch_or(MOVED, AcqRel);
    }
}

impl Drop for Switching<'_> {
    fn drop(&mut self) {
        self.slot.state.fetch_and(!SWITCHES, AcqRel);
    }
}
