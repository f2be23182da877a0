//! The memory of a stream between append and file: a ring of words, lock-free.
//!
//! Positions are log positions (LSNs); a byte lies at its position modulo the size. Four marks only rise:
//!
//! ```text
//! durable <= position <= reserved <= min(durable + size, ready)
//! ```
//!
//! - Whoever appends first reserves (raises `reserved` if the ring and the files have room), then claims
//!   (one fetch-and-add of `position` fixes place and LSN together, L2), fills its words, and adds the bytes it
//!   filled to the counter of each block it touched.
//! - The one flusher claims the rest of the last block for itself, waits until the counters of its blocks are
//!   complete, copies the words out, writes them, and raises `durable`, which frees the blocks.
//!
//! Nobody holds anything between claim and fill, so the flusher's wait is as short as copying a record. A
//! byte range has one writer, because claims do not overlap; nothing unwritten is copied out, because a
//! block is complete only when all its bytes were counted; nothing is overwritten before it is durable, because
//! `reserved` never runs more than the size ahead of `durable`. Checked in `tests/loom_claim.rs`.

use aether_sync::Backoff;
use aether_sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use aether_sync::word::{self, Word};
use aether_trace::planted;

/// Records start at multiples of this, so that a word has one writer.
pub const WORD_BYTES: u64 = 8;
/// The smallest record: its header.
const SMALLEST_PAD: u64 = 16;
/// No group was opened yet.
const NEVER: u64 = u64::MAX;

/// A mark on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Mark(AtomicU64);

/// The ring; see the module.
#[derive(Debug)]
pub struct Ring {
    words: Box<[Word]>,
    /// Per block: how many bytes of the current lap are filled.
    filled: Box<[AtomicU32]>,
    block_bytes: u64,
    slack: u64,
    position: Mark,
    reserved: Mark,
    durable: Mark,
    /// Where the prepared files end for everyone, and for urgent reservations.
    ready: Mark,
    ready_urgent: Mark,
    /// The group being gathered: where it begins, and where its flush-start record ends.
    group: AtomicU64,
    group_body: AtomicU64,
    /// Twice the boundaries moved; odd while one moves.
    moves: AtomicU64,
}

/// Sizes of a ring, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The whole ring: a power of two.
    pub size: u64,
    /// What is written at once: a power of two.
    pub block: u64,
    /// Kept free of reservations for what the flusher claims.
    pub slack: u64,
}

/// Why a reservation has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Short {
    /// The ring is full of bytes that are not durable yet.
    Ring,
    /// The prepared files end here.
    Files,
}

/// What the flusher claimed to close a group: a pad, and at a block boundary the start of the next group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Where the pad starts.
    pub pad: u64,
    /// The boundary: where the pad ends and the next group starts.
    pub at: u64,
}

impl Ring {
    /// An empty ring whose first byte has position `start`, a multiple of the block.
    pub fn new(start: u64, shape: Shape) -> Self {
        debug_assert!(shape.size.is_power_of_two() && shape.block.is_power_of_two());
        debug_assert!(shape.size > shape.slack && start.is_multiple_of(shape.block));
        let mark = |value| Mark(AtomicU64::new(value));
        Self {
            words: (0..shape.size / WORD_BYTES).map(|_| Word::new(0)).collect(),
            filled: (0..shape.size / shape.block).map(|_| AtomicU32::new(0)).collect(),
            block_bytes: shape.block,
            slack: shape.slack,
            position: mark(start),
            reserved: mark(start),
            durable: mark(start),
            ready: mark(start),
            ready_urgent: mark(start),
            group: AtomicU64::new(start),
            group_body: AtomicU64::new(NEVER),
            moves: AtomicU64::new(0),
        }
    }

