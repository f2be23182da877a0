//! Spreads the operations of a study over threads, watches that each goes on, and gathers the outcome.

use crate::report::{Failure, Report, Tally};
use crate::study::Study;
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use aether_sync::thread::{sleep, spawn};
use aether_sync::{Arc, Mutex, Rank};
use std::time::{Duration, Instant};

const OUTCOME: Rank = Rank::new(899, "torture outcome");

/// When one state takes longer than this, the engine hangs.
const HANG: Duration = Duration::from_secs(60);

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads that test, each with images of its own.
    pub threads: usize,
    /// States after which it is enough.
    pub states: u64,
    /// Failures after which it is enough.
    pub failures: usize,
    /// The time to stop at.
    pub until: Option<Instant>,
    /// How many there are to visit; none: the operations of the script.
    pub end: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 2, states: u64::MAX, failures: 1, until: None, end: None }
    }
}

/// A unit of work: what happens when operation `op` of the script is interrupted, or under trouble number `op`.
pub type Visit = dyn Fn(&Study, u64, &dyn Fn()) -> Result<Tally, Failure> + Send + Sync;

/// Visits the operations of a study until a limit is met.
pub fn run(study: Study, limits: Limits, visit: Arc<Visit>, progress: &mut dyn FnMut(&Report)) -> Report {
    let start = Instant::now();
    let board = Arc::new(Board::new(study, limits, visit));
    let mut workers: Vec<_> =
        (0..limits.threads.max(1)).map(|number| Worker::start(&board, number)).collect();
    loop {
        sleep(Duration::from_millis(20));
        workers.retain(|worker| !worker.has_ended());
        let mut report = board.report.lock().clone();
        report.seconds = start.elapsed().as_secs_f64();
        report.seeds = 1;
        if workers.is_empty() {
            return report;
        }
        if let Some(stuck) = workers.iter_mut().find_map(Worker::stuck_at) {
            report.failures.push(board.hang(stuck));
            return report;
        }
        progress(&report);
    }
}

struct Board {
    study: Study,
    limits: Limits,
    visit: Arc<Visit>,
    next: AtomicU64,
    report: Mutex<Report>,
}

impl Board {
    fn new(study: Study, limits: Limits, visit: Arc<Visit>) -> Self {
        let report = Mutex::new(OUTCOME, Report::default());
        Self { study, limits, visit, next: AtomicU64::new(0), report }
    }

    fn draw(&self) -> Option<u64> {
        let late = self.limits.until.is_some_and(|until| Instant::now() >= until);
        if late || self.is_enough() {
            return None;
        }
        let settings = self.study.settings();
        let op = settings.first + self.next.fetch_add(1, SeqCst) * settings.stride;
        (op < self.limits.end.unwrap_or(self.study.operations())).then_some(op)
    }

    fn is_enough(&self) -> bool {
        let report = self.report.lock();
        report.tally.states >= self.limits.states || report.failures.len() >= self.limits.failures
    }

    fn file(&self, outcome: Result<Tally, Failure>) {
        let mut report = self.report.lock();
        match outcome {
            Ok(tally) => report.tally.add(tally),
            Err(failure) => report.failures.push(failure),
        }
    }

    fn hang(&self, op: u64) -> Failure {
        let what = format!("hang: no progress for {HANG:?} at operation {op} or a recovery from it");
        Failure {
            settings: self.study.settings().clone(),
            trail: Vec::new(),
            fault: None,
            thread_run: None,
            what,
        }
    }
}

/// What a worker shows to the watch.
#[derive(Default)]
struct Pulse {
    op: AtomicU64,
    beats: AtomicU64,
    ended: AtomicBool,
}

struct Worker {
    pulse: Arc<Pulse>,
    last_beat: (u64, Instant),
}

impl Worker {
    fn start(board: &Arc<Board>, number: usize) -> Self {
        let pulse = Arc::new(Pulse::default());
        let (board, own) = (board.clone(), pulse.clone());
        // The watch looks at the pulse; a worker that hangs is never joined.
        drop(spawn(&format!("torture-{number}"), move || work(&board, &own)));
        Self { pulse, last_beat: (0, Instant::now()) }
    }

    fn has_ended(&self) -> bool {
        self.pulse.ended.load(SeqCst)
    }

    fn stuck_at(&mut self) -> Option<u64> {
        let beats = self.pulse.beats.load(SeqCst);
        if beats != self.last_beat.0 {
            self.last_beat = (beats, Instant::now());
        }
        (self.last_beat.1.elapsed() > HANG).then(|| self.pulse.op.load(SeqCst))
    }
}

fn work(board: &Board, pulse: &Pulse) {
    let beat = || {
        pulse.beats.fetch_add(1, SeqCst);
    };
    while let Some(op) = board.draw() {
        pulse.op.store(op, SeqCst);
        beat();
        board.file((board.visit)(&board.study, op, &beat));
    }
    pulse.ended.store(true, SeqCst);
}
