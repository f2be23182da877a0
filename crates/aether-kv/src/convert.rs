//! Conversion of a keyspace from one kind of index to another, while it is read and written.
//!
//! An empty index of the new kind is made, listed as dropped, so that a crash takes it away. From a moment on at which nobody is writing, every
//! writer notes the keys that he is about to change ([`Captured`]). Then all rows are copied, each part of them as a snapshot of its own
//! shows it, and after that, in rounds, the rows of the keys noted meanwhile. Few are left in the end: the keyspace is locked, they are copied, and one
//! transaction gives the keyspace the new index and lists the old one as dropped. Handles follow by their slot (`slot.rs`).
//!
//! Copies need no snapshot that is held throughout: what was changed after a part was copied is noted, and copied again. A failure at
//! any step leaves the old index as it is.
//!
//! Løland, Hvasshovd, "Online, Non-blocking Relational Schema Changes" (EDBT 2006), for the order of steps: a copy that is fuzzy, changes
//! made up for in rounds, a short lock.

mod captured;
mod copy;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use captured::Captured;

use crate::buffer::Charge;
use crate::catalog::Entry;
use crate::env::{DbEnv, Inner};
use crate::keyspace::KeyspaceOptions;
use crate::lsm::index::txn::{self as inner, CommitHandle, Durability, LockMode, Resource};
use crate::options::{Isolation, TxnOptions};
use crate::slot::Slot;
use aether_sync::{Arc, thread};
use aether_types::{Error, ErrorKind, Result, Timestamp, TxnId};
use core::ops::ControlFlow;
use std::time::Duration;

/// What a conversion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// Rows copied.
    pub rows_copied: u64,
    /// Rounds in which rows were copied again that had been changed meanwhile.
    pub rounds: u64,
    /// Rows copied in these.
    pub rows_copied_again: u64,
    /// For how long the keyspace was locked, so that writers waited.
    pub locked: Duration,
}

/// How far a conversion is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionProgress {
    /// What was done so far.
    pub done: Conversion,
    /// Keys that were changed and are still to be copied again.
    pub keys_waiting: u64,
}

/// Bytes of notes from which on writers wait, at the most; as much again is there for those who are waited for.
const NOTES_BYTES_MAX: u64 = 8 << 20;
/// The share of the memory budget that they may take.
const NOTES_SHARE: u64 = 32;
/// So few keys are copied while the keyspace is locked.
const KEYS_LAST: usize = if cfg!(test) { 2 } else { 256 };
/// Rounds after which it is locked all the same.
const ROUNDS_MAX: u64 = 16;
/// Between two attempts to commit against a prepared transaction.
const PAUSE: Duration = Duration::from_millis(10);

/// A conversion under way. Dropped before the switch, it takes the new index away.
struct Converter<'a> {
    env: &'a Inner,
    name: &'a str,
    claim: Claim,
    old: Entry,
    new: Entry,
    to: Arc<Slot>,
    done: Conversion,
    /// Rows up to this key are copied.
    copied_to: Option<Vec<u8>>,
    /// All are.
    has_copied: bool,
    /// The last commit of a copy that nobody has waited for.
    newest: Option<CommitHandle>,
    /// The copies since then.
    resting: Vec<TxnId>,
    has_switched: bool,
}

/// The keyspace as the one that is being converted. While it lives, nobody else converts it.
struct Claim {
    slot: Arc<Slot>,
    _memory: Charge,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.slot.end_capture();
        self.slot.captured.give_back();
    }
}

/// A lock on keyspaces, and since when.
struct Locked {
    _txn: inner::Txn,
    since: Duration,
}