    /// Up to where everything is durable.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.0.load(Acquire)
    }

    /// Files were prepared up to `end`, for urgent reservations up to `urgent`.
    pub fn raise_ready(&self, end: u64, urgent: u64) {
        self.ready.0.fetch_max(end, AcqRel);
        self.ready_urgent.0.fetch_max(urgent, AcqRel);
    }

    /// Claimed so far. A group that holds nothing yet does not count, so that an idle log comes to rest.
    #[inline]
    pub fn position(&self) -> u64 {
        let mut backoff = Backoff::new();
        loop {
            // Odd while a boundary moves: position and group do not belong together then, and the start of the group
            // would count as something claimed, which nobody makes durable in an idle stream.
            let moves = self.moves.load(Acquire);
            let position = self.position.0.load(SeqCst);
            let (group, body) = (self.group.load(Acquire), self.group_body.load(Acquire));
            if moves.is_multiple_of(2) && self.moves.load(Acquire) == moves {
                return if position == body { group } else { position };
            }
            backoff.wait();
        }
    }

    /// Reserves `bytes`, a multiple of 8.
    ///
    /// # Errors
    /// What is short; then nothing is reserved.
    #[inline]
    pub fn try_reserve(&self, bytes: u64, urgent: bool) -> Result<(), Short> {
        let mut reserved = self.reserved.0.load(Relaxed);
        loop {
            if let Some(short) = self.short_beyond(reserved + bytes + self.slack, urgent) {
                return Err(short);
            }
            match self.reserved.0.compare_exchange_weak(reserved, reserved + bytes, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => reserved = now,
            }
        }
    }

    /// What keeps `bytes` from being reserved now.
    pub fn short_of(&self, bytes: u64, urgent: bool) -> Option<Short> {
        self.short_beyond(self.reserved.0.load(SeqCst) + bytes + self.slack, urgent)
    }

    #[inline]
    fn short_beyond(&self, wanted: u64, urgent: bool) -> Option<Short> {
        let ready = if urgent { &self.ready_urgent } else { &self.ready };
        if wanted > self.durable() + self.size() && !planted("reserve-without-room") {
            Some(Short::Ring)
        } else if wanted > ready.0.load(Acquire) {
            Some(Short::Files)
        } else {
            None
        }
    }

    /// Up to where everything must be durable for `bytes` to be reserved now.
    pub fn in_the_way_of(&self, bytes: u64) -> u64 {
        self.wanted(bytes).saturating_sub(self.size())
    }

    /// Gives back `bytes` of a reservation.
    #[inline]
    pub fn release(&self, bytes: u64) {
        self.reserved.0.fetch_sub(bytes, SeqCst);
    }

    /// Where prepared files would have to reach for `bytes` more to be reserved.
    pub fn wanted(&self, bytes: u64) -> u64 {
        self.reserved.0.load(Relaxed) + bytes + self.slack
    }

    /// Claims `bytes` of a reservation; returns their position.
    #[inline]
    pub fn claim(&self, bytes: u64) -> u64 {
        if planted("claim-by-load-and-store") {
            let position = self.position.0.load(SeqCst);
            self.position.0.store(position + bytes, SeqCst);
            return position;
        }
        // Acquire and release: whoever claims sees what every earlier claimer saw, above all that the blocks
        // of the last lap are durable and their counters are 0, though another's reservation found it out.
        self.position.0.fetch_add(bytes, SeqCst)
    }

    /// Closes the group being gathered, unless it is empty: claims the rest of its last block for a pad and
    /// `start_bytes` for the record that starts the next one. Called by the one flusher.
    pub fn claim_boundary(&self, start_bytes: u64) -> Option<Boundary> {
        let most = SMALLEST_PAD + self.block_bytes + start_bytes;
        self.reserved.0.fetch_add(most, Relaxed);
        self.moves.fetch_add(1, AcqRel);
        let boundary = self.try_claim_boundary(start_bytes);
        if let Some(boundary) = boundary {
            self.group.store(boundary.at, Release);
            self.group_body.store(boundary.at + start_bytes, Release);
        }
        self.moves.fetch_add(1, AcqRel);
        let used = boundary.map_or(0, |b| b.at - b.pad + start_bytes);
        self.reserved.0.fetch_sub(most - used, Relaxed);
        boundary
    }

    fn try_claim_boundary(&self, start_bytes: u64) -> Option<Boundary> {
        let mut pad = self.position.0.load(Relaxed);
        loop {
            if pad == self.group_body.load(Relaxed) {
                return None;
            }
            let at = pad + self.pad_bytes(pad);
            match self.position.0.compare_exchange_weak(pad, at + start_bytes, SeqCst, Relaxed) {
                Ok(_) => return Some(Boundary { pad, at }),
                Err(now) => pad = now,
            }
        }
    }

    /// From `position` to a block boundary, in a pad that holds at least a record header.
    fn pad_bytes(&self, position: u64) -> u64 {
        let gap = position.next_multiple_of(self.block_bytes) - position;
        if gap > 0 && gap < SMALLEST_PAD { gap + self.block_bytes } else { gap }
    }

    /// Starts to fill claimed bytes from `at` on.
    #[inline]
    pub fn fill(&self, at: u64) -> Fill<'_> {
        Fill { ring: self, start: at, at, word: 0, have: 0 }
    }

    /// Stores one claimed word; the part of [`Fill`] that a model may reorder.
    #[inline(always)]
    pub fn store(&self, at: u64, value: u64) {
        word::store(&self.words[(at & (self.size() - 1)) as usize / WORD_BYTES as usize], value);
    }

    /// Counts the bytes from `from` to `to` as filled.
    #[inline]
    pub fn mark_filled(&self, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let end = to.min((at / self.block_bytes + 1) * self.block_bytes);
            // Pairs with the acquire in `wait_filled`: a complete count shows the words of all who counted.
            self.filled[self.block(at)].fetch_add((end - at) as u32, Release);
            at = end;
        }
    }

    /// Waits until every byte from `from` to `to`, both block boundaries, is filled. Spins: a fill is short.
    pub fn wait_filled(&self, from: u64, to: u64) {
        if planted("flush-past-a-hole") {
            return;
        }
        let mut patience = Patience::default();
        for at in (from..to).step_by(self.block_bytes as usize) {
            let mut backoff = Backoff::new();
            while u64::from(self.filled[self.block(at)].load(Acquire)) != self.block_bytes
                && !patience.is_over()
            {
                backoff.wait();
            }
        }
    }

    /// Where the group that is being gathered begins.
    pub(crate) fn closed(&self) -> u64 {
        self.group.load(Acquire)
    }

    /// Copies filled words from `from` on to `out`, whose length is a multiple of 8.
    pub fn copy_out(&self, from: u64, out: &mut [u8]) {
        let first = (from & (self.size() - 1)) as usize / WORD_BYTES as usize;
        let words = self.words[first..].iter().chain(self.words.iter());
        for (bytes, from) in out.chunks_exact_mut(WORD_BYTES as usize).zip(words) {
            bytes.copy_from_slice(&word::load(from).to_le_bytes());
        }
    }

    /// Everything below `to`, a block boundary, is durable: its blocks are free. Called by the one flusher.
    pub fn publish(&self, to: u64) {
        for at in (self.durable.0.load(Relaxed)..to).step_by(self.block_bytes as usize) {
            self.filled[self.block(at)].store(0, Relaxed);
        }
        // Orders the counters and the copying before the next lap's reservations.
        self.durable.0.store(to, Release);
    }

    fn block(&self, at: u64) -> usize {
        ((at & (self.size() - 1)) / self.block_bytes) as usize
    }

    fn size(&self) -> u64 {
        self.words.len() as u64 * WORD_BYTES
    }
}

