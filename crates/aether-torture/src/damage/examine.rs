//! Opens a damaged store and reads it in every way there is.

use super::harm::Harm;
use super::plan::{Case, Plan};
use super::rescue;
use super::specimen::Specimen;
use crate::allocation;
use crate::model::{Bytes, Rows, State};
use crate::shape;
use crate::world::World;
use aether_kv::{DbEnv, Error, ErrorKind, Keyspace, Snapshot};
use aether_sync::Arc;
use aether_vfs::Env;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What may be allocated beside the size of the files.
const MEMORY_BYTES: u64 = 64 << 20;

/// One in so many stores that are right is written to, closed and read again.
const AGAIN: u64 = 8;

/// One in so many stores that are refused is salvaged.
const SALVAGED: u64 = 4;

/// How a case came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was changed by the harm: not a case.
    Vain,
    /// Everything was there.
    Right,
    /// The state before the last commit, where that is excused.
    Older,
    /// An error for damage, with its words.
    Refused(String),
    /// The damage that cannot be told from a store without it.
    Known(String),
    /// What must never be.
    Wrong(String),
}

/// Why a store could not be read.
enum Trouble {
    Error(Error),
    Content(Box<State>),
    Wrong(String),
}

impl Trouble {
    /// Wrong content in words: which earlier state it is, if it is one.
    fn dated(self, history: &[Arc<State>]) -> Self {
        let Self::Content(seen) = &self else { return self };
        let newest = history.last().and_then(|state| seen.difference(state)).unwrap_or_default();
        Self::Wrong(match history.iter().rposition(|state| **state == **seen) {
            Some(back) => format!("state {back} of {} is back: {newest}", history.len() - 1),
            None => format!("a state that never was: {newest}"),
        })
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Examines one case.
pub fn examine(plan: &Plan, case: &Case) -> Outcome {
    let specimen = &plan.specimens[case.store];
    allocation::begin();
    let outcome = catch_unwind(AssertUnwindSafe(|| outcome(plan, specimen, case)));
    let used = allocation::peak();
    let outcome = outcome.unwrap_or_else(|panic| Outcome::Wrong(format!("panic: {}", words(&*panic))));
    match outcome {
        Outcome::Vain => Outcome::Vain,
        _ if used > specimen.bytes() + MEMORY_BYTES => Outcome::Wrong(format!("{used} bytes were allocated")),
        Outcome::Older if matches!(case.harm, Harm::StaleFile(_)) => Outcome::Known("an old log file".into()),
        outcome => outcome,
    }
}

fn words(panic: &dyn core::any::Any) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn outcome(plan: &Plan, specimen: &Specimen, case: &Case) -> Outcome {
    if let Harm::Slip(slip) = case.harm {
        let (world, states, ended) = specimen.with_slip(slip);
        let outcome = judge(plan, case, &world, &states);
        return match (outcome, ended) {
            (Outcome::Wrong(what), Some(ended)) => Outcome::Wrong(format!("{what}, after {ended}")),
            (outcome, _) => outcome,
        };
    }
    let world = specimen.world.fork();
    match case.harm.befall(specimen, &case.file, &world.sim) {
        Ok(false) => Outcome::Vain,
        Ok(true) => {
            let states = specimen.permitted(&case.file, &case.harm);
            let untouched = world.fork();
            match judge(plan, case, &world, states) {
                Outcome::Refused(what) if case.number % SALVAGED == plan.settings.seed % SALVAGED => {
                    rescue::check(&untouched, states).map_or_else(Outcome::Wrong, |()| Outcome::Refused(what))
                }
                outcome => outcome,
            }
        }
        Err(error) => Outcome::Wrong(format!("the harm cannot be done: {error}")),
    }
}

fn judge(plan: &Plan, case: &Case, world: &World, states: &[Arc<State>]) -> Outcome {
    let env = || match plan.settings.blind {
        None => world.sim.env(),
        Some(blind) => blind.wrap(world.sim.env()),
    };
    let again = case.number % AGAIN == plan.settings.seed % AGAIN;
    let history = &plan.specimens[case.store].history;
    match first_look(world, env(), states, again).map_err(|trouble| trouble.dated(history)) {
        Ok((found, false)) => rank(found, states.len()),
        Ok((found, true)) => match second_look(world, env(), &states[found]) {
            Ok(()) => rank(found, states.len()),
            Err(trouble) => refusal(trouble, "once more: "),
        },
        Err(trouble) => refusal(trouble, ""),
    }
}

fn rank(found: usize, states: usize) -> Outcome {
    if found + 1 == states { Outcome::Right } else { Outcome::Older }
}

fn refusal(trouble: Trouble, when: &str) -> Outcome {
    match trouble {
        Trouble::Content(_) => Outcome::Wrong("wrong content".into()),
        Trouble::Wrong(what) => Outcome::Wrong(format!("{when}{what}")),
        Trouble::Error(error) if !matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported) => {
            Outcome::Wrong(format!("{when}{:?}, not an error for damage: {error}", error.kind()))
        }
        Trouble::Error(error) if !names_a_place(&error) => {
            Outcome::Wrong(format!("{when}an error that names no place: {error}"))
        }
        Trouble::Error(error) => Outcome::Refused(format!("{when}{error}")),
    }
}

fn names_a_place(error: &Error) -> bool {
    error.place().path.is_some() || error.place().file.is_some()
}

/// The number of the state that the store shows; with `write`, a row was put into it.
fn first_look(world: &World, env: Env, states: &[Arc<State>], write: bool) -> Result<(usize, bool), Trouble> {
    let env = DbEnv::open_in(env, shape::home(), world.options())?;
    let seen = look(&env)?;
    let Some(found) = states.iter().rposition(|state| **state == seen) else {
        return Err(Trouble::Content(Box::new(seen)));
    };
    // A problem that is reported for a store whose content is right is no failure; a panic or a hang is.
    let problems = env.verify()?.problems;
    if write && problems.is_empty() {
        put_row(&env)?;
        env.close()?;
        return Ok((found, true));
    }
    Ok((found, false))
}

const ROW: (&[u8], &[u8]) = (b"a new row", b"after the damage");

fn put_row(env: &DbEnv) -> Result<(), Error> {
    let space = env.keyspace("default")?;
    let mut txn = env.begin()?;
    txn.put(&space, ROW.0, ROW.1)?;
    txn.commit()?;
    env.checkpoint()
}

/// What was right, and was written to, is right still.
fn second_look(world: &World, env: Env, state: &State) -> Result<(), Trouble> {
    let mut wanted = state.clone();
    wanted.kinds.entry("default".into()).or_default();
    wanted.spaces.entry("default".into()).or_default().insert(ROW.0.into(), ROW.1.into());
    let env = DbEnv::open_in(env, shape::home(), world.options())?;
    match look(&env)?.difference(&wanted) {
        None => Ok(()),
        Some(what) => Err(Trouble::Wrong(format!("wrong content: {what}"))),
    }
}

fn look(env: &DbEnv) -> Result<State, Trouble> {
    let snapshot = env.snapshot()?;
    let mut state = State::default();
    for name in env.keyspaces()? {
        let space = env.keyspace(&name)?;
        let rows = read(&snapshot, &space)?;
        if name != "default" || !rows.is_empty() {
            state.add(&name, space.kind(), rows);
        }
    }
    Ok(state)
}

fn read(snapshot: &Snapshot, space: &Keyspace) -> Result<Rows, Trouble> {
    let forward = snapshot.iter(space)?.collect::<Result<Vec<_>, _>>()?;
    let mut backward = snapshot.iter(space)?.rev().collect::<Result<Vec<_>, _>>()?;
    backward.reverse();
    if forward != backward {
        let (one, other) = (forward.len(), backward.len());
        return Err(Trouble::Wrong(format!("{one} rows forward, {other} backward, not the same")));
    }
    for (key, value) in &forward {
        if snapshot.get(space, key)?.as_ref() != Some(value) {
            return Err(Trouble::Wrong("a get differs from the scan".into()));
        }
    }
    Ok(forward.into_iter().map(|(key, value)| (Bytes::from(key), Bytes::from(value))).collect())
}
