//! The background threads: one for overdue flushes and flushes for wakers, one that makes the next segment before it is needed. Making
//! one may take the device a tenth of a second, in which flushes go on.

use crate::rank;
use crate::stream::Stream;
use crate::wal::Wal;
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use aether_sync::{Arc, Condvar, Mutex, Weak, thread};
use aether_types::{Result, StreamId};
use std::time::Duration;

/// No flush is due.
const NEVER: u64 = u64::MAX;

/// The threads, if there are any, and what they are asked for.
pub(crate) struct Flusher {
    bell: Arc<Bell>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    runs: AtomicBool,
}

struct Bell {
    asked: Mutex<Asked>,
    rung: Condvar,
    rung_for_files: Condvar,
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
    Stop,
}

impl Flusher {
    pub(crate) fn new() -> Self {
        let asked = Mutex::new(rank::BELL, Asked::default());
        let (due, longest) = (AtomicU64::new(NEVER), AtomicU64::new(0));
        let (rung, rung_for_files) = (Condvar::new(), Condvar::new());
        let bell = Arc::new(Bell { asked, rung, rung_for_files, due, longest });
        Self { bell, threads: Mutex::new(rank::BELL, Vec::new()), runs: AtomicBool::new(false) }
    }

    /// Starts the threads.
    pub(crate) fn start(&self, wal: &Weak<Wal>) -> Result<()> {
        let (bell, flushed) = (self.bell.clone(), wal.clone());
        let flushes = thread::try_spawn("log flusher", move || bell.serve(&flushed))?;
        self.threads.lock().push(flushes);
        let (bell, wal) = (self.bell.clone(), wal.clone());
        let makes_files = thread::try_spawn_batch("log files", move || bell.serve_files(&wal))?;
        self.threads.lock().push(makes_files);
        self.runs.store(true, SeqCst);
        Ok(())
    }

    /// Tells the threads to end; does not wait for them.
    pub(crate) fn dismiss(&self) {
        self.bell.ask(|asked| asked.stop = true);
        self.bell.rung_for_files.notify_all();
    }

    /// Ends the threads; blocks until they are gone.
    pub(crate) fn stop(&self) {
        self.dismiss();
        self.runs.store(false, SeqCst);
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A panic there was reported there; nothing of its work is lost.
            let _ = thread.join();
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
            self.bell.asked.lock().prepare = Some((stream.id, end));
            self.bell.rung_for_files.notify_all();
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
                Work::Flush => {
                    let Some(wal) = wal.upgrade() else { return };
                    // Whoever waits for a failed flush is told by the log itself.
                    let _ = wal.flush_due();
                }
            }
        }
    }

    fn serve_files(&self, wal: &Weak<Wal>) {
        loop {
            let mut asked = self.asked.lock();
            let (stream, end) = loop {
                if asked.stop {
                    return;
                }
                match asked.prepare.take() {
                    Some(next) => break next,
                    None => asked = self.rung_for_files.wait(asked),
                }
            };
            drop(asked);
            let Some(wal) = wal.upgrade() else { return };
            wal.prepare_ahead(stream, end);
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
            let news = asked.stop || asked.flush || asked.look;
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
}
