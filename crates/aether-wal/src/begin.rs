//! Beginning an incarnation (L1).
//!
//! The order is what the rule is about. First the log up to the cut is made durable: what the scan could not
//! prove durable is written anew, from the bytes that it validated. Then every stream gets a new segment, of a new epoch
//! and above any byte that was ever readable there. Then the control file says so. Only then may anything be appended,
//! or a data page be written.
//!
//! The rewrite goes to a segment of its own, which overrides the old one from its first position on as soon
//! as it has its name. Nothing durable is written over: a crash at any moment leaves the old bytes or the new file.

use crate::config::{Incarnation, WalConfig};
use crate::rank;
use crate::record::{BLOCK_BYTES, Seed};
use crate::scan::{Rewrite, Scan};
use crate::segment::Name;
use crate::segments::{Refused, Segments};
use crate::stream::Part;
use crate::trace;
use crate::wal::Wal;
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_sync::{Condvar, Mutex};
use aether_types::limits::STREAMS_MAX;
use aether_types::{Lsn, Lv, Result, StoreId, StreamId};

/// Writes the control file: when this returns, the incarnation is durable in it, and a clean end is in it no more.
/// Called without any lock.
pub type Control = Box<dyn Fn(&Incarnation) -> Result<()> + Send + Sync>;

/// How far the incarnation has begun.
pub(crate) struct Begin {
    done: AtomicBool,
    stage: Mutex<Stage>,
    changed: Condvar,
    control: Control,
    rewrites: Mutex<Vec<Rewrite>>,
    strays: Vec<Name>,
    clean_end: Option<Lv>,
    store: StoreId,
    epoch: u64,
    start: Lv,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Busy,
    Over,
}

impl Begin {
    pub(crate) fn new(scan: &Scan, config: &WalConfig, control: Control) -> (Self, Incarnation) {
        let epoch = scan.epoch_max() + 1;
        let start = start_of(scan, config);
        let begin = Self {
            done: AtomicBool::new(false),
            stage: Mutex::new(rank::BEGIN, Stage::Before),
            changed: Condvar::new(),
            control,
            rewrites: Mutex::new(rank::REWRITES, scan.rewrites()),
            strays: scan.strays(),
            clean_end: scan.clean_end(),
            store: scan.home().store,
            epoch,
            start,
        };
        (begin, Incarnation { epoch, cut: scan.cut(), start })
    }

    pub(crate) fn part(&self, id: StreamId, config: &WalConfig) -> Part {
        Part {
            id,
            seed: Seed::new(self.store, self.epoch, id),
            base: self.start,
            many: config.streams > 1,
            ring_bytes: config.ring_bytes,
            chunk_bytes: config.chunk_bytes(),
        }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // Pairs with the release in `finish`: the first flush-start records are in the rings.
        self.done.load(Acquire)
    }

    /// The clean end that the log was opened with.
    pub(crate) fn clean_end(&self) -> Option<Lv> {
        self.clean_end
    }

    /// True if the caller is to begin the incarnation; otherwise waits until it has begun or failed; blocks.
    fn enter(&self) -> bool {
        let mut stage = self.stage.lock();
        while *stage == Stage::Busy {
            stage = self.changed.wait(stage);
        }
        let mine = *stage == Stage::Before;
        if mine {
            *stage = Stage::Busy;
        }
        mine
    }

    fn finish(&self, begun: bool) {
        self.done.store(begun, Release);
        *self.stage.lock() = Stage::Over;
        self.changed.notify_all();
    }
}

/// Above every byte that was ever readable, and above 0, so that 0 is no record's position.
fn start_of(scan: &Scan, config: &WalConfig) -> Lv {
    let mut start = Lv::ZERO;
    for (id, end) in scan.ends_ever().iter(STREAMS_MAX) {
        if usize::from(id.get()) < config.streams || end.get() > 0 {
            start.set(id, end.max(Lsn::new(BLOCK_BYTES)));
        }
    }
    start
}

impl Wal {
    /// Makes sure that this open's incarnation has begun; blocks the first time. Must come before the
    /// first write of a data page; the first [`Wal::reserve`] and every wait for durability call it.
    ///
    /// # Errors
    /// Of the files and of the control closure; then the log is poisoned.
    pub fn start(&self) -> Result<()> {
        if self.begin.is_done() {
            return Ok(());
        }
        if self.begin.enter() {
            let begun = match self.poison.refusal() {
                Some(refusal) => Err(refusal),
                None => self.begin_incarnation().map_err(|error| self.fail(error)),
            };
            self.begin.finish(begun.is_ok());
            begun?;
            self.after_begin();
        }
        match self.poison.refusal() {
            Some(refusal) if !self.begin.is_done() => Err(refusal),
            _ => Ok(()),
        }
    }

    fn begin_incarnation(&self) -> Result<()> {
        // A free file that an earlier open left may have its segment's name again after a power cut, until the directory is
        // synced: before that it gets no other header.
        if self.streams.iter().any(|stream| stream.segments.has_free()) {
            self.home.sync_dir()?;
        }
        let rewrites = std::mem::take(&mut *self.begin.rewrites.lock());
        for rewrite in rewrites {
            let bytes = &rewrite.tail.bytes[..(rewrite.cut - rewrite.tail.first) as usize];
            let write = || self.files(rewrite.stream).rewrite(rewrite.epoch, rewrite.tail.first, bytes);
            let end = rewrite.tail.first + rewrite.tail.bytes.len() as u64;
            trace::cut_back(rewrite.stream, end, rewrite.cut, write)?;
        }
        self.streams.iter().try_for_each(|stream| stream.segments.begin(true))?;
        self.retired.iter().try_for_each(|files| files.begin(false))?;
        (self.begin.control)(&self.incarnation)?;
        self.streams.iter().for_each(|stream| stream.begin(&self.incarnation));
        Ok(())
    }

    fn files(&self, id: StreamId) -> &Segments {
        let retired = self.retired.iter().find(|files| files.stream() == id);
        retired.unwrap_or_else(|| &self.stream(id).segments)
    }

    fn after_begin(&self) {
        self.streams.iter().for_each(|stream| stream.segments.remove_dead());
        self.retired.iter().for_each(Segments::remove_dead);
        for stray in &self.begin.strays {
            // The next open finds again what could not be removed.
            let _ = self.home.remove(*stray);
        }
    }

    /// Makes the next segment of `stream` before it is needed. A full disk is no failure yet.
    pub(crate) fn prepare_ahead(&self, stream: StreamId, end: u64) {
        if self.poison.is_set() {
            return;
        }
        if let Err(Refused::Failed(error)) = self.stream(stream).prepare(end, false) {
            self.fail(error);
        }
    }
}
