//! One stream: claims and fills on one side, flushes on the other.

use crate::config::Incarnation;
use crate::rank;
use crate::record::{
    self, BLOCK_BYTES, FLUSH_START, HEADER_BYTES, Head, PAD, Seed, Vector, framed_bytes, framed_bytes_max,
};
use crate::ring::{Boundary, Fill, Ring, Shape};
use crate::segments::{Located, Prepared, Refused, Segments};
use crate::trace;
use aether_sync::{Condvar, Counter, Mutex};
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Error, Lsn, Lv, Result, StreamId};
use aether_vfs::AlignedBuf;

/// What a flush claims for itself at the most, twice, so that reservations leave room for it.
const SLACK_BYTES: u64 = 2 * BLOCK_BYTES + 1024;
static ZEROS: [u8; 2 * BLOCK_BYTES as usize] = [0; 2 * BLOCK_BYTES as usize];

/// Where a record was put, and its vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Where it starts.
    pub lsn: Lsn,
    /// Where it ends; the component of its own stream in `lv`.
    pub end: Lsn,
    /// The stream's accumulated vector at its end (L3): durable once the durable vector covers it.
    pub lv: Lv,
}

/// One stream that is appended to.
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) ring: Ring,
    pub(crate) segments: Segments,
    seed: Seed,
    /// Other streams are appended to as well: vectors matter.
    many: bool,
    /// Where every stream of the incarnation starts.
    base: Lv,
    /// The accumulated vector, but for the own component.
    slv: Mutex<Lv>,
    lead: Mutex<Lead>,
    led: Condvar,
    joined: Condvar,
    flushed: Counter,
    flushes: Counter,
}

/// Who flushes; see [`Stream::try_lead`].
struct Lead {
    /// What the leader copies through; absent while there is a leader.
    buffer: Option<AlignedBuf>,
    /// Someone does not want to wait until the leader has gathered enough.
    hurry: bool,
}

/// The right to flush a stream, held by one thread at a time.
pub(crate) struct Leader<'a> {
    stream: &'a Stream,
    buffer: Option<AlignedBuf>,
}

struct Claimed {
    lsn: u64,
    end: u64,
    lv: Lv,
    vector: Vector,
}

/// Of which incarnation and log a stream is part.
pub(crate) struct Part {
    pub(crate) id: StreamId,
    pub(crate) seed: Seed,
    pub(crate) base: Lv,
    pub(crate) many: bool,
    pub(crate) ring_bytes: usize,
    pub(crate) chunk_bytes: usize,
}

impl Stream {
    pub(crate) fn new(part: Part, segments: Segments) -> Self {
        let shape = Shape { size: part.ring_bytes as u64, block: BLOCK_BYTES, slack: SLACK_BYTES };
        let lead = Lead { buffer: Some(AlignedBuf::new(part.chunk_bytes)), hurry: false };
        Self {
            id: part.id,
            ring: Ring::new(part.base.get(part.id).get(), shape),
            segments,
            seed: part.seed,
            many: part.many,
            base: part.base,
            slv: Mutex::new(rank::CLAIM, part.base),
            lead: Mutex::new(rank::FLUSH, lead),
            led: Condvar::new(),
            joined: Condvar::new(),
            flushed: Counter::new(),
            flushes: Counter::new(),
        }
    }

    /// Bytes of the ring that a record with a body of `body` bytes may take.
    pub(crate) fn credit_bytes(&self, body: usize) -> u64 {
        framed_bytes_max(body as u64, if self.many { STREAMS_MAX } else { 0 })
    }

    /// Appends a record; returns where, and how many bytes it took.
    #[inline]
    pub(crate) fn append(&self, kind: u8, deps: &Lv, body: &[u8]) -> Appended {
        let claimed = trace::reserve(self.id, || self.claim(deps, body.len()), |c| (c.lsn, c.end));
        let span = (claimed.lsn, claimed.end);
        if planted("count-before-storing") {
            trace::fill(self.id, span, || self.ring.mark_filled(span.0, span.1));
        }
        let fill = trace::store(self.id, span, || self.store(kind, span, claimed.vector.as_bytes(), body));
        if !planted("count-before-storing") {
            trace::fill(self.id, span, || fill.finish(claimed.end));
        }
        Appended { lsn: Lsn::new(claimed.lsn), end: Lsn::new(claimed.end), lv: claimed.lv }
    }

