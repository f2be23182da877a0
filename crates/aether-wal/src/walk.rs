//! Reading one stream of the newest incarnation: where its log ends, what of it is proved durable, and what its
//! records need of other streams.
//!
//! The first bad record ends the stream, unless something shows that bytes beyond it were durable: then it
//! is damage. A flush-start record at a position proves everything below it, because a stream has one flush in
//! flight; the vectors in flush-start records prove the same of other streams.

use crate::config::Incarnation;
use crate::cut::Need;
use crate::pieces::{Pieces, Tail, Window};
use crate::record::{BLOCK_BYTES, FLUSH_START};
use aether_sync::Arc;
use aether_types::{Lsn, Lv, Result, StreamId};

/// What is read at once in search of later flush starts.
const AHEAD_BYTES: u64 = 1 << 20;

/// What was found in a stream.
pub(crate) struct Walked {
    /// Where the first bad record is: the end of the log, or damage.
    pub(crate) end: u64,
    /// The last flush-start record, and the bytes from there to the end.
    pub(crate) tail: Tail,
    /// What the flush-start records prove durable.
    pub(crate) durable: Lv,
    /// What the records need that the newest durable vector does not promise, in order.
    pub(crate) needs: Vec<Need>,
}

struct Walk<'a> {
    pieces: &'a Pieces,
    stream: StreamId,
    slv: Lv,
    tail_first: u64,
    tail: Vec<u8>,
    durable: Lv,
    needs: Vec<Need>,
}

/// Reads `stream` in `incarnation` from the last flush start at or below `from`.
pub(crate) fn walk(
    pieces: &Pieces,
    stream: StreamId,
    incarnation: &Incarnation,
    from: Lsn,
) -> Result<Walked> {
    let start = incarnation.start.get(stream).get();
    let limit = pieces.run_end(incarnation.epoch, start.max(from.get()))?;
    let mut window = pieces.window(incarnation.epoch, limit);
    let first = flush_start_below(pieces, &mut window, start, from.get())?;
    let mut walk = Walk {
        pieces,
        stream,
        slv: incarnation.start,
        tail_first: first,
        tail: Vec::new(),
        durable: Lv::at(stream, Lsn::new(first)),
        needs: Vec::new(),
    };
    let mut at = first;
    while let Some(next) = walk.step(&mut window, at)? {
        at = next;
    }
    refuse_proof_beyond(pieces, &mut window, at, limit)?;
    let tail = Tail { first: walk.tail_first, bytes: Arc::new(walk.tail) };
    Ok(Walked { end: at, tail, durable: walk.durable, needs: walk.needs })
}

/// The last flush start at or below `from`, not below `start`, where one must be as soon as anything was flushed.
fn flush_start_below(pieces: &Pieces, window: &mut Window<'_>, start: u64, from: u64) -> Result<u64> {
    let mut at = from.max(start) / BLOCK_BYTES * BLOCK_BYTES;
    while at > start {
        if window.flush_starts(at, BLOCK_BYTES)? {
            return Ok(at);
        }
        if !pieces.holds(at - 1) {
            return Err(
                pieces.damage(at, "no flush of the log starts here or below, down to the oldest segment")
            );
        }
        at -= BLOCK_BYTES;
    }
    Ok(start)
}

impl Walk<'_> {
    /// Takes in the record at `at`; returns where the next one starts, `None` if there is no valid record.
    fn step(&mut self, window: &mut Window<'_>, at: u64) -> Result<Option<u64>> {
        let Some((frame, whole)) = window.record(at)? else { return Ok(None) };
        let broken = |error: aether_types::Error| self.pieces.damage(at, error.what());
        if frame.kind == FLUSH_START {
            let durable = frame.durable().map_err(broken)?;
            self.start_flush(at, &durable)?;
        }
        if frame.vector {
            let (lv, _) = frame.split().map_err(broken)?;
            self.slv.join(&lv);
            self.needs.push(Need { lsn: at, lv: self.slv });
        }
        self.tail.extend_from_slice(whole);
        Ok(Some(at + frame.bytes()))
    }

    /// Everything below `at` was durable when this was written, and `durable` in the other streams.
    fn start_flush(&mut self, at: u64, durable: &Lv) -> Result<()> {
        if !at.is_multiple_of(BLOCK_BYTES) {
            return Err(self.pieces.damage(at, "a flush start inside a block"));
        }
        self.durable.join(durable);
        self.durable.raise(self.stream, Lsn::new(at));
        // Vectors are transitively closed: what is durable in every stream needs nothing that may be lost.
        let (promised, own) = (self.durable, self.stream);
        self.needs.retain(|need| !promised.covers(&need.without(own)));
        self.tail.clear();
        self.tail_first = at;
        Ok(())
    }
}

/// Beyond a bad record at `bad` there must be no flush start: it would prove that the record was durable.
fn refuse_proof_beyond(pieces: &Pieces, window: &mut Window<'_>, bad: u64, limit: u64) -> Result<()> {
    let mut at = (bad / BLOCK_BYTES + 1) * BLOCK_BYTES;
    while at < limit {
        if window.flush_starts(at, AHEAD_BYTES)? {
            return Err(pieces.damage(
                bad,
                format!("a bad log record, yet a flush at position {at} shows that it was durable"),
            ));
        }
        at += BLOCK_BYTES;
    }
    Ok(())
}
