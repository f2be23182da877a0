//! The crash test of one script: cut the power at an operation, restart, judge; and again during recovery.

use crate::history::History;
use crate::kind::{Kind, Kinds};
use crate::model::{Bytes, Op, State};
use crate::mutant::Mutant;
use crate::oracle::{self, Verdict, failed};
use crate::player::{self, AfterError, Run};
use crate::report::{Failure, Tally};
use crate::rng::derive;
use crate::script::{SPACES, Script};
use crate::shape::Shape;
use crate::world::{Cut, Fate, World, policies};
use aether_kv::DbEnv;
use aether_sync::{Arc, Mutex, Rank};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

const JUDGED: Rank = Rank::new(898, "torture judged states");

/// How deep cuts nest inside recoveries.
const DEPTH_MAX: usize = 2;

/// What to test.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of script, simulator and policies.
    pub seed: u64,
    /// Transactions of the script.
    pub transactions: usize,
    /// The script to play instead of the one that follows from seed and transactions.
    pub script: Option<Arc<Script>>,
    /// The number of the store's shape.
    pub shape: u64,
    /// What its keyspaces are, unless a script is given: that says it itself.
    pub kinds: Kinds,
    /// A bug to plant.
    pub mutant: Option<Mutant>,
    /// The first operation to cut.
    pub first: u64,
    /// Every so many operations one is cut; 1: each.
    pub stride: u64,
    /// Cuts inside the recovery that follows one policy of each cut.
    pub recovery_cuts: u32,
}

impl Settings {
    /// Every operation of the script of 60 transactions, on B+trees.
    pub fn full(seed: u64) -> Self {
        Self {
            seed,
            transactions: 60,
            script: None,
            shape: 0,
            kinds: Kinds::Btree,
            mutant: None,
            first: 0,
            stride: 1,
            recovery_cuts: 3,
        }
    }

    /// The script to play.
    pub fn script(&self) -> Script {
        let given = self.script.as_deref().cloned();
        given.unwrap_or_else(|| Script::new(self.seed, self.transactions).of_kinds(self.kinds))
    }
}

/// The crash test of one script.
pub struct Study {
    settings: Settings,
    script: Script,
    operations: u64,
    /// Fingerprints of the states judged, each with what it was judged by.
    judged: Mutex<HashSet<u64>>,
}

