//! The log as others see it: credit, append, positions.

use crate::begin::{Begin, Control};
use crate::commit::Commits;
use crate::config::{Incarnation, WalConfig};
use crate::flusher::Flusher;
use crate::home::Home;
use crate::poison::Poison;
use crate::rank;
use crate::record::FIRST_KIND;
use crate::ring::Short;
use crate::scan::Scan;
use crate::segment::NUMBER_END;
use crate::segments::{Refused, Segments};
use crate::stream::{Appended, Stream};
use crate::trace;
use aether_sync::atomic::{AtomicUsize, Ordering::*};
use aether_sync::{Arc, Condvar, Counter, Mutex, Weak};
use aether_types::limits::STREAMS_MAX;
use aether_types::{Error, ErrorKind, Lsn, Lv, Result, StoreId, StreamId};
use aether_vfs::Env;
use std::path::Path;

/// The log: appended to by many threads, flushed by whoever waits. See the crate's page.
pub struct Wal {
    pub(crate) config: WalConfig,
    pub(crate) home: Arc<Home>,
    /// What this open adds.
    pub(crate) incarnation: Incarnation,
    pub(crate) streams: Vec<Stream>,
    /// The files of streams that earlier incarnations appended to and this one does not.
    pub(crate) retired: Vec<Segments>,
    pub(crate) begin: Begin,
    pub(crate) poison: Poison,
    pub(crate) commits: Commits,
    pub(crate) flusher: Flusher,
    pub(crate) waited: Counter,
    appended: Counter,
    room: Mutex<()>,
    freed: Condvar,
    /// Those who sleep in `room`.
    sleepers: AtomicUsize,
    pub(crate) me: Weak<Wal>,
}

/// Log credit: the right to append one record that fits it. Given back when dropped.
#[must_use]
pub struct Credit<'a> {
    wal: &'a Wal,
    stream: StreamId,
    body_bytes: usize,
    ring_bytes: u64,
}

/// Counters of a log since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct WalStats {
    /// Bytes that records took, framing included.
    pub appended_bytes: u64,
    /// Flushes of all streams.
    pub flushes: u64,
    /// Bytes that they wrote, padding included.
    pub flushed_bytes: u64,
    /// Waits for durability that did not find it at once.
    pub groups_waited: u64,
    /// Segment files in use.
    pub segments: u64,
}

impl Wal {
    /// The log of a newly created store. Writes no file before the first append.
    ///
    /// # Errors
    /// `InvalidInput` if `config` breaks a rule; `Corruption` if `home` holds what cannot be read.
    pub fn fresh(
        env: &Env,
        home: &Path,
        store: StoreId,
        config: WalConfig,
        control: Control,
    ) -> Result<Arc<Self>> {
        let scan = Scan::open(env, home, store, &config, &[], &Lv::ZERO, None)?;
        Self::resume(&scan, config, control)
    }

    /// The log that `scan` has read, ready to go on. Writes nothing before the first append; `control` is
    /// called then, by [`Wal::start`], to write the control file, and must return only when that is durable.
    ///
    /// # Errors
    /// `InvalidInput` if `config` breaks a rule; `Corruption` if what was found leaves no positions; `OverLimit` if
    /// the system refuses the background thread.
    pub fn resume(scan: &Scan, config: WalConfig, control: Control) -> Result<Arc<Self>> {
        config.check()?;
        let (begin, incarnation) = Begin::new(scan, &config, control);
        if !incarnation.is_below(NUMBER_END / 2) {
            let what = "the log stands so near the end of its positions that it cannot go on";
            return Err(Error::corruption(what).at_path(&scan.home().path));
        }
        let files = |id: StreamId, config: &WalConfig| {
            let start = incarnation.start.get(id).get();
            Segments::new(scan.home().clone(), id, incarnation.epoch, start, scan.found(id), config)
        };
        let all = incarnation.start.iter(STREAMS_MAX).filter(|(_, start)| start.get() > 0);
        let (active, retired): (Vec<_>, Vec<_>) =
            all.map(|(id, _)| id).partition(|id| usize::from(id.get()) < config.streams);
        let stream = |id| Stream::new(begin.part(id, &config), files(id, &config));
        let streams = active.into_iter().map(stream).collect();
        let no_reuse = WalConfig { recycle: 0, ..config.clone() };
        let retired = retired.into_iter().map(|id| files(id, &no_reuse)).collect();
        let wal = Arc::new_cyclic(|me| Self {
            home: scan.home().clone(),
            incarnation,
            streams,
            retired,
            begin,
            poison: Poison::new(),
            commits: Commits::new(),
            flusher: Flusher::new(),
            waited: Counter::new(),
            appended: Counter::new(),
            room: Mutex::new(rank::ROOM, ()),
            freed: Condvar::new(),
            sleepers: AtomicUsize::new(0),
            me: me.clone(),
            config,
        });
        if wal.config.flusher {
            wal.flusher.start(&wal.me)?;
        }
        Ok(wal)
    }

