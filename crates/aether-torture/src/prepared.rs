//! Prepared transactions through power cuts: at every operation of a script, and again at those of the recovery.
//!
//! A script prepares transactions, decides them, forgets decisions, and commits others in between. After a restart the
//! store must be in the state before or after the step that was cut, never earlier: its rows, which transactions are
//! prepared, how the others ended. Each prepared one has its locks: a change of a row that it has changed is refused,
//! and so is one of what it has read, if it is serializable. Then all are decided, and that outlives a restart too (T5). The
//! number of log streams changes from restart to restart.

mod script;

use crate::model::Rows;
use crate::mutant::Mutant;
use crate::oracle::{self, Verdict, failed};
use crate::report::Tally;
use crate::shape::Shape;
use crate::study::guarded;
use crate::world::{Cut, Fate, World, policies};
use aether_kv::{DbEnv, Error, ErrorKind, Isolation, Keyspace, Resolution, TxnOptions};
use script::{Changes, Script, State, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// How deep cuts nest: in the script, in its recovery, in the recovery from that.
const DEPTH_MAX: usize = 2;

/// Cuts inside one recovery.
const RECOVERY_CUTS: u64 = 12;

/// Log streams at the most.
const STREAMS: usize = 4;

/// Rows of a prepared transaction whose locks are tried.
const LOCKS_TRIED: usize = 3;

/// Seeds and shapes that the gate plays: one log stream and the smallest sizes, four and others.
pub const CI: [(u64, u64); 3] = [(1, 0), (2, 0), (3, 3)];

/// What to test.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The seed of script and simulator.
    pub seed: u64,
    /// The number of the store's shape.
    pub shape: u64,
    /// Steps of the script.
    pub steps: usize,
    /// A bug to plant below the engine.
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// A script of 30 steps on the smallest store.
    pub fn new(seed: u64) -> Self {
        Self { seed, shape: 0, steps: 30, mutant: None }
    }
}

/// Cuts the power at every operation of the script, in turn. Blocks.
///
/// # Errors
/// The first failure, with what led to it.
pub fn run(settings: &Settings, progress: &mut dyn FnMut(&Tally)) -> Verdict<Tally> {
    let script = Script::new(settings.seed, settings.steps);
    let mut tally = Tally::default();
    let world = new_world(settings);
    let played = play(&world, &script);
    if let Some(what) = played.error {
        return Err(format!("without any fault: {what}"));
    }
    for op in 0..world.sim.op_count() {
        let world = new_world(settings);
        world.sim.cut_power_at(op);
        let played = guarded(|| Ok(play(&world, &script)))?;
        tally.cuts += 1;
        let states = script.states_from(played.done);
        let trial = Trial { settings, states: &states };
        let power = Fate::Power(op as usize % policies());
        let fates = if op % 4 == 0 { vec![power, Fate::Kill] } else { vec![power] };
        for fate in fates {
            trial.restart(&world, &[Cut { op, fate }], &mut tally)?;
        }
        progress(&tally);
    }
    Ok(tally)
}

fn new_world(settings: &Settings) -> World {
    World::new(settings.seed, Shape::new(settings.shape), settings.mutant)
}

fn open(world: &World) -> Verdict<DbEnv> {
    world.open_with(|options| options.lock_timeout = Duration::ZERO)
}

/// Opens after a restart, with another number of log streams as it happens.
fn reopen(world: &World) -> Verdict<DbEnv> {
    let streams = 1 + world.sim.op_count() as usize % STREAMS;
    world.open_with(|options| {
        options.lock_timeout = Duration::ZERO;
        options.wal.streams = streams;
    })
}

/// How far a script came.
struct Played {
    /// Steps acknowledged.
    done: usize,
    error: Option<String>,
}

/// Plays until a step fails.
fn play(world: &World, script: &Script) -> Played {
    let mut done = 0;
    let error = open(world).and_then(|env| {
        let space = env.keyspace("default").map_err(failed("keyspace"))?;
        for step in &script.steps {
            carry_out(&env, &space, step).map_err(failed("a step"))?;
            done += 1;
        }
        Ok(())
    });
    Played { done, error: error.err() }
}

fn carry_out(env: &DbEnv, space: &Keyspace, step: &Step) -> Result<(), Error> {
    match step {
        Step::Commit(changes) => {
            let mut txn = env.begin()?;
            change(&mut txn, space, changes)?;
            txn.commit()
        }
        Step::Prepare { gtid, changes, reads } => {
            let level = if reads.is_some() { Isolation::Serializable } else { Isolation::Snapshot };
            let mut txn = env.begin_with(TxnOptions::at(level))?;
            if let Some(read) = reads {
                txn.get(space, read)?;
            }
            change(&mut txn, space, changes)?;
            txn.prepare(gtid)
        }
        Step::Decide { gtid, commits: true } => env.commit_prepared(gtid).map(drop),
        Step::Decide { gtid, commits: false } => env.rollback_prepared(gtid).map(drop),
        Step::Forget(gtid) => env.forget(gtid).map(drop),
        Step::Checkpoint => env.checkpoint(),
    }
}

fn change(txn: &mut aether_kv::Txn, space: &Keyspace, changes: &Changes) -> Result<(), Error> {
    changes.iter().try_for_each(|(key, value)| match value {
        Some(value) => txn.put(space, key, value),
        None => txn.delete(space, key).map(drop),
    })
}

/// The states that a restart may show: those before and after the step that was cut.
struct Trial<'a> {
    settings: &'a Settings,
    states: &'a [State],
}