    #[inline]
    fn claim(&self, deps: &Lv, body: usize) -> Claimed {
        if !self.many {
            let bytes = framed_bytes(body as u64);
            let lsn = self.ring.claim(bytes);
            return self.claimed(self.base, lsn, bytes, Vector::none());
        }
        // One step: a record claimed later finds these dependencies in the vector, one claimed earlier does not.
        if planted("merge-after-claim") {
            return self.claim_first(deps, body);
        }
        let mut slv = self.slv.lock();
        let vector = Vector::news(deps, &slv, self.id);
        let bytes = framed_bytes((vector.as_bytes().len() + body) as u64);
        if !planted("raw-vectors") {
            slv.join(deps);
        }
        let lsn = self.ring.claim(bytes);
        let mut lv = *slv;
        if planted("raw-vectors") {
            lv.join(deps);
        }
        self.claimed(lv, lsn, bytes, vector)
    }

    /// A planted bug: a record claimed in between does not find these dependencies in the vector.
    #[cold]
    fn claim_first(&self, deps: &Lv, body: usize) -> Claimed {
        let slv = *self.slv.lock();
        let vector = Vector::news(deps, &slv, self.id);
        let bytes = framed_bytes((vector.as_bytes().len() + body) as u64);
        let lsn = self.ring.claim(bytes);
        let mut slv = self.slv.lock();
        slv.join(deps);
        self.claimed(*slv, lsn, bytes, vector)
    }

    fn claimed(&self, mut lv: Lv, lsn: u64, bytes: u64, vector: Vector) -> Claimed {
        debug_assert!(lv.get(self.id).get() <= lsn, "a record depends on nothing after it");
        let end = lsn + bytes;
        lv.set(self.id, Lsn::new(end));
        Claimed { lsn, end, lv, vector }
    }

    fn fill(&self, kind: u8, span: (u64, u64), vector: &[u8], body: &[u8]) {
        self.store(kind, span, vector, body).finish(span.1);
    }

    #[inline]
    fn store(&self, kind: u8, (lsn, end): (u64, u64), vector: &[u8], body: &[u8]) -> Fill<'_> {
        let head = Head::new((vector.len() + body.len()) as u64, kind, !vector.is_empty());
        let mut fill = self.ring.fill(lsn);
        fill.word(head.word());
        fill.word(record::sum(self.seed, lsn, head, vector, body));
        fill.bytes(vector);
        fill.bytes(body);
        fill.zeros(end);
        fill
    }

    /// The accumulated vector at the current claim position.
    pub(crate) fn slv(&self) -> Lv {
        let mut slv = *self.slv.lock();
        slv.set(self.id, Lsn::new(self.ring.position()));
        slv
    }

    /// Puts the flush-start record at the start of the incarnation.
    pub(crate) fn begin(&self, incarnation: &Incarnation) {
        self.raise_ready(self.segments.prepared());
        let (cut, start) = (incarnation.cut.get(self.id), incarnation.start.get(self.id));
        let open = || self.close_group(&incarnation.start, Ring::claim_boundary);
        let opened = trace::recover(self.id, cut, start, open);
        debug_assert!(
            opened.is_some_and(|b| b.at == self.ring.durable()),
            "the first record of the incarnation"
        );
    }

    /// Claims and fills the pad of the group being gathered and the flush-start record of the next.
    fn close_group(
        &self,
        durable: &Lv,
        claim: impl FnOnce(&Ring, u64) -> Option<Boundary>,
    ) -> Option<Boundary> {
        let start = Vector::of(durable);
        let start_bytes = framed_bytes(start.as_bytes().len() as u64);
        let boundary = claim(&self.ring, start_bytes)?;
        if boundary.pad < boundary.at {
            let body = (boundary.at - boundary.pad - HEADER_BYTES) as usize;
            self.fill(PAD, (boundary.pad, boundary.at), &[], &ZEROS[..body]);
        }
        let head = (boundary.at, boundary.at + start_bytes);
        self.fill(FLUSH_START, head, &[], start.as_bytes());
        Some(boundary)
    }

    /// Makes what was claimed so far durable; blocks. `durable` is what the next flush-start record shall tell.
    fn flush(&self, buffer: &mut AlignedBuf, durable: &Lv) -> Result<()> {
        let from = self.ring.durable();
        let claim = |ring: &Ring, start| trace::flush_begin(self.id, start, || ring.claim_boundary(start));
        let Some(boundary) = self.close_group(durable, claim) else { return Ok(()) };
        trace::copy_out(self.id, (from, boundary.at), || self.ring.wait_filled(from, boundary.at));
        if planted("publish-before-write") {
            trace::publish(self.id, boundary.at, || self.ring.publish(boundary.at));
        }
        let written = self.write(from, boundary.at, buffer);
        if !planted("overlook-a-failed-write") {
            written?;
        }
        trace::publish(self.id, boundary.at, || self.ring.publish(boundary.at));
        self.flushes.add(1);
        self.flushed.add(boundary.at - from);
        Ok(())
    }

    fn write(&self, from: u64, to: u64, buffer: &mut AlignedBuf) -> Result<()> {
        let mut at = from;
        while at < to {
            let located = self.locate(at, to)?;
            let end = to.min(located.header.end()).min(at + buffer.len() as u64);
            let bytes = &mut buffer[..(end - at) as usize];
            self.ring.copy_out(at, bytes);
            // Durable when it returns: the file is open for durable writes.
            located.file.write_at(located.offset(at), bytes)?;
            at = end;
        }
        Ok(())
    }

    /// The file for `at`; what the pads of many small flushes used up is made good here.
    fn locate(&self, at: u64, to: u64) -> Result<Located> {
        if self.segments.locate(at).is_none() {
            self.prepare(to, true).map_err(|refused| match refused {
                Refused::Full(error) | Refused::Failed(error) => error,
            })?;
        }
        self.segments.locate(at).ok_or_else(|| Error::corruption(format!("no log segment for {at}")))
    }

    /// Makes segments up to `wanted`; blocks.
    pub(crate) fn prepare(&self, wanted: u64, urgent: bool) -> Result<(), Refused> {
        self.raise_ready(self.segments.extend(wanted, urgent)?);
        Ok(())
    }

    fn raise_ready(&self, prepared: Prepared) {
        self.ring.raise_ready(prepared.ordinary, prepared.urgent);
    }

    /// Becomes the leader, unless there is one or `target` is durable.
    pub(crate) fn try_lead(&self, target: u64) -> Option<Leader<'_>> {
        trace::lead(self.id, || self.take_lead(target))
    }

    fn take_lead(&self, target: u64) -> Option<Leader<'_>> {
        let mut lead = self.lead.lock();
        if self.ring.durable() >= target {
            return None;
        }
        let buffer = lead.buffer.take()?;
        lead.hurry = false;
        Some(Leader { stream: self, buffer: Some(buffer) })
    }

    /// Waits until the present leader, if any, is done, or `target` is durable; blocks. In a hurry, it lets
    /// the leader gather no longer.
    pub(crate) fn follow(&self, target: u64, hurry: bool, ended: impl FnOnce() -> bool) {
        let mut lead = self.lead.lock();
        if hurry && lead.buffer.is_none() && !lead.hurry {
            lead.hurry = true;
            self.joined.notify_all();
        }
        let sleeps = || lead.buffer.is_none() && self.ring.durable() < target && !ended();
        if trace::follow(self.id, sleeps) {
            lead = self.led.wait(lead);
            trace::wake();
        }
        drop(lead);
    }

    /// Wakes all who follow or gather: writing has ended.
    pub(crate) fn wake(&self) {
        self.lead.lock().hurry = true;
        self.joined.notify_all();
        self.led.notify_all();
    }

    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    pub(crate) fn flushed_bytes(&self) -> u64 {
        self.flushed.get()
    }
}

