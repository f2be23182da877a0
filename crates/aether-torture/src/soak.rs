//! Hours of mixed work on the real file system: does anything go wrong, and does anything grow?
//!
//! Some threads ([`client`]) put, get, delete, scan, hold snapshots, roll back, make and drop keyspaces, and ask for
//! checkpoints. Each knows what its own keys must hold; a value tells by itself which key and version it is of
//! ([`value`]), so that everybody's rows can be checked by anyone. At intervals the work stops, and the whole store is
//! compared and verified ([`survey`]); now and then it is closed and opened again.
//!
//! The live set has the same size all the time, so memory, open files, files and bytes must not grow ([`gauge`]): what
//! they are in the last third of the run is held against the middle third ([`trend`]).

pub mod client;
pub mod gauge;
pub mod survey;
pub mod trend;
pub mod value;

use crate::oracle::{Verdict, failed};
use crate::rng::derive;
use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, Durability, Options, WalConfig};
use aether_sync::thread::{self, sleep};
use client::{Client, Counts};
use gauge::{Gauge, Sample};
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trend::Trend;

/// A run shorter than this is mostly warm-up, and its trend says nothing.
pub const JUDGED_FROM: Duration = Duration::from_secs(180);

/// The store is closed and opened again after so many stretches of work.
const REOPEN_EVERY: u64 = 3;

/// What to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The work follows from it.
    pub seed: u64,
    /// For how long.
    pub time: Duration,
    /// Threads that work.
    pub clients: usize,
    /// Keys of each.
    pub keys: usize,
    /// Where the store lies, which must not exist; a temporary directory without it.
    pub home: Option<PathBuf>,
}

impl Settings {
    /// So long with the usual load.
    pub fn new(time: Duration) -> Self {
        Self { seed: 1, time, clients: 4, keys: 2000, home: None }
    }

    /// How long the clients work between two surveys.
    fn stretch(&self) -> Duration {
        (self.time / 12).clamp(Duration::from_millis(500), Duration::from_secs(20))
    }

    fn sample_every(&self) -> Duration {
        (self.time / 150).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// What a soak has shown.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The time it took.
    pub seconds: f64,
    /// What the clients did.
    pub counts: Counts,
    /// Full comparisons of the store.
    pub surveys: u64,
    /// How often the store was opened.
    pub opens: u64,
    /// What was measured, in order.
    pub samples: Vec<Sample>,
    /// Each quantity over time.
    pub trends: Vec<Trend>,
    /// True if the run was long enough to judge the trends.
    pub judged: bool,
    /// What went wrong with the data, and where the store is kept.
    pub failure: Option<(String, PathBuf)>,
}

impl Outcome {
    /// True if nothing went wrong and, in a run that is long enough, nothing grew.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && !(self.judged && self.trends.iter().any(Trend::grows))
    }
}

/// Works for as long as the settings say, or until something goes wrong. Blocks; `progress` is called now and then.
///
/// # Errors
/// If the directory for the store cannot be made.
pub fn run(settings: &Settings, progress: &mut dyn FnMut(&Outcome)) -> Verdict<Outcome> {
    let dir =
        TempDir::with_prefix("aether-soak-").map_err(|error| format!("a temporary directory: {error}"))?;
    let home = settings.home.clone().unwrap_or_else(|| dir.path().join("home"));
    if home.exists() {
        return Err(format!("{} is there already", home.display()));
    }
    let mut soak =
        Soak { settings, gauge: Gauge::new(&home), start: Instant::now(), outcome: Outcome::default() };
    let ended = soak.work(&home, progress);
    let mut outcome = soak.outcome;
    outcome.trends = trend::trends(&outcome.samples);
    outcome.judged = settings.time >= JUDGED_FROM;
    if let Err(what) = ended {
        outcome.failure = Some((what, home));
        let _ = dir.keep();
    }
    Ok(outcome)
}

struct Soak<'a> {
    settings: &'a Settings,
    gauge: Gauge,
    start: Instant,
    outcome: Outcome,
}

