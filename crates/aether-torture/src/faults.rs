//! The fault sweep: each call of a script fails, once or from then on; space, handles and memory run out; recovery
//! itself meets failing calls. Then the store is restarted.
//!
//! What must hold (R2, R3): an error, never a panic or a hang; nothing acknowledged is lost, whether the process
//! restarts or the power goes too; a commit that certainly failed is not there; after a commit in doubt, or a sync that
//! failed, none succeeds. On a full disk reads go on, and once there is space again, writes.

mod plan;

pub use plan::{Plan, Trouble};

use crate::campaign::{self, Limits};
use crate::history::History;
use crate::oracle::{self, Verdict};
use crate::player::{self, AfterError, Run};
use crate::report::{Failure, Report, Tally};
use crate::rng::derive;
use crate::study::{Study, aftermath, guarded};
use crate::world::{Cut, Fate, World, policies};
use aether_kv::{DbEnv, ErrorKind};
use aether_sim::{Fault, OpKind};
use aether_sync::Arc;

/// Visits every trouble of a study that is `wanted`. Blocks.
///
/// # Errors
/// If the script fails without any trouble.
pub fn run(
    study: Study,
    limits: Limits,
    wanted: impl Fn(&Trouble) -> bool,
    progress: &mut dyn FnMut(&Report),
) -> Result<Report, Failure> {
    let plan = Plan::new(&study)?.only(wanted);
    let limits = Limits { end: Some(plan.count()), ..limits };
    let visit = move |study: &Study, nth, beat: &dyn Fn()| visit(study, &plan, nth, beat);
    Ok(campaign::run(study, limits, Arc::new(visit), progress))
}

/// Plays the script of `study` under trouble number `nth` of the plan, and restarts.
///
/// # Errors
/// The first failure.
pub fn visit(study: &Study, plan: &Plan, nth: u64, beat: &dyn Fn()) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let Some(trouble) = plan.trouble(nth) else { return Ok(tally) };
    beat();
    let outcome = guarded(|| endure(study, trouble, derive(study.settings().seed, nth), &mut tally));
    outcome.map_err(|what| failure(study, trouble, nth, &what))?;
    Ok(tally)
}

fn failure(study: &Study, trouble: &Trouble, nth: u64, what: &str) -> Failure {
    Failure { fault: Some(nth as u32), ..study.failure(&[], format!("under {trouble:?}: {what}")) }
}

/// The script under one trouble; `chance` picks the power cuts that follow.
pub(crate) fn endure(study: &Study, trouble: &Trouble, chance: u64, tally: &mut Tally) -> Verdict<()> {
    match trouble {
        Trouble::Calls { faults, cut } => failing_calls(study, faults, *cut, chance, tally),
        Trouble::Disk(bytes) => full_disk(study, *bytes, chance, tally),
        Trouble::Memory(bytes) => little_memory(study, *bytes, tally),
        Trouble::Recovery { cut, fault } => failing_recovery(study, *cut, fault, chance, tally),
    }
}

fn failing_calls(
    study: &Study,
    faults: &[Fault],
    cut: Option<u64>,
    chance: u64,
    tally: &mut Tally,
) -> Verdict<()> {
    let world = study.world();
    faults.iter().for_each(|fault| world.sim.inject(fault.clone()));
    cut.into_iter().for_each(|op| world.sim.cut_power_at(op));
    let run = player::play(&world, study.script(), AfterError::GoOn, |_, _| {});
    if !was_struck(&world) {
        return Ok(());
    }
    tally.faults += 1;
    restarts(&world, &run, chance, tally)
}

fn was_struck(world: &World) -> bool {
    let kinds = [OpKind::Any, OpKind::Read, OpKind::Open, OpKind::List];
    kinds.into_iter().any(|kind| world.sim.struck(kind) > 0)
}

/// A promise that the running store broke, with the errors that came before.
fn unbroken(run: &Run) -> Verdict<()> {
    run.broken.as_ref().map_or(Ok(()), |what| Err(format!("{what} ({})", run.story())))
}

/// The error of the call that met it, or, if that was housekeeping after a transaction was over, which nobody is told of, that of a store that has
/// stopped writing, with the cause.
fn names_a_full_disk(error: &str) -> bool {
    error.contains("Full") || (error.contains("Poisoned") && error.contains("No space left on device"))
}

fn full_disk(study: &Study, bytes_left: u64, chance: u64, tally: &mut Tally) -> Verdict<()> {
    let world = study.world();
    world.sim.inject(Fault::DiskFull { bytes_left });
    let (mut run, env) = player::play_on(&world, study.script(), AfterError::GoOn, |_, _| {});
    let Some(first) = run.first_error() else { return unbroken(&run) };
    tally.faults += 1;
    tally.full_disks += 1;
    if !names_a_full_disk(first) {
        return Err(format!("a full disk is not named as such: {first}"));
    }
    restarts(&world, &run, chance, tally)?;
    if let Some(env) = env {
        let seen = oracle::read(&env).and_then(|state| run.history.place(&state));
        seen.map_err(|what| format!("reading while the disk is full: {what}"))?;
        world.sim.heal();
        go_on(&world, &env, &mut run.history)?;
    }
    world.sim.heal();
    write_again(&world, run.history).map_err(|what| format!("with space again: {what} ({})", run.errors[0]))
}

