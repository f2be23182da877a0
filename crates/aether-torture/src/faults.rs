//! The fault sweep: each operation of a script fails, once or from then on; then the store is restarted.
//!
//! What must hold (R2, R3): an error, never a panic or a hang; nothing acknowledged is lost, whether the process
//! restarts or the power goes too; a commit that certainly failed is not there; after a commit in doubt none succeeds.

use crate::history::History;
use crate::oracle::{self, Verdict};
use crate::player::{self, AfterError, Run};
use crate::report::{Failure, Tally};
use crate::study::{Study, guarded};
use crate::world::{Cut, Fate, World};
use aether_sim::{Errno, Fault, OpKind};

/// The faults that can strike call number `nth`.
pub fn faults(nth: u64) -> Vec<Fault> {
    let any = |error, sticky| Fault::FailOp { nth, kind: OpKind::Any, error, sticky };
    vec![
        any(Errno::Eio, false),
        any(Errno::Eio, true),
        any(Errno::Enospc, false),
        any(Errno::Enospc, true),
        Fault::ShortWrite { nth },
        Fault::FailSyncDropsDirty { nth },
        Fault::FailRead { nth },
        Fault::FailOp { nth, kind: OpKind::Open, error: Errno::Emfile, sticky: false },
    ]
}

/// Plays the script of `study` under every fault of call number `nth`, and restarts.
///
/// # Errors
/// The first failure.
pub fn visit(study: &Study, nth: u64, beat: &dyn Fn()) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for fault in faults(nth) {
        beat();
        let outcome = guarded(|| endure(study, &fault, &mut tally));
        outcome.map_err(|what| failure(study, &fault, Some(nth), &what))?;
    }
    Ok(tally)
}

/// A full disk: at every `step` bytes of growth the space ends.
///
/// # Errors
/// The first failure.
pub fn visit_full_disk(study: &Study, bytes_left: u64) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let fault = Fault::DiskFull { bytes_left };
    let outcome = guarded(|| endure(study, &fault, &mut tally));
    outcome.map_err(|what| failure(study, &fault, None, &what))?;
    Ok(tally)
}

fn failure(study: &Study, fault: &Fault, nth: Option<u64>, what: &str) -> Failure {
    Failure { fault: nth, ..study.failure(&[], format!("under {fault:?}: {what}")) }
}

fn endure(study: &Study, fault: &Fault, tally: &mut Tally) -> Verdict<()> {
    let world = study.world();
    world.sim.inject(fault.clone());
    let run = player::play(&world, study.script(), AfterError::GoOn, |_, _| {});
    tally.faults += 1;
    if let Some(what) = &run.broken {
        return Err(format!("{what} ({})", run.story()));
    }
    if run.errors.is_empty() {
        return Ok(());
    }
    let abandoned = run.abandoned.as_ref().unwrap_or(&world);
    for (left, fate) in [(&world, Fate::Kill), (&world, Fate::Power(0)), (abandoned, Fate::Power(0))] {
        restart(left, fate, &run).map_err(|what| format!("then {fate:?}: {what}"))?;
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
