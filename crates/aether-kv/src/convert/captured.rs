//! The keys that are changed while their keyspace is copied.
//!
//! A writer notes a key before it changes the row, with its transaction. A round takes the notes, then a snapshot, and copies these rows as the
//! snapshot shows them; a note whose transaction the snapshot does not show is put back, for its change may be committed later. Notes are
//! bounded: where there is no room, a writer waits, without a latch, for the round in hand, which takes no lock that it might have.

use crate::rank;
use aether_sync::{Condvar, Mutex, MutexGuard};
use aether_types::{Error, ErrorKind, Result, TxnId};
use std::collections::BTreeSet;

/// Bytes that a note takes beside its key, about.
const NOTE_BYTES: usize = 64;

/// A key, and the transaction that changes it.
pub(crate) type Note = (Vec<u8>, TxnId);

/// The notes of a slot.
pub(crate) struct Captured {
    notes: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Default)]
struct Notes {
    /// A conversion is under way.
    is_claimed: bool,
    phase: Phase,
    keys: BTreeSet<Note>,
    /// Of those listed, and of those that a round has taken.
    bytes: usize,
    /// Where writers begin to wait. Twice as many end the conversion.
    bytes_max: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing is noted.
    #[default]
    Idle,
    /// Rounds make room, and writers wait for it.
    Rounds,
    /// The conversion waits for the writers that are left, so they do not.
    Last,
    /// There were too many: nothing is noted any more, and the conversion fails.
    Over,
}

pub(super) fn bytes_of(key: &[u8]) -> usize {
    key.len() + NOTE_BYTES
}

impl Captured {
    pub(crate) fn new() -> Self {
        Self { notes: Mutex::new(rank::CAPTURED, Notes::default()), changed: Condvar::new() }
    }

    /// A conversion begins; false if another is under way.
    pub(crate) fn claim(&self, bytes_max: usize) -> bool {
        let mut notes = self.notes.lock();
        if notes.is_claimed {
            return false;
        }
        *notes = Notes { is_claimed: true, phase: Phase::Rounds, bytes_max, ..Notes::default() };
        true
    }

    /// It has ended.
    pub(crate) fn give_back(&self) {
        self.notes.lock().is_claimed = false;
    }

    /// Nothing is noted any more; who waits goes on.
    pub(crate) fn end(&self) {
        self.set(&mut self.notes.lock(), Phase::Idle);
    }

    fn set(&self, notes: &mut MutexGuard<'_, Notes>, phase: Phase) {
        if notes.phase == Phase::Over && phase != Phase::Idle {
            return;
        }
        notes.phase = phase;
        if matches!(phase, Phase::Idle | Phase::Over) {
            notes.keys.clear();
            notes.bytes = 0;
        }
        self.changed.notify_all();
    }

    /// Notes that `txn` is about to change `key`. Blocks while there is no room; call without latches.
    pub(crate) fn note(&self, key: &[u8], txn: TxnId) {
        let mut notes = self.notes.lock();
        let note = (key.to_vec(), txn);
        while !matches!(notes.phase, Phase::Idle | Phase::Over) && !notes.keys.contains(&note) {
            let bytes = notes.bytes + bytes_of(key);
            let limit = if notes.phase == Phase::Last { 2 * notes.bytes_max } else { notes.bytes_max };
            if bytes <= limit {
                notes.bytes = bytes;
                notes.keys.insert(note);
                return;
            }
            match notes.phase {
                Phase::Last => self.set(&mut notes, Phase::Over),
                _ => notes = self.changed.wait(notes),
            }
        }
    }

    /// Takes all notes. They count until [`Captured::copied`] says otherwise.
    pub(super) fn take(&self) -> BTreeSet<Note> {
        core::mem::take(&mut self.notes.lock().keys)
    }

    /// A part of what was taken is done, but for `unfinished`.
    pub(super) fn copied(&self, taken: &[Note], unfinished: Vec<Note>) {
        let mut notes = self.notes.lock();
        let done: usize = taken.iter().map(|(key, _)| bytes_of(key)).sum();
        notes.bytes = notes.bytes.saturating_sub(done);
        for note in unfinished {
            let bytes = bytes_of(&note.0);
            if notes.keys.insert(note) {
                notes.bytes += bytes;
            }
        }
        self.changed.notify_all();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.notes.lock().keys.len()
    }

    /// True if it is time to make room.
    pub(super) fn is_half_full(&self) -> bool {
        let notes = self.notes.lock();
        2 * notes.bytes > notes.bytes_max
    }

    /// From here on writers do not wait for room.
    pub(super) fn begin_last(&self) {
        self.set(&mut self.notes.lock(), Phase::Last);
    }

    /// They do again.
    pub(super) fn begin_rounds(&self) {
        self.set(&mut self.notes.lock(), Phase::Rounds);
    }

    /// Fails if there were more than fit.
    ///
    /// # Errors
    /// `OverLimit`.
    pub(super) fn check(&self) -> Result<()> {
        let notes = self.notes.lock();
        if notes.phase != Phase::Over {
            return Ok(());
        }
        let what = format!("transactions under way change more than {} bytes of keys", notes.bytes_max);
        Err(Error::new(ErrorKind::OverLimit, format!("{what} while the keyspace is converted")))
    }

    /// After a round that has put so many bytes back: should those take most of the room, no round makes any.
    ///
    /// # Errors
    /// `OverLimit`.
    pub(super) fn check_room(&self, unfinished_bytes: usize) -> Result<()> {
        let mut notes = self.notes.lock();
        if 2 * unfinished_bytes > notes.bytes_max {
            self.set(&mut notes, Phase::Over);
        }
        drop(notes);
        self.check()
    }
}
