//! A script must be wild enough: it splits, merges, evicts, checkpoints, aborts and goes back to savepoints.

use aether_kv::{DbEnv, Stat};
use aether_torture::kind::Kinds;
use aether_torture::model::Op;
use aether_torture::mutant;
use aether_torture::player::{self, AfterError, Run};
use aether_torture::script::{Conversion, End, SPACES, Script, Side, Step};
use aether_torture::shape::{self, Shape};
use aether_torture::world::World;
use aether_types::IndexKind;

/// What a run did, from the outside.
#[derive(Debug, Default)]
struct Deeds {
    splits: u64,
    merges: u64,
    evictions: u64,
    checkpoints: u64,
    height: u32,
    leaf_pages: Vec<u64>,
}

impl Deeds {
    /// Leaves come by splits and go by merges; what happens within one step may cancel out, so these are bounds
    /// from below.
    fn see(&mut self, env: &DbEnv) {
        let stat: Stat = env.stat().expect("a sound store has numbers");
        let leaf_pages: Vec<u64> = SPACES.into_iter().map(|name| leaves(&stat, name)).collect();
        for (before, now) in self.leaf_pages.iter().zip(&leaf_pages) {
            self.splits += now.saturating_sub(*before);
            self.merges += before.saturating_sub(*now);
        }
        self.leaf_pages = leaf_pages;
        self.height = stat.keyspaces.iter().map(|space| space.height).max().unwrap_or(0).max(self.height);
    }
}

fn leaves(stat: &Stat, name: &str) -> u64 {
    stat.keyspaces.iter().find(|space| space.name == name).map_or(0, |space| space.leaf_pages)
}

fn deeds(seed: u64) -> (Run, Deeds) {
    let world = World::traced(seed, Shape::new(0));
    let mut deeds = Deeds::default();
    let run = player::play(&world, &Script::new(seed, 60), AfterError::Stop, |step, env| {
        deeds.checkpoints += u64::from(matches!(step, Step::Checkpoint));
        deeds.see(env);
    });
    deeds.evictions = mutant::evictions(&world.calls()) as u64;
    (run, deeds)
}

#[test]
fn a_script_is_wild_enough() {
    for seed in [1, 2] {
        let (run, deeds) = deeds(seed);
        assert_eq!(run.first_error(), None);
        assert!(deeds.splits >= 20 && deeds.merges >= 5, "seed {seed}: {deeds:?}");
        assert!(deeds.evictions >= 20 && deeds.checkpoints >= 2, "seed {seed}: {deeds:?}");
        assert!(deeds.height >= 2, "seed {seed}: {deeds:?}");
    }
}

#[test]
fn a_script_has_every_kind_of_step() {
    for seed in 1..=4 {
        let script = Script::new(seed, 60);
        let ops = || script.transactions().flat_map(|txn| &txn.ops);
        let count = |wanted: fn(&Op) -> bool| ops().filter(|op| wanted(op)).count();
        assert!(count(|op| matches!(op, Op::Put(..))) > 250);
        assert!(count(|op| matches!(op, Op::Delete(..))) > 30);
        assert!(count(|op| matches!(op, Op::Rollback)) >= 2);
        assert!(count(|op| matches!(op, Op::RollbackTo(_))) >= 1 || seed > 2);
        let sides = script.steps.iter().filter_map(|step| match step {
            Step::Side(Side::Calls(ops)) => Some(ops),
            _ => None,
        });
        let in_side = sides.flatten().filter(|op| matches!(op, Op::Savepoint | Op::RollbackTo(_))).count();
        assert!(in_side >= 2, "seed {seed}: {in_side} savepoints beside others");
        assert!(count(|op| matches!(op, Op::Put(_, _, value) if value.len() > shape::PAGE_BYTES)) >= 1);
        assert!(count(|op| matches!(op, Op::Drop(_))) == 1);
        for end in [End::Abort, End::Weak, End::Commit] {
            assert!(script.transactions().any(|txn| txn.end == end), "seed {seed} lacks {end:?}");
        }
        assert!(script.steps.iter().filter(|step| matches!(step, Step::Checkpoint)).count() >= 2);
    }
}

#[test]
fn a_script_of_several_kinds_has_rows_in_bulk_and_conversions() {
    let scripts: Vec<Script> = (1..=12).map(|seed| Script::new(seed, 60).of_kinds(Kinds::Mixed)).collect();
    let ops = || scripts.iter().flat_map(Script::transactions).flat_map(|txn| &txn.ops);
    assert!(ops().filter(|op| matches!(op, Op::Ingest(_, rows) if rows.len() > 3)).count() > 12);
    assert!(ops().filter(|op| matches!(op, Op::DeleteRange(..))).count() > 12);
    let conversions = || scripts.iter().flat_map(|script| &script.steps).filter_map(as_conversion);
    let seen =
        |wanted: fn(&Conversion) -> bool| conversions().filter(|conversion| wanted(conversion)).count();
    assert!(seen(|conversion| conversion.to.index() == IndexKind::LSM) > 3);
    assert!(seen(|conversion| conversion.to.index() != IndexKind::LSM) > 3);
    assert!(seen(|conversion| conversion.is_broken_off) > 1);
    assert!(seen(|conversion| !conversion.is_broken_off && conversion.during.ops.len() > 2) > 3);
    assert!(seen(|conversion| conversion.during.ops.iter().any(Op::is_bulk)) > 1);
    for script in &scripts {
        let world = World::traced(script.seed, Shape::new(0));
        let run = player::play(&world, script, AfterError::Stop, |_, _| {});
        assert_eq!((run.first_error(), run.broken.as_deref()), (None, None), "seed {}", script.seed);
    }
}

fn as_conversion(step: &Step) -> Option<&Conversion> {
    match step {
        Step::Convert(conversion) => Some(conversion),
        _ => None,
    }
}

#[test]
fn two_runs_of_a_script_make_the_same_calls() {
    two_runs_make_the_same_calls(&Script::new(7, 60));
    two_runs_make_the_same_calls(&Script::new(7, 60).of_kinds(Kinds::Mixed));
}

fn two_runs_make_the_same_calls(script: &Script) {
    let calls = || {
        let world = World::traced(7, Shape::new(0));
        let run = player::play(&world, script, AfterError::Stop, |_, _| {});
        assert_eq!(run.first_error(), None);
        (world.calls(), world.sim.log())
    };
    let ((first, log), (second, other_log)) = (calls(), calls());
    let differs = first.iter().zip(&second).position(|(one, other)| one != other);
    assert_eq!(
        differs,
        None,
        "{:?} against {:?}",
        first.get(differs.unwrap_or(0)),
        second.get(differs.unwrap_or(0))
    );
    assert_eq!(first.len(), second.len());
    assert_eq!(log, other_log);
}