/// One more commit on a store whose trouble is over; it may refuse.
fn go_on(world: &World, env: &DbEnv, history: &mut History) -> Verdict<()> {
    if history.is_in_doubt() {
        return Ok(());
    }
    let before = history.newest().clone();
    let ops = aftermath(&before);
    history.request(Arc::new(before.after(&ops)));
    let failed_syncs = world.failed_syncs();
    match player::commit(world, env, &before, &ops) {
        Ok(()) if failed_syncs > 0 => Err("a commit was acknowledged after a sync had failed".into()),
        Ok(()) => {
            history.acknowledge();
            Ok(())
        }
        Err(what) if what.contains(&format!("{:?}", ErrorKind::InDoubt)) => {
            history.doubt();
            Ok(())
        }
        Err(_) => {
            history.withdraw();
            Ok(())
        }
    }
}

/// After reopening everything must be possible.
fn write_again(world: &World, mut history: History) -> Verdict<()> {
    let env = world.open()?;
    history.settle(oracle::judge(&env, &history)?);
    let before = history.newest().clone();
    if before.rows("aftermath").is_none() {
        let ops = aftermath(&before);
        player::commit(world, &env, &before, &ops)?;
        history.request(Arc::new(before.after(&ops)));
        history.acknowledge();
    }
    oracle::judge(&env, &history).map(drop)
}

/// The first call that needs more is refused, and the store is as it was.
fn little_memory(study: &Study, bytes: u64, tally: &mut Tally) -> Verdict<()> {
    let world = study.world().with_memory(bytes);
    let run = player::play(&world, study.script(), AfterError::GoOn, |_, _| {});
    tally.faults += 1;
    if let Some(first) = run.first_error().filter(|first| !first.contains("OverLimit")) {
        return Err(format!("too little memory is not named as such: {first}"));
    }
    restarts(&world, &run, 0, tally)
}

fn failing_recovery(study: &Study, cut: Cut, fault: &Fault, chance: u64, tally: &mut Tally) -> Verdict<()> {
    let (world, run) = study.run_until(cut.op)?;
    let image = world.after(cut);
    image.sim.inject(fault.clone());
    let mut run = Run { history: run.history, ..Run::default() };
    match image.open() {
        Ok(env) => use_recovered(&image, &env, &mut run)?,
        Err(what) => run.errors.push(what),
    }
    if !was_struck(&image) {
        return Ok(());
    }
    tally.faults += 1;
    restarts(&image, &run, chance, tally)
}

/// What recovery shows, lasts; reads may fail while the fault lasts.
fn use_recovered(image: &World, env: &DbEnv, run: &mut Run) -> Verdict<()> {
    match oracle::judge(env, &run.history) {
        Ok(k) => run.history.settle(k),
        Err(what) if was_struck(image) && is_refusal(&what) => {
            run.errors.push(what);
            return Ok(());
        }
        Err(what) => return Err(format!("after a recovery with a failing call: {what}")),
    }
    go_on(image, env, &mut run.history)
}

/// True if a call has reported the fault, and not a wrong state.
fn is_refusal(what: &str) -> bool {
    what.contains(" failed: ") || what.contains("injected: ")
}

/// The process dies, or the power goes as well, in several ways; with what was there when it let go of the store, or
/// when it still held it.
fn restarts(world: &World, run: &Run, chance: u64, tally: &mut Tally) -> Verdict<()> {
    unbroken(run)?;
    let power = |part| Fate::Power(derive(chance, part) as usize % policies());
    let abandoned = run.abandoned.as_ref().unwrap_or(world);
    let ends = [
        (world, Fate::Kill),
        (world, Fate::Power(0)),
        (world, power(1)),
        (abandoned, Fate::Power(0)),
        (abandoned, power(2)),
    ];
    for (left, fate) in ends {
        restart(left, fate, run).map_err(|what| format!("then {fate:?}: {what}"))?;
        tally.count(&[Cut { op: 0, fate }], false);
    }
    Ok(())
}

fn restart(world: &World, fate: Fate, run: &Run) -> Verdict<()> {
    let image = world.after(Cut { op: 0, fate });
    // Whether the store opens while the cause lasts is its own affair; it must not do damage.
    let _ = image.open();
    image.sim.heal();
    let history: &History = &run.history;
    let judged = image.open().and_then(|env| oracle::judge(&env, history));
    judged.map(drop).map_err(|what| format!("{what} ({})", run.story()))
}