impl Leader<'_> {
    /// Waits for others to join, at most `time`, or until someone is in a hurry; blocks.
    pub(crate) fn gather(&self, time: std::time::Duration) {
        let mut lead = self.stream.lead.lock();
        while !lead.hurry {
            let (again, woken) = self.stream.joined.wait_for(lead, time);
            lead = again;
            if !woken {
                break;
            }
        }
    }

    /// Flushes; blocks.
    pub(crate) fn flush(&mut self, durable: &Lv) -> Result<()> {
        match &mut self.buffer {
            Some(buffer) => self.stream.flush(buffer, durable),
            None => Ok(()),
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        trace::step_down(self.stream.id, || {
            self.stream.lead.lock().buffer = self.buffer.take();
            self.stream.led.notify_all();
        });
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::record::FIRST_KIND;
    use crate::{Wal, WalConfig};
    use aether_sync::thread;
    use aether_types::StoreId;
    use aether_vfs::Env;
    use std::path::Path;
    use std::time::Duration;

    /// A record that was claimed and is not filled holds up the flush of all that comes after it (L2).
    #[test]
    fn a_flush_waits_until_what_was_claimed_is_filled() {
        let (env, home, store) = (Env::memory(), Path::new("/log"), StoreId::new([5; 16]));
        env.vfs.create_dir(home).unwrap();
        let config = WalConfig { flusher: false, ..WalConfig::default() };
        let wal = Wal::fresh(&env, home, store, config, Box::new(|_| Ok(()))).unwrap();
        wal.start().unwrap();
        let stream = wal.stream(StreamId::new(0));
        let size = framed_bytes(16);
        stream.ring.try_reserve(size, false).unwrap();
        let at = stream.ring.claim(size);
        let flush = {
            let wal = wal.clone();
            thread::spawn("flush", move || wal.flush_all().map(drop))
        };
        thread::sleep(Duration::from_millis(50));
        assert!(stream.ring.durable() <= at);
        stream.fill(FIRST_KIND, (at, at + size), &[], &[7; 16]);
        flush.join().unwrap().unwrap();
        assert!(stream.ring.durable() >= at + size);
    }
}
