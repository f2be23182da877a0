//! A value that many read and few replace: a word says which of a few slots has the newest.
//!
//! Who replaces the value puts the next one into a slot that is free, then changes the word from what it was when the work began; so of
//! several that start from the same value one succeeds. The slot before is emptied and free again. Readers take only what the
//! word names and what has the number that the word says: a slot that was used again meanwhile has another one.
//!
//! A slot's lock is never waited for by readers: whoever writes a slot has it for himself, and the word does not name it. To
//! make a reader look twice, a whole install must come between its two steps.

use crate::{rank, trace};
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, Backoff, RwLock};
use aether_trace::planted;

/// One is in use, the others are for those who replace it.
const SLOTS: u64 = if cfg!(loom) { 3 } else { 8 };
const SLOT_BITS: u32 = 8;

/// A value and its number.
type Numbered<T> = (u64, Arc<T>);

/// A value that is replaced by compare-and-set and read without waiting.
#[derive(Debug)]
pub struct Slots<T> {
    /// The newest: its number, and in the low bits its slot.
    word: AtomicU64,
    /// A bit for each slot that is in use, or that somebody fills or empties.
    taken: AtomicU64,
    slots: Vec<RwLock<Option<Numbered<T>>>>,
}

impl<T> Slots<T> {
    /// A cell that holds `value`, with number 0.
    pub fn new(value: Arc<T>) -> Self {
        let slots: Vec<_> = (0..SLOTS).map(|_| RwLock::new(rank::SLOT, None)).collect();
        *slots[0].write() = Some((0, value));
        Self { word: AtomicU64::new(0), taken: AtomicU64::new(1), slots }
    }

    /// The number of the newest value.
    #[inline]
    pub fn number(&self) -> u64 {
        // Acquire: pairs with the exchange in `compare_and_set`.
        self.word.load(Acquire) >> SLOT_BITS
    }

    /// The newest value and its number. Never waits; looks again if it was replaced meanwhile.
    pub fn load(&self) -> Numbered<T> {
        let mut backoff = Backoff::new();
        loop {
            let word = trace::load_word(|| self.word.load(Acquire), |word| word >> SLOT_BITS);
            if let Some(found) = trace::read_slot(|| self.read(word), |found| found.is_some()) {
                return found;
            }
            backoff.wait();
        }
    }

    fn read(&self, word: u64) -> Option<Numbered<T>> {
        let slot = self.slots[slot(word)].try_read()?;
        let is_named = |number: u64| number == word >> SLOT_BITS || planted("believe-the-slot");
        slot.as_ref().filter(|(number, _)| is_named(*number)).cloned()
    }

    /// Replaces the value with that number by `value`, which gets the next one.
    ///
    /// # Errors
    /// Hands `value` back if another is the newest. Blocks only while all slots are in use, and for readers that are just leaving.
    pub fn compare_and_set(&self, number: u64, value: Arc<T>) -> Result<u64, Arc<T>> {
        let old = trace::stale(number, || self.word.load(Acquire), |word| word >> SLOT_BITS);
        if old >> SLOT_BITS != number {
            return Err(value);
        }
        let own = trace::fill(|| self.fill((number + 1, value)));
        let new = (number + 1) << SLOT_BITS | own as u64;
        // AcqRel: who finds the word finds the slot full; who replaces it has seen what came before.
        let swap = || match planted("install-whatever-is-there") {
            true => Ok(self.word.swap(new, AcqRel)),
            false => self.word.compare_exchange(old, new, AcqRel, Acquire),
        };
        match trace::install(number + 1, swap) {
            Ok(replaced) => {
                drop(trace::empty(|| self.empty(slot(replaced))));
                Ok(number + 1)
            }
            Err(_) => Err(trace::empty(|| self.empty(own))),
        }
    }

    /// Puts a value into a slot that nobody else uses.
    fn fill(&self, value: Numbered<T>) -> usize {
        let own = self.take();
        *self.slots[own].write() = Some(value);
        own
    }

    /// A slot for the caller alone.
    fn take(&self) -> usize {
        let mut backoff = Backoff::new();
        loop {
            let taken = self.taken.load(Relaxed);
            let free = u64::from((!taken).trailing_zeros());
            if free >= SLOTS {
                backoff.wait();
            } else if self.taken.compare_exchange(taken, taken | 1 << free, Acquire, Relaxed).is_ok() {
                return free as usize;
            }
        }
    }

    #[allow(clippy::expect_used, reason = "only its owner empties a slot, once")]
    fn empty(&self, slot: usize) -> Arc<T> {
        let value = self.slots[slot].write().take();
        // Release: pairs with the exchange in `take`.
        self.taken.fetch_and(!(1 << slot), Release);
        value.expect("a slot that is taken is full").1
    }
}

fn slot(word: u64) -> usize {
    (word & ((1 << SLOT_BITS) - 1)) as usize
}