impl Soak<'_> {
    fn work(&mut self, home: &Path, progress: &mut dyn FnMut(&Outcome)) -> Verdict<()> {
        let numbers = 0..self.settings.clients;
        let mut clients: Vec<Client> = numbers
            .map(|number| Client::new(number, self.settings, derive(self.settings.seed, number as u64)))
            .collect();
        let mut env = Some(self.open(home)?);
        for stretch in 1.. {
            let open = env.as_ref().ok_or("no store is open")?.clone();
            clients = self.stretch(&open, clients, progress)?;
            survey::survey(&open, &clients)?;
            self.outcome.surveys += 1;
            drop(open);
            let over = self.start.elapsed() >= self.settings.time;
            if over || stretch % REOPEN_EVERY == 0 {
                env.take().map_or(Ok(()), DbEnv::close).map_err(failed("close"))?;
                let again = self.open(home)?;
                survey::survey(&again, &clients)?;
                env = Some(again);
            }
            if over {
                break;
            }
        }
        env.map_or(Ok(()), DbEnv::close).map_err(failed("close"))
    }

    fn open(&mut self, home: &Path) -> Verdict<DbEnv> {
        self.outcome.opens += 1;
        DbEnv::open(home, options()).map_err(failed("open"))
    }

    /// Lets all clients work for a while and samples meanwhile.
    fn stretch(
        &mut self,
        env: &DbEnv,
        clients: Vec<Client>,
        progress: &mut dyn FnMut(&Outcome),
    ) -> Verdict<Vec<Client>> {
        let until = Instant::now() + self.settings.stretch();
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let env = env.clone();
                thread::spawn("soak", move || client.work(&env, until).map(|()| client))
            })
            .collect();
        while Instant::now() < until {
            sleep(self.settings.sample_every().min(until.saturating_duration_since(Instant::now())));
            self.sample()?;
            progress(&self.outcome);
        }
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into())));
        let clients = ended.collect::<Verdict<Vec<Client>>>()?;
        self.outcome.counts =
            clients.iter().map(|client| client.counts).fold(Counts::default(), Counts::plus);
        Ok(clients)
    }

    fn sample(&mut self) -> Verdict<()> {
        self.outcome.seconds = self.start.elapsed().as_secs_f64();
        self.outcome.samples.push(self.gauge.read(self.outcome.seconds)?);
        Ok(())
    }
}

/// A pool smaller than the data, and a log that comes round often.
fn options() -> Options {
    Options {
        buffer: BufferConfig { num_frames: 2048, ..BufferConfig::default() },
        wal: WalConfig { segment_bytes: 1 << 20, ring_bytes: 1 << 20, ..WalConfig::default() },
        max_recovery_bytes: 8 << 20,
        // Then reading shows the newest commits, which is what each client knows.
        durability: Durability::None,
        ..Options::default()
    }
}

impl Outcome {
    /// As JSON, with every sample.
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_clean(),
            "seconds": self.seconds,
            "counts": self.counts.json(),
            "surveys": self.surveys,
            "opens": self.opens,
            "judged": self.judged,
            "trends": self.trends.iter().map(Trend::json).collect::<Vec<_>>(),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
            "failure": self.failure.as_ref().map(|(what, _)| what),
            "evidence": self.failure.as_ref().map(|(_, home)| home.display().to_string()),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((what, home)) = &self.failure {
            writeln!(f, "wrong: {what}\n  kept: {}", home.display())?;
        }
        writeln!(
            f,
            "{:<12} {:>14} {:>14} {:>14} {:>14} {:>8}",
            "", "first third", "middle", "last third", "most", "growth"
        )?;
        self.trends.iter().try_for_each(|trend| writeln!(f, "{trend}"))?;
        if !self.judged {
            writeln!(f, "shorter than {} s: growth is not judged", JUDGED_FROM.as_secs())?;
        }
        write!(
            f,
            "{:.0} s, {}; {} full comparisons, opened {} times, {} samples; {}",
            self.seconds,
            self.counts,
            self.surveys,
            self.opens,
            self.samples.len(),
            if self.is_clean() { "all is well" } else { "NOT well" }
        )
    }
}