impl Trial<'_> {
    /// Restarts after the last cut of `trail` on `world`, judges, and cuts the recovery.
    fn restart(&self, world: &World, trail: &[Cut], tally: &mut Tally) -> Verdict<()> {
        let Some(cut) = trail.last() else { return Ok(()) };
        let image = world.after(*cut);
        let operations = guarded(|| self.examine(&image.fork())).map_err(|what| self.told(trail, &what))?;
        tally.count(trail, false);
        if trail.len() > DEPTH_MAX {
            return Ok(());
        }
        let stride = operations.div_ceil(RECOVERY_CUTS).max(1);
        // A third cut, where it is made at all, is one in each recovery.
        let stride = if trail.len() == DEPTH_MAX { operations.max(1) } else { stride };
        for op in (cut.op % stride..operations).step_by(stride as usize) {
            let again = image.fork();
            again.sim.cut_power_at(again.sim.op_count() + op);
            drop(guarded(|| reopen(&again)));
            let next =
                [trail, &[Cut { op, fate: Fate::Power((cut.op + op) as usize % policies()) }]].concat();
            self.restart(&again, &next, tally)?;
        }
        Ok(())
    }

    fn told(&self, trail: &[Cut], what: &str) -> String {
        let trail: Vec<_> = trail.iter().map(Cut::to_string).collect();
        format!("seed {}, cut at {}: {what}", self.settings.seed, trail.join(", then in recovery at "))
    }

    /// Opens, judges, decides everything, and judges again after another restart. Returns the operations of opening.
    fn examine(&self, image: &World) -> Verdict<u64> {
        let before = image.sim.op_count();
        let env = reopen(image)?;
        let operations = image.sim.op_count() - before;
        let state = self.judge(&env)?;
        try_locks(&env, state)?;
        let decided = decide_all(&env, state)?;
        drop(env);
        let again = image.after(Cut { op: 0, fate: Fate::Power(0) });
        let env = reopen(&again)?;
        Trial { settings: self.settings, states: std::slice::from_ref(&decided) }
            .judge(&env)
            .map_err(|what| format!("after all were decided: {what}"))?;
        Ok(operations)
    }

    /// The state that the store is in.
    fn judge(&self, env: &DbEnv) -> Verdict<&State> {
        let seen = look(env, &self.states[self.states.len() - 1])?;
        if let Some(state) = self.states.iter().find(|state| **state == seen) {
            return Ok(state);
        }
        let reasons: Vec<_> = self.states.iter().map(|state| seen.difference(state)).collect();
        Err(format!("none of {} permitted states: {}", self.states.len(), reasons.join("; or ")))
    }
}

/// What the store shows. Asks for the end of every transaction that it does not list: the answer changes nothing.
fn look(env: &DbEnv, newest: &State) -> Verdict<State> {
    let rows = oracle::read(env)?.rows("default").cloned().unwrap_or_else(Rows::new);
    let listed = env.list_prepared();
    let mut prepared = BTreeMap::new();
    let mut ended = BTreeMap::new();
    for (gtid, known) in &newest.known {
        if listed.contains(gtid) {
            prepared.insert(gtid.clone(), known.clone());
            continue;
        }
        let end = env.commit_prepared(gtid).map_err(failed("commit_prepared"))?;
        let again = env.rollback_prepared(gtid).map_err(failed("rollback_prepared"))?;
        if end != again {
            return Err(format!("{gtid:?} ended as {end:?}, asked again as {again:?}"));
        }
        if end != Resolution::Unknown {
            ended.insert(gtid.clone(), end == Resolution::Committed);
        }
    }
    if prepared.len() != listed.len() {
        return Err(format!("prepared are {listed:?}, which nobody has prepared"));
    }
    Ok(State { rows, prepared, ended, known: newest.known.clone() })
}

/// What prepared transactions have changed cannot be changed, nor what serializable ones have read.
fn try_locks(env: &DbEnv, state: &State) -> Verdict<()> {
    let space = env.keyspace("default").map_err(failed("keyspace"))?;
    let refused = |key: &[u8]| {
        let mut txn = env.begin().map_err(failed("begin"))?;
        let outcome = txn.put(&space, key, b"stolen").and_then(|()| txn.commit());
        match outcome {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            Err(error) => Err(failed("a change of a locked row")(error)),
            Ok(()) => Err(format!(
                "{} is locked by a prepared transaction, and was changed",
                crate::model::show(key)
            )),
        }
    };
    for prepared in state.prepared.values() {
        let keys = prepared.changes.iter().map(|(key, _)| key).take(LOCKS_TRIED).chain(&prepared.reads);
        keys.into_iter().try_for_each(|key| refused(key))?;
    }
    Ok(())
}

/// Decides what is prepared, by turns. Returns the state after it.
fn decide_all(env: &DbEnv, state: &State) -> Verdict<State> {
    let mut state = state.clone();
    for (number, gtid) in state.prepared.clone().into_keys().enumerate() {
        let commits = number % 2 == 0;
        let decide = Step::Decide { gtid: gtid.clone(), commits };
        let resolution = if commits { env.commit_prepared(&gtid) } else { env.rollback_prepared(&gtid) };
        let wanted = if commits { Resolution::Committed } else { Resolution::RolledBack };
        match resolution {
            Ok(found) if found == wanted => state = state.after(&decide),
            Ok(found) => {
                return Err(format!("{gtid:?} was prepared and ends as {found:?}, wanted {wanted:?}"));
            }
            Err(error) => return Err(failed("deciding")(error)),
        }
    }
    Ok(state)
}
