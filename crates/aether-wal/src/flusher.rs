//! The background thread: overdue flushes, flushes for wakers, the next segment before it is needed.

use crate::rank;
use crate::stream::Stream;
use crate::wal::Wal;
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use aether_sync::{Arc, Condvar, Mutex, Weak, thread};
use aether_types::{Result, StreamId};
use std::time::Duration;

/// No flush is due.
const NEVER: u64 = u64::MAX;

/// The thread, if there is one, and what it is asked for.
pub(crate) struct Flusher {
    bell: Arc<Bell>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    runs: AtomicBool,
}

struct Bell {
    asked: Mutex<Asked>,
    rung: Condvar,
    /// When the next flush is due, in nanoseconds of the log's clock.
    due: AtomicU64,
    /// The longest interval asked for: no wait is longer, also if the clock has jumped back.
    longest: AtomicU64,
}

#[derive(Default)]
struct Asked {
    flush: bool,
    prepare: Option<(StreamId, u64)>,
    look: bool,
    stop: bool,
}

enum Work {
    Flush,
    Prepare(StreamId, u64),
    Stop,
}

impl Flusher {
    pub(crate) fn new() -> Self {
        let asked = Mutex::new(rank::BELL, Asked::default());
        let (due, longest) = (AtomicU64::new(NEVER), AtomicU64::new(0));
        let bell = Arc::new(Bell { asked, rung: Condvar::new(), due, longest });
        Self { bell, thread: Mutex::new(rank::BELL, None), runs: AtomicBool::new(false) }
    }

    /// Starts the thread.
    pub(crate) fn start(&self, wal: &Weak<Wal>) -> Result<()> {
        let (bell, wal) = (self.bell.clone(), wal.clone());
        let handle = thread::try_spawn("log flusher", move || bell.serve(&wal))?;
        *self.thread.lock() = Some(handle);
        self.runs.store(true, SeqCst);
        Ok(())
    }

    /// Tells the thread to end; does not wait for it.
    pub(crate) fn dismiss(&self) {
        self.bell.ask(|asked| asked.stop = true);
    }

    /// Ends the thread; blocks until it is gone.
    pub(crate) fn stop(&self) {
        self.dismiss();
        self.runs.store(false, SeqCst);
        let handle = self.thread.lock().take();
        if let Some(handle) = handle {
            // A panic there was reported there; nothing of its work is lost.
            let _ = handle.join();
        }
    }

    /// Asks the thread for a flush now; false if there is none.
    pub(crate) fn ask_now(&self) -> bool {
        let runs = self.runs.load(SeqCst);
        if runs {
            self.bell.ask(|asked| asked.flush = true);
        }
        runs
    }

    /// A flush of `stream` is over: the next segment may be wanted.
    pub(crate) fn notice(&self, stream: &Stream) {
        if !self.runs.load(Relaxed) {
            return;
        }
        if let Some(end) = stream.segments.wants_next(stream.ring.durable()) {
            self.bell.ask(|asked| asked.prepare = Some((stream.id, end)));
        }
    }
}

impl Bell {
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock());
        self.rung.notify_all();
    }

    fn serve(&self, wal: &Weak<Wal>) {
        loop {
            match self.next(wal) {
                Work::Stop => return,
                work => {
                    let Some(wal) = wal.upgrade() else { return };
                    wal.serve(work);
                }
            }
        }
    }

    /// Sleeps until there is something to do.
    fn next(&self, wal: &Weak<Wal>) -> Work {
        let mut asked = self.asked.lock();
        loop {
            if asked.stop {
                return Work::Stop;
            }
            if std::mem::take(&mut asked.flush) {
                return Work::Flush;
            }
            if let Some((stream, end)) = asked.prepare.take() {
                return Work::Prepare(stream, end);
            }
            asked.look = false;
            drop(asked);
            let left = match wal.upgrade() {
                Some(wal) => wal.time_left(),
                None => return Work::Stop,
            };
            if left == Some(Duration::ZERO) {
                return Work::Flush;
            }
            asked = self.asked.lock();
            let news = asked.stop || asked.flush || asked.prepare.is_some() || asked.look;
            asked = match left {
                _ if news => asked,
                Some(left) => {
                    let (again, woken) = self.rung.wait_for(asked, left);
                    if !woken {
                        // That long it has been, whatever the clock says.
                        return Work::Flush;
                    }
                    again
                }
                None => self.rung.wait(asked),
            };
        }
    }
}

impl Wal {
    /// Makes sure that what was appended so far is flushed at most `interval` from now: by the background
    /// thread, or, without one, by the next [`Wal::reserve`] or [`Wal::poll_durable`] after that.
    pub fn flush_after(&self, interval: Duration) {
        let interval = interval.as_nanos() as u64;
        let due = self.now().saturating_add(interval).min(NEVER - 1);
        self.flusher.bell.longest.fetch_max(interval, SeqCst);
        let before = self.flusher.bell.due.fetch_min(due, SeqCst);
        if due < before && self.flusher.runs.load(SeqCst) {
            self.flusher.bell.ask(|asked| asked.look = true);
        }
    }

    /// Without a background thread: flushes if that is overdue.
    #[inline]
    pub(crate) fn flush_if_due(&self) -> Result<()> {
        let due = self.flusher.bell.due.load(Relaxed);
        if due == NEVER || self.flusher.runs.load(Relaxed) || self.now() < due {
            return Ok(());
        }
        self.flush_due()
    }

    #[cold]
    fn flush_due(&self) -> Result<()> {
        // What is appended from here on has a deadline of its own.
        self.flusher.bell.due.store(NEVER, SeqCst);
        self.flush_all().map(drop)
    }

    /// How long until the next flush is due.
    fn time_left(&self) -> Option<Duration> {
        let due = self.flusher.bell.due.load(SeqCst);
        let longest = self.flusher.bell.longest.load(SeqCst);
        (due != NEVER).then(|| Duration::from_nanos(due.saturating_sub(self.now()).min(longest)))
    }

    fn now(&self) -> u64 {
        self.home.env.clock.now().as_nanos() as u64
    }

    fn serve(&self, work: Work) {
        match work {
            // Whoever waits for a failed flush is told by the log itself.
            Work::Flush => drop(self.flush_due()),
            Work::Prepare(stream, end) => self.prepare_ahead(stream, end),
            Work::Stop => {}
        }
    }
}