impl Study {
    /// Plays the script once without a cut, to learn how many operations it makes.
    ///
    /// # Errors
    /// If the script fails on a machine without faults, or the store is not right at its end.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let script = settings.script();
        let script = if Shape::new(settings.shape).is_parallel() { script.durable() } else { script };
        let judged = Mutex::new(JUDGED, HashSet::new());
        let study = Self { settings, script, operations: 0, judged };
        let operations = guarded(|| study.rehearse()).map_err(|what| study.failure(&[], what))?;
        Ok(Self { operations, ..study })
    }

    /// A study whose script is of no account.
    pub(crate) fn unplayed(settings: Settings) -> Self {
        let script = Script { seed: settings.seed, steps: Vec::new() };
        Self { settings, script, operations: 0, judged: Mutex::new(JUDGED, HashSet::new()) }
    }

    /// Operations of the uncut run.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// A machine for one run.
    pub(crate) fn world(&self) -> World {
        let Settings { seed, shape, mutant, .. } = self.settings;
        World::new(seed, Shape::new(shape), mutant)
    }

    fn rehearse(&self) -> Verdict<u64> {
        let world = self.world();
        let run = player::play(&world, &self.script, AfterError::Stop, |_, _| {});
        if let Some(what) = run.broken.as_deref().or(run.first_error()) {
            return Err(format!("without any fault: {what}"));
        }
        let operations = world.sim.op_count();
        let mut end = History::from_state(run.history.newest().clone());
        end.acknowledge();
        oracle::judge(&world.open()?, &end).map_err(|what| format!("after a clean end: {what}"))?;
        Ok(operations)
    }

    /// Cuts the power at operation `op` of the script, restarts under every policy, and cuts again in the recovery from
    /// one of them, and now and then in that from the death of the process.
    ///
    /// # Errors
    /// The first failure.
    pub fn visit(&self, op: u64, beat: &dyn Fn()) -> Result<Tally, Failure> {
        let (world, run) = guarded(|| self.run_until(op)).map_err(|what| self.cut_failure(op, what))?;
        let mut tally = Tally { cuts: 1, ..Tally::default() };
        let chosen = op as usize % policies();
        for fate in (0..policies()).map(Fate::Power).chain([Fate::Kill]) {
            let trail = [Cut { op, fate }];
            let is_cut_again = fate == Fate::Power(chosen) || (fate == Fate::Kill && op.is_multiple_of(4));
            let depth = if is_cut_again { 0 } else { DEPTH_MAX };
            let image = world.after(trail[0]);
            self.restart(&image, &run, &trail, depth, &mut tally, beat)?;
        }
        Ok(tally)
    }

    /// Repeats one state.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn replay(&self, trail: &[Cut]) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let Some((first, rest)) = trail.split_first() else { return Ok(tally) };
        let (world, run) =
            guarded(|| self.run_until(first.op)).map_err(|what| self.cut_failure(first.op, what))?;
        let mut image = world.after(*first);
        for cut in rest {
            interrupt(&image, cut.op).map_err(|what| self.failure(trail, what))?;
            image = image.after(*cut);
        }
        self.restart(&image, &run, trail, DEPTH_MAX, &mut tally, &|| ())?;
        Ok(tally)
    }

    pub(crate) fn run_until(&self, op: u64) -> Verdict<(World, Run)> {
        let world = self.world();
        world.sim.cut_power_at(op);
        let run = player::play(&world, &self.script, AfterError::Stop, |_, _| {});
        if let Some(what) = &run.broken {
            return Err(what.clone());
        }
        match run.first_error() {
            Some(what) if !world.sim.is_off() => Err(format!("failed with the power on: {what}")),
            _ => Ok((world, run)),
        }
    }

    fn restart(
        &self,
        image: &World,
        run: &Run,
        trail: &[Cut],
        depth: usize,
        tally: &mut Tally,
        beat: &dyn Fn(),
    ) -> Result<(), Failure> {
        beat();
        if !self.is_new(image, &run.history, trail)? {
            tally.repeated += 1;
            return Ok(());
        }
        let spare = (depth < DEPTH_MAX).then(|| image.fork());
        let seen = guarded(|| examine(image, &run.history, trail));
        let seen = seen.map_err(|what| self.failure(trail, format!("{what} ({})", run.story())))?;
        tally.count(trail, seen.acknowledged_only);
        match spare {
            Some(spare) => self.cut_recovery(&spare, run, trail, seen.recovery_operations, tally, beat),
            None => Ok(()),
        }
    }

    /// Many policies keep the same bytes when little was unsynced; a state is judged once.
    fn is_new(&self, image: &World, history: &History, trail: &[Cut]) -> Result<bool, Failure> {
        let bytes = image.fingerprint().map_err(|error| self.failure(trail, error.to_string()))?;
        let killed = trail.iter().any(|cut| cut.fate == Fate::Kill);
        let span = (history.acknowledged() as u64) << 32 | history.requested() as u64;
        let state = derive(derive(bytes, span), u64::from(killed) + 2 * trail.len() as u64);
        Ok(self.judged.lock().insert(state))
    }

    fn cut_recovery(
        &self,
        image: &World,
        run: &Run,
        trail: &[Cut],
        operations: u64,
        tally: &mut Tally,
        beat: &dyn Fn(),
    ) -> Result<(), Failure> {
        let depth = trail.len();
        let cuts = if depth == 1 { u64::from(self.settings.recovery_cuts) } else { 1 };
        for number in 0..cuts.min(operations) {
            let chance = derive(trail_seed(self.settings.seed, trail), number);
            let op = (number * operations + chance % operations) / cuts.min(operations);
            let interrupted = image.fork();
            interrupt(&interrupted, op).map_err(|what| self.failure(trail, what))?;
            let fate = Fate::Power((chance >> 32) as usize % policies());
            let longer: Vec<Cut> = trail.iter().copied().chain([Cut { op, fate }]).collect();
            self.restart(&interrupted.after(longer[depth]), run, &longer, depth, tally, beat)?;
        }
        Ok(())
    }

    fn cut_failure(&self, op: u64, what: String) -> Failure {
        self.failure(&[Cut { op, fate: Fate::Kill }], what)
    }

    pub(crate) fn failure(&self, trail: &[Cut], what: String) -> Failure {
        Failure {
            settings: self.settings.clone(),
            trail: trail.to_vec(),
            fault: None,
            thread_run: None,
            what,
        }
    }
}

