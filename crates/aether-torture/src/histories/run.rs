//! Histories of the engine itself, in one process, on a simulated machine whose power goes now and then.
//!
//! Threads are real, so a seed gives the same decisions in another order. With crashes, the history goes on over each
//! restart: what was running is unknown, and so is what committed without waiting for the log.

use super::client::{Client, Shared};
use super::event::Event;
use super::judge::{Findings, judge};
use super::level::Level;
use super::lie::Lie;
use super::lists::Lists;
use crate::mutant::Mutant;
use crate::oracle::{Verdict, failed};
use crate::rng::{Rng, derive};
use crate::shape::Shape;
use crate::world::{Cut, Fate, World, policies};
use aether_kv::{DbEnv, Error, Keyspace};
use aether_sync::Arc;
use aether_sync::thread::spawn;
use std::time::Duration;

/// The keyspace of the lists.
const SPACE: &str = "lists";

/// The most operations of the disk between two power cuts.
const LIFE_OPERATIONS: usize = 400;

/// The longest wait for a lock, in the lives in which anybody waits.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

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
}

/// Makes a history and judges it. Blocks.
///
/// # Errors
/// If the store fails with the power on, or cannot be opened after a crash.
pub fn run(settings: &Settings) -> Verdict<Outcome> {
    let (events, restarts) = make(settings)?;
    Ok(Outcome { findings: judge(events, settings.judged_as)?, restarts })
}

/// Makes a history; also says how often the store was restarted.
///
/// # Errors
/// As [`run`].
pub fn make(settings: &Settings) -> Verdict<(Vec<Event>, u64)> {
    let mut rng = Rng::new(settings.seed);
    let mut world = World::new(settings.seed, Shape::new(rng.word() >> 48), settings.mutant);
    let mut shared = Shared::new(Lists::new(settings.keys), settings.level, settings.txns, settings.ops_max);
    (shared.lie, shared.crashes) = (settings.lie, settings.crashes);
    let shared = Arc::new(shared);
    let mut restarts = 0;
    loop {
        let life = derive(settings.seed, restarts);
        live(settings, &world, &shared, life).map_err(|what| format!("life {restarts}: {what}"))?;
        if shared.is_done() && !world.sim.is_off() {
            break;
        }
        let policy = rng.below(policies() + 1);
        let fate = if policy == policies() { Fate::Kill } else { Fate::Power(policy) };
        world = world.after(Cut { op: restarts, fate });
        restarts += 1;
    }
    Ok((shared.take_events(), restarts))
}

/// From one start of the store until its power goes or all is done; then, with the power on, reads every list.
fn live(settings: &Settings, world: &World, shared: &Arc<Shared>, seed: u64) -> Verdict<()> {
    let mut rng = Rng::new(seed);
    let (background, waits) = (rng.chance(50), rng.chance(50));
    let env = world.open_with(|options| {
        options.background = background;
        options.lock_timeout = if waits { LOCK_TIMEOUT } else { Duration::ZERO };
    })?;
    let space = env.open_or_create_keyspace(SPACE).map_err(failed("open_or_create_keyspace"))?;
    if settings.crashes && !shared.is_done() {
        world.sim.cut_power_at(world.sim.op_count() + rng.between(20, LIFE_OPERATIONS) as u64);
    }
    let error = work(settings, shared, &env, &space, seed)?;
    if let Some(error) = error.filter(|_| !world.sim.is_off()) {
        return Err(failed("a transaction")(error));
    }
    if world.sim.is_off() {
        return Ok(());
    }
    match Client::new(shared, &env, &space, rng).read_all() {
        Err(error) if !world.sim.is_off() => Err(failed("the last read")(error)),
        _ => Ok(()),
    }
}

/// Lets the clients work until each has ended; gives the first failure.
fn work(
    settings: &Settings,
    shared: &Arc<Shared>,
    env: &DbEnv,
    space: &Keyspace,
    seed: u64,
) -> Verdict<Option<Error>> {
    let client = |number| Client::new(shared, env, space, Rng::new(derive(seed, 1_000 + number as u64)));
    let clients: Vec<Client> = (0..settings.threads).map(client).collect();
    let threads: Vec<_> = clients.into_iter().map(|client| spawn("history", move || client.work())).collect();
    let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
    let ended: Result<Vec<_>, _> = ended.into_iter().collect();
    let errors = ended.map_err(|_| "a thread panicked".to_owned())?;
    Ok(errors.into_iter().flatten().next())
}
