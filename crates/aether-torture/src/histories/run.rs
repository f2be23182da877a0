//! Histories of the engine itself, in one process, on a simulated machine whose power goes now and then.
//!
//! Threads are real, so a seed gives the same decisions in another order. With crashes, the history goes on over each
//! restart: what was running is unknown, and so is what committed without waiting for the log.

use super::client::{Client, Shared};
use super::converter::Converter;
use super::event::Event;
use super::judge::{Findings, judge};
use super::level::Level;
use super::lie::Lie;
use super::lists::Lists;
use crate::lives::{Life, Lives, side_by_side};
use crate::mutant::Mutant;
use crate::oracle::{Verdict, failed};
use crate::rng::{Rng, derive};
use aether_kv::Error;
use aether_sync::Arc;
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The keyspace of the lists.
const SPACE: &str = "lists";

/// A history to make.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The seed.
    pub seed: u64,
    /// The level of its transactions.
    pub level: Level,
    /// The level that it is judged by.
    pub judged_as: Level,
    /// Threads.
    pub threads: usize,
    /// Transactions.
    pub txns: u64,
    /// Lists in use at a time.
    pub keys: usize,
    /// The most operations of a transaction.
    pub ops_max: usize,
    /// The power goes now and then.
    pub crashes: bool,
    /// The keyspace is converted from kind to kind meanwhile.
    pub converts: bool,
    /// A bug planted in the clients.
    pub lie: Option<Lie>,
    /// A bug planted below the engine.
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// A contended history of one level.
    pub fn new(seed: u64, level: Level) -> Self {
        Self {
            seed,
            level,
            judged_as: level,
            threads: 8,
            txns: 1_000,
            keys: 4,
            ops_max: 5,
            crashes: false,
            converts: false,
            lie: None,
            mutant: None,
        }
    }
}

/// A history and what it shows.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub findings: Findings,
    /// Restarts in it.
    pub restarts: u64,
    /// Conversions in it that went through.
    pub conversions: u64,
}

/// A history as it was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The history.
    pub events: Vec<Event>,
    /// Restarts in it.
    pub restarts: u64,
    /// Conversions in it that went through.
    pub conversions: u64,
}

/// Makes a history and judges it. Blocks.
///
/// # Errors
/// If the store fails with the power on, or cannot be opened after a crash.
pub fn run(settings: &Settings) -> Verdict<Outcome> {
    let Made { events, restarts, conversions } = make(settings)?;
    Ok(Outcome { findings: judge(events, settings.judged_as)?, restarts, conversions })
}

/// Makes a history. Blocks.
///
/// # Errors
/// As [`run`].
pub fn make(settings: &Settings) -> Verdict<Made> {
    let mut shared = Shared::new(Lists::new(settings.keys), settings.level, settings.txns, settings.ops_max);
    (shared.lie, shared.crashes) = (settings.lie, settings.crashes);
    let shared = Arc::new(shared);
    let Settings { seed, mutant, crashes, .. } = *settings;
    let restarts =
        Lives { seed, mutant, crashes }.run(|| shared.is_done(), |life| live(settings, life, &shared))?;
    Ok(Made { events: shared.take_events(), restarts, conversions: shared.conversions.get() })
}

/// From one start of the store until its power goes or all is done; then, with the power on, reads every list.
fn live(settings: &Settings, life: &mut Life<'_>, shared: &Arc<Shared>) -> Verdict<()> {
    let space = life.env.open_or_create_keyspace(SPACE).map_err(failed("open_or_create_keyspace"))?;
    life.arm();
    let (seed, converts) = (life.rng.word(), Rng::new(life.rng.word()));
    let is_over = Arc::new(AtomicBool::new(false));
    let client = |number: u64| Client::new(shared, &life.env, &space, Rng::new(derive(seed, number)));
    let mut bodies: Vec<Body> =
        (0..settings.threads as u64).map(|number| working(client(number), &is_over)).collect();
    if settings.converts {
        let (shared, env, space) = (shared.clone(), life.env.clone(), space.clone());
        bodies.push(converting(Converter { shared, env, space, rng: converts }, &is_over));
    }
    let errors = side_by_side(bodies)?;
    match errors.into_iter().flatten().next() {
        Some(error) if !life.is_off() => return Err(failed("a transaction")(error)),
        _ if life.is_off() => return Ok(()),
        _ => {}
    }
    match client(u64::MAX).read_all() {
        Err(error) if !life.is_off() => Err(failed("the last read")(error)),
        _ => Ok(()),
    }
}

/// What a thread does; why the store failed, if it did.
type Body = Box<dyn FnOnce() -> Option<Error> + Send>;

/// A client; who converts ends with the first.
fn working(client: Client, is_over: &Arc<AtomicBool>) -> Body {
    let is_over = is_over.clone();
    Box::new(move || {
        let ended = client.work();
        is_over.store(true, Relaxed);
        ended
    })
}

fn converting(converter: Converter, is_over: &Arc<AtomicBool>) -> Body {
    let is_over = is_over.clone();
    Box::new(move || converter.work(&is_over))
}