fn trail_seed(seed: u64, trail: &[Cut]) -> u64 {
    trail.iter().fold(seed, |seed, cut| match cut.fate {
        Fate::Kill => derive(seed, cut.op),
        Fate::Power(index) => derive(seed, cut.op << 8 | (index as u64 + 1)),
    })
}

/// What the first restart showed.
struct Seen {
    recovery_operations: u64,
    acknowledged_only: bool,
}

/// Opens, judges, and looks a second time in one of three ways; the two looks must agree.
fn examine(image: &World, history: &History, trail: &[Cut]) -> Verdict<Seen> {
    let before = image.sim.op_count();
    let env = image.open()?;
    let recovery_operations = image.sim.op_count() - before;
    let k = oracle::judge(&env, history)?;
    let seen = Seen { recovery_operations, acknowledged_only: k == history.acknowledged() };
    second_look(image, env, history.state(k), variant(trail))
        .map_err(|what| format!("second look: {what}"))?;
    Ok(seen)
}

fn variant(trail: &[Cut]) -> u64 {
    derive(trail_seed(0, trail), trail.len() as u64) % 4
}

fn second_look(image: &World, env: DbEnv, state: &Arc<State>, variant: u64) -> Verdict<()> {
    match variant {
        0 => {
            env.close().map_err(failed("close"))?;
            expect(&image.fork(), state)
        }
        1 => {
            let image = image.after(Cut { op: 0, fate: Fate::Power(0) });
            drop(env);
            expect(&image, state)
        }
        2 => {
            env.checkpoint().map_err(failed("checkpoint"))?;
            let image = image.after(Cut { op: 0, fate: Fate::Kill });
            drop(env);
            expect(&image, state)
        }
        _ => write_and_lose_power(image, env, state),
    }
}

fn write_and_lose_power(image: &World, env: DbEnv, state: &Arc<State>) -> Verdict<()> {
    let ops = aftermath(state);
    player::commit(image, &env, state, &ops)?;
    let after = Arc::new(state.after(&ops));
    let image = image.after(Cut { op: 0, fate: Fate::Power(0) });
    drop(env);
    expect(&image, &after)
}

/// A transaction that grows what recovery left: a new keyspace, and rows that split leaves of the old ones.
pub(crate) fn aftermath(state: &State) -> Vec<Op> {
    let mut ops = vec![Op::Create("aftermath", Kind::Btree)];
    let spaces = SPACES.into_iter().filter(|space| state.rows(space).is_some());
    for space in spaces.chain(["aftermath"]) {
        let row = |number| (Bytes::from(format!("after-{number}").into_bytes()), Bytes::from(vec![7; 700]));
        ops.extend((0..8).map(row).map(|(key, value)| Op::Put(space, key, value)));
    }
    ops
}

fn expect(image: &World, state: &Arc<State>) -> Verdict<()> {
    let env = image.open()?;
    oracle::judge(&env, &History::from_state(state.clone())).map(drop)
}

/// Lets a recovery run into a cut at its operation `op`.
fn interrupt(image: &World, op: u64) -> Verdict<()> {
    image.sim.cut_power_at(image.sim.op_count() + op);
    guarded(|| {
        drop(image.open());
        Ok(())
    })
}

/// Runs `body` and takes a panic for what it is: a failure.
pub(crate) fn guarded<T>(body: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}