impl DbEnv {
    /// Gives a keyspace another kind of index, and copies its rows there, while others read and write it. Handles, iterators and
    /// snapshots stay valid; a transaction that began before the switch gets `Conflict` when it writes to the keyspace after it. Blocks until the
    /// rows are copied; writers wait twice for a moment, and while more is changed than can be copied again. Begin no conversion in a thread
    /// whose transaction has written to the keyspace: it is waited for.
    ///
    /// Memory does not depend on the length of values: notes of at most 16 MiB, about 256 KiB of rows, and a piece of a large value at a time.
    ///
    /// # Errors
    /// `NotFound` without such a keyspace, also if it is dropped meanwhile; `InvalidInput` if it is of that kind; `Unsupported` for a kind that is not
    /// registered; `Conflict` if it is being converted already, or while a prepared transaction has read it; `TimedOut` if a
    /// writer or a prepared transaction is not over within `lock_timeout`; `OverLimit` without memory, or if transactions under way change too much;
    /// `Expired` if a single value takes longer than `snapshot_age_max`; those of reading and writing. Then the keyspace is what it was.
    /// `InDoubt` if the log failed at the end: the next open tells.
    pub fn convert(&self, name: &str, options: KeyspaceOptions) -> Result<Conversion> {
        let done = self.convert_with(name, options, |_| ControlFlow::Continue(()))?;
        Ok(done.expect("nobody has cancelled it"))
    }

    /// As [`DbEnv::convert`]; tells `watch` now and then how far it is. `None` if that breaks it off: the keyspace is what it was. `watch` runs
    /// in this thread, which makes room for writers: one that writes much to the keyspace waits for itself.
    pub fn convert_with(
        &self,
        name: &str,
        options: KeyspaceOptions,
        mut watch: impl FnMut(&ConversionProgress) -> ControlFlow<()>,
    ) -> Result<Option<Conversion>> {
        self.0.store.check_healthy()?;
        let mut converter = Converter::begin(&self.0, name, options)?;
        if converter.copy_all(&mut watch)?.is_break() || converter.catch_up(&mut watch)?.is_break() {
            return Ok(None);
        }
        converter.switch()?;
        let done = converter.done;
        drop(converter);
        // What nobody can read any more goes now; what fails is freed after the next open.
        self.0.free_garbage();
        Ok(Some(done))
    }
}

/// Claims a keyspace for a conversion to another kind.
fn claim(env: &Inner, name: &str, options: KeyspaceOptions) -> Result<(Claim, Entry)> {
    let most = NOTES_BYTES_MAX.min(env.store.budget().limit_bytes() / NOTES_SHARE);
    loop {
        let view = env.txns.view();
        let entry = env.catalog.find(&view, name)?;
        if entry.kind() == options.kind {
            return Err(Error::invalid(format!("the keyspace `{name}` is of {} already", options.kind)));
        }
        env.indexes.check_kind(options.kind, "the new index")?;
        let memory = Charge::new(env.store.budget().account("conversion"), 2 * most)?;
        let slot = env.open_slot(name, &entry)?;
        if !slot.captured.claim(most as usize) {
            let what = format!("the keyspace `{name}` is being converted already");
            return Err(Error::new(ErrorKind::Conflict, what));
        }
        let claim = Claim { slot, _memory: memory };
        if claim.slot.successor().is_none() {
            return Ok((claim, entry));
        }
    }
}

impl<'a> Converter<'a> {
    fn begin(env: &'a Inner, name: &'a str, options: KeyspaceOptions) -> Result<Self> {
        let (claim, old) = claim(env, name, options)?;
        let new = create(env, options)?;
        let to = env.open_slot(name, &new).inspect_err(|_| discard(env, new))?;
        let converter = Self {
            env,
            name,
            claim,
            old,
            new,
            to,
            done: Conversion::default(),
            copied_to: None,
            has_copied: false,
            newest: None,
            resting: Vec::new(),
            has_switched: false,
        };
        converter.begin_capture()
    }

    /// From here on writers note what they change. Blocks for those who write.
    fn begin_capture(mut self) -> Result<Self> {
        let locked = self.lock(&[self.old.id])?;
        self.claim.slot.begin_capture();
        self.unlock(locked);
        Ok(self)
    }

    fn now(&self) -> Duration {
        self.env.store.env().clock.now()
    }

    fn lock(&self, ids: &[u32]) -> Result<Locked> {
        let mut txn = begin(self.env);
        ids.iter().try_for_each(|id| txn.lock(&Resource::Keyspace(*id), LockMode::X))?;
        Ok(Locked { _txn: txn, since: self.now() })
    }

