//! Spreads the cases over threads and watches that each ends.

use super::Settings;
use super::examine::examine;
use super::plan::Plan;
use super::tally::Findings;
use aether_sync::atomic::{AtomicU64, Ordering::SeqCst};
use aether_sync::thread::{sleep, spawn};
use aether_sync::{Arc, Mutex, Rank};
use std::time::{Duration, Instant};

const FINDINGS: Rank = Rank::new(898, "damage findings");

/// When one case takes longer than this, the engine hangs.
const HANG: Duration = Duration::from_secs(60);

/// What a worker shows when it has come to its end.
const DONE: u64 = u64::MAX;

/// Threads that examine the cases of a plan.
pub struct Crew {
    bench: Arc<Bench>,
    threads: usize,
}

struct Bench {
    plan: Arc<Plan>,
    next: AtomicU64,
    end: u64,
    failures: usize,
    findings: Mutex<Findings>,
}

impl Crew {
    /// A crew for a plan.
    pub fn new(plan: Arc<Plan>, settings: &Settings) -> Self {
        let (next, end) = settings.only.map_or((0, plan.count()), |only| (only, only + 1));
        let stores = plan.specimens.len() as u64;
        let findings = Mutex::new(FINDINGS, Findings { stores, ..Findings::default() });
        let next = AtomicU64::new(next);
        let bench = Bench { plan, next, end, failures: settings.failures, findings };
        Self { bench: Arc::new(bench), threads: settings.threads.max(1) }
    }

    /// Examines all cases, or as many as it takes to find enough failures. Blocks.
    pub fn work(&self, progress: &mut dyn FnMut(&Findings)) -> Findings {
        let start = Instant::now();
        let mut workers: Vec<_> =
            (0..self.threads).map(|number| Worker::start(&self.bench, number)).collect();
        loop {
            sleep(Duration::from_millis(20));
            workers.retain(|worker| worker.at.load(SeqCst) != DONE);
            let mut findings = self.bench.findings.lock().clone();
            findings.seconds = start.elapsed().as_secs_f64();
            if workers.is_empty() {
                return findings;
            }
            if let Some(case) = workers.iter_mut().find_map(Worker::stuck_at) {
                // A worker that hangs is never joined.
                let case = self.bench.plan.case(case);
                case.into_iter().for_each(|case| findings.fail(&self.bench.plan, case, "hang".into()));
                return findings;
            }
            progress(&findings);
        }
    }
}

struct Worker {
    at: Arc<AtomicU64>,
    last: (u64, Instant),
}

impl Worker {
    fn start(bench: &Arc<Bench>, number: usize) -> Self {
        let at = Arc::new(AtomicU64::new(0));
        let (bench, own) = (bench.clone(), at.clone());
        drop(spawn(&format!("damage-{number}"), move || bench.work(&own)));
        Self { at, last: (0, Instant::now()) }
    }

    fn stuck_at(&mut self) -> Option<u64> {
        let at = self.at.load(SeqCst);
        if at != self.last.0 {
            self.last = (at, Instant::now());
        }
        (self.last.1.elapsed() > HANG).then_some(at)
    }
}

impl Bench {
    fn work(&self, at: &AtomicU64) {
        while let Some(number) = self.draw() {
            at.store(number, SeqCst);
            let Some(case) = self.plan.case(number) else { break };
            let outcome = examine(&self.plan, &case);
            self.findings.lock().note(&self.plan, case, outcome);
        }
        at.store(DONE, SeqCst);
    }

    fn draw(&self) -> Option<u64> {
        if self.findings.lock().failures.len() >= self.failures {
            return None;
        }
        let number = self.next.fetch_add(1, SeqCst);
        (number < self.end).then_some(number)
    }
}