/// Waits for ever, but with a planted bug that makes counts wrong: nothing may hang that is to be judged.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    #[inline(always)]
    fn is_over(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        (planted("reserve-without-room") || planted("claim-by-load-and-store")) && self.0 > 1000
    }
}

/// Fills one claimed record front to back.
#[derive(Debug)]
pub struct Fill<'a> {
    ring: &'a Ring,
    start: u64,
    at: u64,
    word: u64,
    have: u32,
}

impl Fill<'_> {
    /// Appends a word, at a word boundary.
    #[inline]
    pub fn word(&mut self, value: u64) {
        debug_assert_eq!(self.have, 0, "whole words come first");
        self.ring.store(self.at, value);
        self.at += WORD_BYTES;
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let split =
            if self.have == 0 { 0 } else { bytes.len().min((WORD_BYTES as u32 - self.have) as usize) };
        let (head, rest) = bytes.split_at(split);
        head.iter().for_each(|byte| self.byte(*byte));
        let mut chunks = rest.chunks_exact(WORD_BYTES as usize);
        for chunk in &mut chunks {
            let mut whole = [0; 8];
            whole.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(whole));
        }
        chunks.remainder().iter().for_each(|byte| self.byte(*byte));
    }

    fn byte(&mut self, byte: u8) {
        self.word |= u64::from(byte) << (8 * self.have);
        self.have += 1;
        if self.have == WORD_BYTES as u32 {
            let whole = std::mem::take(&mut self.word);
            self.have = 0;
            self.word(whole);
        }
    }

    /// Completes the last word with zeros, then appends zeros up to `end`.
    pub fn zeros(&mut self, end: u64) {
        while self.have != 0 {
            self.byte(0);
        }
        while self.at < end {
            self.word(0);
        }
    }

    /// As [`Fill::zeros`], and counts the record as filled.
    pub fn finish(mut self, end: u64) {
        self.zeros(end);
        debug_assert_eq!(self.at, end, "a record fills what it claimed");
        self.ring.mark_filled(self.start, end);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn ring() -> Ring {
        let ring = Ring::new(4096, Shape { size: 4096, block: 512, slack: 1024 });
        ring.raise_ready(1 << 20, 1 << 20);
        ring
    }

    fn put(ring: &Ring, bytes: &[u8]) -> u64 {
        let size = (bytes.len() as u64).next_multiple_of(8);
        assert_eq!(ring.try_reserve(size, false), Ok(()));
        let at = ring.claim(size);
        let mut fill = ring.fill(at);
        fill.bytes(bytes);
        fill.finish(at + size);
        at
    }

    fn flush(ring: &Ring) -> Vec<u8> {
        let from = ring.durable();
        let Some(boundary) = ring.claim_boundary(16) else { return Vec::new() };
        ring.fill(boundary.pad).finish(boundary.at);
        ring.fill(boundary.at).finish(boundary.at + 16);
        ring.wait_filled(from, boundary.at);
        let mut out = vec![0; (boundary.at - from) as usize];
        ring.copy_out(from, &mut out);
        ring.publish(boundary.at);
        out
    }

    /// One block less is too few, so nobody waits for more than is in the way.
    #[test]
    fn what_is_in_the_way_is_just_what_must_be_durable() {
        let ring = ring();
        for _ in 0..5 {
            put(&ring, &[1; 600]);
        }
        assert_eq!(ring.try_reserve(900, false), Err(Short::Ring));
        let until = ring.in_the_way_of(900);
        assert!((ring.durable() + 1..ring.position()).contains(&until), "{until}");
        let block = until.next_multiple_of(512);
        ring.publish(block - 512);
        assert_eq!(ring.try_reserve(900, false), Err(Short::Ring));
        ring.publish(block);
        assert_eq!(ring.try_reserve(900, false), Ok(()));
    }

    #[test]
    fn bytes_come_out_as_they_went_in_over_many_laps() {
        let ring = ring();
        flush(&ring);
        for round in 0..100u8 {
            let bytes: Vec<u8> = (0..round).map(|i| i ^ round).collect();
            let base = ring.durable();
            let at = put(&ring, &bytes);
            let out = flush(&ring);
            let from = (at - base) as usize;
            assert_eq!(&out.get(from..from + bytes.len()).unwrap_or(&[]), &bytes);
        }
    }

    #[test]
    fn an_idle_ring_comes_to_rest() {
        let ring = ring();
        flush(&ring);
        assert_eq!(ring.position(), 4096);
        put(&ring, b"x");
        assert!(ring.position() > 4096);
        assert_eq!(flush(&ring).len(), 512);
        assert!(flush(&ring).is_empty());
        assert_eq!(ring.position(), ring.durable());
    }

    #[test]
    fn a_pad_always_has_room_for_a_header() {
        let ring = ring();
        assert_eq!(ring.pad_bytes(512 - 8), 520);
        assert_eq!(ring.pad_bytes(512 - 16), 16);
        assert_eq!(ring.pad_bytes(512), 0);
    }

    #[test]
    fn reservations_end_where_the_ring_or_the_files_end() {
        let ring = Ring::new(0, Shape { size: 4096, block: 512, slack: 1024 });
        assert_eq!(ring.try_reserve(8, false), Err(Short::Files));
        ring.raise_ready(1 << 20, 1 << 20);
        assert_eq!(ring.try_reserve(3080, false), Err(Short::Ring));
        assert!(ring.try_reserve(3072, false).is_ok());
        assert_eq!(ring.try_reserve(8, false), Err(Short::Ring));
        ring.release(8);
        assert!(ring.try_reserve(8, false).is_ok());
    }
}