    fn unlock(&mut self, locked: Locked) {
        self.done.locked += self.now().saturating_sub(locked.since);
    }

    fn captured(&self) -> &Captured {
        &self.claim.slot.captured
    }

    fn tell(&self, watch: &mut Watch<'_>) -> ControlFlow<()> {
        watch(&ConversionProgress { done: self.done, keys_waiting: self.captured().len() as u64 })
    }

    /// Copies all rows, in transactions of bounded size.
    fn copy_all(&mut self, watch: &mut Watch<'_>) -> Result<ControlFlow<()>> {
        while !self.has_copied {
            self.copy_part()?;
            if self.captured().is_half_full() {
                self.run_round()?;
            }
            if self.tell(watch).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Copies what was changed meanwhile until little is left.
    fn catch_up(&mut self, watch: &mut Watch<'_>) -> Result<ControlFlow<()>> {
        for _ in 0..ROUNDS_MAX {
            if self.captured().len() <= KEYS_LAST {
                break;
            }
            self.run_round()?;
            if self.tell(watch).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Puts the new index in the place of the old one; again for a while, should a prepared transaction be in the way.
    fn switch(&mut self) -> Result<()> {
        let mut patience = self.env.txns.config().lock_timeout;
        loop {
            match self.try_switch() {
                Err(error) if error.kind() == ErrorKind::Conflict && !patience.is_zero() => {}
                other => return other,
            }
            self.captured().begin_rounds();
            thread::sleep(PAUSE);
            patience = patience.saturating_sub(PAUSE);
            self.run_round()?;
        }
    }

    fn try_switch(&mut self) -> Result<()> {
        self.wait_for_copies()?;
        self.captured().begin_last();
        let locked = self.lock(&[self.old.id, self.new.id])?;
        self.captured().check()?;
        self.run_round()?;
        if self.captured().len() > 0 {
            let what = "a transaction could not be rolled back; open the store again";
            return Err(Error::new(ErrorKind::Poisoned, what));
        }
        let switched = self.commit_switch();
        self.unlock(locked);
        switched
    }

    /// Commits the switch, durably. Who waits for the lock goes on in the new index.
    fn commit_switch(&mut self) -> Result<()> {
        let mut txn = begin(self.env).for_bookkeeping();
        // It rests on what was copied, and is not durable before that.
        let rests = self.resting.iter().all(|copy| txn.view().sees(*copy));
        assert!(rests, "copies are committed");
        self.env.catalog.switch(&mut txn, self.name, &self.old, &self.new)?;
        txn.wrote_all(self.old.id);
        let slot = &self.claim.slot;
        let switching = slot.begin_switch();
        let handle = txn.commit_with(Durability::Sync)?;
        let at = handle.timestamp().expect("the catalog was changed");
        switching.done(at, self.to.clone());
        self.has_switched = true;
        self.env.throw_away(at, vec![self.old]);
        handle.wait()
    }
}

impl Drop for Converter<'_> {
    fn drop(&mut self) {
        self.claim.slot.end_capture();
        if !self.has_switched {
            discard(self.env, self.new);
        }
    }
}

type Watch<'w> = dyn FnMut(&ConversionProgress) -> ControlFlow<()> + 'w;

fn begin(env: &Inner) -> inner::Txn {
    env.txns.begin_with(TxnOptions::at(Isolation::Snapshot))
}

/// Makes an empty index, durably, that goes with a crash.
fn create(env: &Inner, options: KeyspaceOptions) -> Result<Entry> {
    loop {
        let mut txn = begin(env).for_bookkeeping();
        let made = env.catalog.create_dropped(&mut txn, options, &env.indexes);
        let committed = made.and_then(|entry| txn.commit_with(Durability::Sync)?.wait().map(|()| entry));
        match committed {
            // Another makes an index, too.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock) => {}
            other => return other,
        }
    }
}

/// Takes an index away that never was a keyspace's. What fails is freed after the next open.
fn discard(env: &Inner, made: Entry) {
    env.throw_away(Timestamp::new(0), vec![made]);
    env.free_garbage();
}
