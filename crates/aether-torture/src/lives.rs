//! A store that real threads work on, from one start to the next: the power goes now and then.

use crate::mutant::Mutant;
use crate::oracle::Verdict;
use crate::rng::{Rng, derive};
use crate::shape::Shape;
use crate::world::{Cut, Fate, World, policies};
use aether_kv::DbEnv;
use aether_sync::thread::{JoinHandle, spawn};
use std::time::Duration;

/// The most operations of the disk between two power cuts.
const LIFE_OPERATIONS: usize = 400;

/// The longest wait for a lock, in the lives in which anybody waits.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// What is lived through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    /// The seed of machine and cuts.
    pub(crate) seed: u64,
    /// A bug to plant below the engine.
    pub(crate) mutant: Option<Mutant>,
    /// The power goes.
    pub(crate) crashes: bool,
}

/// One of them: an open store, from its start on.
pub(crate) struct Life<'a> {
    /// The store.
    pub(crate) env: DbEnv,
    /// Its chances.
    pub(crate) rng: Rng,
    world: &'a World,
    ends: bool,
}

impl Life<'_> {
    /// From now on the power may go, if it is to go in this life.
    pub(crate) fn arm(&mut self) {
        if self.ends {
            let operations = self.rng.between(20, LIFE_OPERATIONS) as u64;
            self.world.sim.cut_power_at(self.world.sim.op_count() + operations);
        }
    }

    /// Whether the power has gone.
    pub(crate) fn is_off(&self) -> bool {
        self.world.sim.is_off()
    }
}

impl Lives {
    /// Starts the store again and again until all is done and the power is on; `live` returns when the power has gone
    /// or nothing is left to do. Returns how often it was restarted.
    pub(crate) fn run(
        self,
        is_done: impl Fn() -> bool,
        live: impl Fn(&mut Life<'_>) -> Verdict<()>,
    ) -> Verdict<u64> {
        let mut rng = Rng::new(self.seed);
        let mut world = World::new(self.seed, Shape::new(rng.word() >> 48), self.mutant);
        for number in 0.. {
            let told = |what: String| format!("life {number}: {what}");
            let mut life =
                start(&world, derive(self.seed, number), self.crashes && !is_done()).map_err(told)?;
            live(&mut life).map_err(told)?;
            drop(life);
            if is_done() && !world.sim.is_off() {
                return Ok(number);
            }
            let policy = rng.below(policies() + 1);
            let fate = if policy == policies() { Fate::Kill } else { Fate::Power(policy) };
            world = world.after(Cut { op: number, fate });
        }
        Ok(0)
    }
}

/// With its own threads for pages and log or without, with waits for locks or without.
fn start(world: &World, seed: u64, ends: bool) -> Verdict<Life<'_>> {
    let mut rng = Rng::new(seed);
    let (background, waits) = (rng.chance(50), rng.chance(50));
    let env = world.open_with(|options| {
        options.background = background;
        options.lock_timeout = if waits { LOCK_TIMEOUT } else { Duration::ZERO };
    })?;
    Ok(Life { env, rng, world, ends })
}

/// Runs each in a thread of its own. Blocks until all have ended.
///
/// # Errors
/// If one panics.
pub(crate) fn side_by_side<T: Send + 'static>(
    bodies: impl IntoIterator<Item = impl FnOnce() -> T + Send + 'static>,
) -> Verdict<Vec<T>> {
    let threads: Vec<JoinHandle<T>> = bodies.into_iter().map(|body| spawn("client", body)).collect();
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    ended.into_iter().map(|end| end.map_err(|_| "a thread panicked".to_owned())).collect()
}