    /// Takes log credit for one record with a body of at most `bytes`. Blocks until the ring has room, and flushes
    /// itself if nobody else does; so it is called before any latch. A thread that already holds
    /// credit may wait for others' here: all threads together must never hold more than the ring.
    ///
    /// # Errors
    /// `InvalidInput` if `bytes` is above [`WalConfig::group_bytes_max`]; `Full` if the disk is (then nothing is
    /// lost, and [`Wal::reserve_urgent`] may still go through); `Poisoned` after a failed write or sync.
    #[inline]
    pub fn reserve(&self, stream: StreamId, bytes: usize) -> Result<Credit<'_>> {
        self.reserve_as(stream, bytes, false)
    }

    /// As [`Wal::reserve`], for rollback and checkpoint: when the disk is full it may use the segment in
    /// reserve (R3).
    ///
    /// # Errors
    /// As [`Wal::reserve`].
    pub fn reserve_urgent(&self, stream: StreamId, bytes: usize) -> Result<Credit<'_>> {
        self.reserve_as(stream, bytes, true)
    }

    fn reserve_as(&self, stream: StreamId, bytes: usize, urgent: bool) -> Result<Credit<'_>> {
        let part = self.stream(stream);
        if bytes > self.config.group_bytes_max() {
            let most = self.config.group_bytes_max();
            return Err(Error::invalid(format!(
                "a log record of {bytes} bytes; at most {most} are possible"
            )));
        }
        let ring_bytes = part.credit_bytes(bytes);
        self.flush_if_due()?;
        let try_reserve = || trace::credit(stream, ring_bytes, || part.ring.try_reserve(ring_bytes, urgent));
        while self.poison.is_set() || try_reserve().is_err() {
            self.make_room(part, ring_bytes, urgent)?;
        }
        Ok(Credit { wal: self, stream, body_bytes: bytes, ring_bytes })
    }

    /// Does one thing that brings a reservation nearer; blocks.
    #[cold]
    fn make_room(&self, stream: &Stream, bytes: u64, urgent: bool) -> Result<()> {
        if let Some(refusal) = self.poison.refusal() {
            return Err(refusal);
        }
        self.start()?;
        match stream.ring.short_of(bytes, urgent) {
            None => Ok(()),
            Some(Short::Files) => self.make_files(stream, bytes, urgent),
            Some(Short::Ring) if stream.ring.position() > stream.ring.durable() => {
                // No more than that: what was appended after the flush that is under way began may go with the next.
                let target = stream.ring.in_the_way_of(bytes).min(stream.ring.position());
                let target = Lv::at(stream.id, Lsn::new(target));
                self.wait_durable(&target).map_err(|error| self.poison.refusal().unwrap_or(error))
            }
            Some(Short::Ring) => {
                self.sleep_for_room(stream, bytes);
                Ok(())
            }
        }
    }

    fn make_files(&self, stream: &Stream, bytes: u64, urgent: bool) -> Result<()> {
        match stream.prepare(stream.ring.wanted(bytes), urgent) {
            Ok(()) => Ok(()),
            Err(Refused::Full(error)) => Err(error),
            Err(Refused::Failed(error)) => Err(self.fail(error)),
        }
    }

    /// Sleeps until credit is used or given back: everything claimed is durable, so only that can help.
    fn sleep_for_room(&self, stream: &Stream, bytes: u64) {
        let guard = self.room.lock();
        self.sleepers.fetch_add(1, SeqCst);
        // Whoever uses or gives back credit does so before it looks for sleepers; both sides are sequentially
        // consistent, so either it sees this sleeper or this sees what it did.
        let idle = stream.ring.position() == stream.ring.durable();
        if idle && stream.ring.short_of(bytes, true) == Some(Short::Ring) && !self.poison.is_set() {
            drop(self.freed.wait(guard));
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }

    #[inline]
    pub(crate) fn wake_sleepers(&self) {
        if self.sleepers.load(SeqCst) > 0 {
            let _guard = self.room.lock();
            self.freed.notify_all();
        }
    }

    /// Appends a record: claims its place and merges `deps` into the stream's vector in one step, then fills it.
    /// Cannot fail and does not block. Durable once [`Wal::durable`] covers the returned vector.
    ///
    /// # Panics
    /// If `body` does not fit the credit, or `kind` is below [`FIRST_KIND`].
    #[inline]
    pub fn append(&self, mut credit: Credit<'_>, kind: u8, deps: &Lv, body: &[u8]) -> Appended {
        assert!(body.len() <= credit.body_bytes, "a record fits the credit taken for it");
        assert!(kind >= FIRST_KIND, "the kinds below are the log's own");
        let appended = self.stream(credit.stream).append(kind, deps, body);
        let used = appended.end.since(appended.lsn);
        self.appended.add(used);
        self.flush_by_halves(&appended);
        // The claim used this part; dropping the credit gives back the rest.
        credit.ring_bytes -= used;
        appended
    }

    /// Has the background thread flush each time another half of the ring is full: so writers who wait for no commit find the other half free,
    /// and not all of it full before its flush begins.
    #[inline]
    fn flush_by_halves(&self, appended: &Appended) {
        // A power of two: a bit from there on has changed.
        let half = self.config.ring_bytes as u64 / 2;
        if appended.lsn.get() ^ appended.end.get() >= half {
            self.flusher.ask_now();
        }
    }

    /// A position at or below every later record of `stream`, at or above the end of every earlier one.
    #[inline]
    pub fn claim_position(&self, stream: StreamId) -> Lsn {
        Lsn::new(self.stream(stream).ring.position())
    }

    /// The claim positions of all streams.
    pub fn positions(&self) -> Lv {
        self.vector(|stream| stream.ring.position())
    }

    /// The join of all streams' accumulated vectors: what everything claimed so far needs.
    pub fn slv_join(&self) -> Lv {
        let mut lv = self.incarnation.start;
        self.streams.iter().for_each(|stream| lv.join(&stream.slv()));
        lv
    }

    /// Up to where every stream is durable; nothing before [`Wal::start`].
    #[inline]
    pub fn durable(&self) -> Lv {
        if !self.begin.is_done() {
            return Lv::ZERO;
        }
        self.vector(|stream| stream.ring.durable())
    }

    pub(crate) fn vector(&self, part: impl Fn(&Stream) -> u64) -> Lv {
        let mut lv = self.incarnation.start;
        self.streams.iter().for_each(|stream| lv.set(stream.id, Lsn::new(part(stream))));
        lv
    }

    pub(crate) fn stream(&self, id: StreamId) -> &Stream {
        &self.streams[usize::from(id.get())]
    }

    /// How many streams are appended to.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// What this open adds to the log; `control` is or was called with it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Recycles or removes the segments that lie wholly below `lv`, but for a margin; blocks.
    ///
    /// # Errors
    /// Of the file operations; the log stays usable.
    pub fn truncate_below(&self, lv: &Lv) -> Result<()> {
        if !self.begin.is_done() {
            return Ok(());
        }
        let active = self.streams.iter().map(|stream| (stream.id, &stream.segments));
        let retired = self.retired.iter().map(|segments| (segments.stream(), segments));
        active.chain(retired).try_for_each(|(id, segments)| self.truncate(segments, lv.get(id).get()))
    }

    /// What could not be renamed or removed is found again by the next open; a sync that failed ends writing (R2).
    fn truncate(&self, segments: &Segments, bound: u64) -> Result<()> {
        let Some(free) = segments.retire_below(bound)? else { return Ok(()) };
        if let Err(error) = segments.sync_names() {
            self.fail(error.duplicate());
            return Err(error);
        }
        segments.recycle(free);
        Ok(())
    }

    /// The lowest position that the files of each stream still hold.
    pub fn retained_from(&self) -> Lv {
        let mut lv = self.vector(|stream| stream.segments.retained_from());
        self.retired.iter().for_each(|files| lv.set(files.stream(), Lsn::new(files.retained_from())));
        lv
    }

    /// How many of the oldest of `incarnations`, oldest first, the retained log no longer touches: those that a
    /// newer one has outlived in every stream (L1).
    pub fn outlived(&self, incarnations: &[Incarnation]) -> usize {
        let retained = self.retained_from();
        incarnations.iter().skip(1).take_while(|next| retained.covers(&next.start)).count()
    }

    /// True once this open's incarnation has begun: it has written, or recovered.
    pub fn is_started(&self) -> bool {
        self.begin.is_done()
    }

    /// The error that ended writing, if one did.
    pub fn poisoned(&self) -> Option<Error> {
        self.poison.failure()
    }

    /// Ends all writing because of `error` (R2), and wakes everyone; returns what a writer is told.
    pub(crate) fn fail(&self, error: Error) -> Error {
        self.poison.set(error);
        self.streams.iter().for_each(Stream::wake);
        {
            let _guard = self.room.lock();
            self.freed.notify_all();
        }
        self.commits.wake_all();
        self.poison.refusal().unwrap_or_else(|| Error::new(ErrorKind::Poisoned, "the log is closed"))
    }

    /// Flushes everything and ends writing; blocks. Returns the end of every stream, for the next open: if the log was
    /// never started, that of the last clean close.
    ///
    /// # Errors
    /// `InDoubt` or `Poisoned` after a failed write or sync.
    pub fn close(&self) -> Result<Lv> {
        self.flusher.stop();
        if let Some(refusal) = self.poison.refusal() {
            return Err(refusal);
        }
        if let (false, Some(clean)) = (self.begin.is_done(), self.begin.clean_end()) {
            self.poison.close();
            return Ok(clean);
        }
        self.start()?;
        let ends = self.flush_all()?;
        self.poison.close();
        Ok(ends)
    }

    /// Ends the background thread, which would go on to write to the log's files and to make new ones; blocks for what it is at. To be called
    /// before another may open them, where [`Wal::close`] is not. Whoever needs a flush from then on does it himself.
    pub fn stop_flusher(&self) {
        self.flusher.stop();
    }

    /// Counters since the log was opened.
    pub fn stats(&self) -> WalStats {
        let sum = |part: fn(&Stream) -> u64| self.streams.iter().map(part).sum();
        WalStats {
            appended_bytes: self.appended.get(),
            flushes: sum(Stream::flushes),
            flushed_bytes: sum(Stream::flushed_bytes),
            groups_waited: self.waited.get(),
            segments: sum(|stream| stream.segments.count() as u64),
        }
    }

    /// Bytes of memory that the log holds, for the budget (R1).
    pub fn memory_bytes(&self) -> usize {
        self.config.memory_bytes()
    }

    /// The configuration.
    pub fn config(&self) -> &WalConfig {
        &self.config
    }
}

impl Credit<'_> {
    /// The stream it is for.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Bytes of the body that it is good for.
    pub fn bytes(&self) -> usize {
        self.body_bytes
    }
}

impl Drop for Credit<'_> {
    fn drop(&mut self) {
        if self.ring_bytes > 0 {
            self.wal.stream(self.stream).ring.release(self.ring_bytes);
        }
        self.wal.wake_sleepers();
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        // The thread itself may be the last to let go of the log, so it is not waited for.
        self.flusher.dismiss();
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (positions, durable) = (self.positions(), self.durable());
        f.debug_struct("Wal")
            .field("positions", &positions)
            .field("durable", &durable)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Credit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credit").field("stream", &self.stream).field("bytes", &self.body_bytes).finish()
    }
}
