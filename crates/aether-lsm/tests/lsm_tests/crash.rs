//! Power cuts at every operation of small histories in which rows are flushed and runs merged all the time, again while the
//! restart recovers, and a look at what is there then.
//!
//! Every transaction of a history raises a counter row, in the LSM tree and in the B+tree beside it; so each depends on the one
//! before, and what a restart shows is the state after one of them, of both trees: at least the last one acknowledged as durable.

use crate::rng::Rng;
use crate::world::{Model, SEPARATE_BYTES, Shape, World, try_rows};
use aether_lsm::index::txn::{Durability, Txn};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{Lsm, LsmConfig};
use aether_sim::{CrashPolicy, Sim};
use aether_types::Result;

const COUNTER: &[u8] = b"counter";

/// What a machine may show after its lives so far.
#[derive(Clone)]
struct History {
    /// The state after each transaction whose commit was requested.
    states: Vec<Model>,
    /// Which of them was acknowledged as durable last.
    acknowledged: usize,
}

impl History {
    fn new() -> Self {
        Self { states: vec![Model::new()], acknowledged: 0 }
    }

    /// What a restart shows must be one of the states; the history goes on from there. An error is the power's.
    fn judge(&mut self, world: &World) -> Result<()> {
        let rows = try_rows(&world.tree, world.manager.begin().view())?;
        let problems = world.try_problems()?;
        assert_eq!(problems, Vec::<String>::new());
        let counter = rows.get(COUNTER).cloned();
        judge_beside(world, counter.as_ref())?;
        for (key, wanted) in &rows {
            let mut value = Vec::new();
            assert!(world.tree.get_into(&world.manager.view(), key, &mut value)?);
            assert_eq!(&value, wanted);
        }
        let (there, named) = world.run_files()?;
        assert!(there.is_subset(&named), "files that nobody names: {there:?}, and of the tree: {named:?}");
        let count = counter.map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap())) as usize;
        assert!(count >= self.acknowledged, "{count} commits are there, {} were answered", self.acknowledged);
        assert!(count < self.states.len(), "a commit that nobody asked for");
        assert_eq!(rows, self.states[count], "after {count} commits");
        self.states.truncate(count + 1);
        self.acknowledged = count;
        Ok(())
    }
}

/// One transaction changed both trees.
fn judge_beside(world: &World, counter: Option<&Vec<u8>>) -> Result<()> {
    let mut count = Vec::new();
    let is_there = world.beside.get_into(&world.manager.view(), COUNTER, &mut count)?;
    assert_eq!(is_there.then_some(&count), counter, "half of a transaction");
    Ok(())
}

/// What one life does.
#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    txns: u64,
    /// One in so many transactions is followed by a checkpoint; 0: none.
    checkpoints: u64,
    close: bool,
}

fn key(rng: &mut Rng) -> Vec<u8> {
    format!("key {}", rng.below(14)).into_bytes()
}

/// Small ones, some for a file of values, and a few that no page holds.
fn value(rng: &mut Rng) -> Vec<u8> {
    let bytes = match rng.below(12) {
        0 => 1000 + rng.below(7000),
        1..4 => SEPARATE_BYTES as u64 + rng.below(300),
        _ => rng.below(150),
    };
    vec![rng.next() as u8; bytes as usize]
}

/// A few changes, with a savepoint that some of them are rolled back to.
fn change(tree: &Lsm, txn: &mut Txn, rng: &mut Rng, model: &mut Model) -> Result<()> {
    for _ in 0..1 + rng.below(4) {
        let (mark, kept) = (txn.savepoint(), model.clone());
        for _ in 0..1 + rng.below(2) {
            let key = key(rng);
            if rng.below(3) == 0 {
                assert_eq!(tree.delete(txn, &key)?, model.remove(&key).is_some());
            } else {
                let value = value(rng);
                tree.put(txn, &key, &value)?;
                model.insert(key, value);
            }
        }
        if rng.below(4) == 0 {
            txn.rollback_to(&mark)?;
            *model = kept;
        }
    }
    Ok(())
}

/// A flush, a merge, a checkpoint or nothing.
fn move_rows(world: &World, rng: &mut Rng, life: Life) -> Result<()> {
    match rng.below(6) {
        0 | 1 => world.tree.flush()?,
        2 => world.tree.merge_all()?,
        _ => {}
    }
    if life.checkpoints > 0 && rng.below(life.checkpoints) == 0 {
        world.store.checkpoint()?;
    }
    world.manager.collect()
}

/// Commits, and notes what was asked for and what was answered.
fn commit(history: &mut History, txn: Txn, model: Model, rng: &mut Rng) -> Result<()> {
    history.states.push(model);
    if rng.below(3) == 0 {
        drop(txn.commit_with(Durability::None)?);
    } else {
        txn.commit()?;
        history.acknowledged = history.states.len() - 1;
    }
    Ok(())
}

/// Plays on an open store until something fails.
fn play(world: &World, history: &mut History, life: Life) -> Result<()> {
    let mut rng = Rng(life.seed);
    // A transaction that stays open, over rows that were flushed and others: whatever it does is never seen.
    let mut open = world.manager.begin();
    for n in 0..life.txns {
        if rng.below(3) == 0 {
            world.tree.put(&mut open, &[200, rng.below(4) as u8], &vec![n as u8; 1 << (5 + rng.below(8))])?;
        }
        let mut model = history.states.last().unwrap().clone();
        let mut txn = world.manager.begin();
        change(&world.tree, &mut txn, &mut rng, &mut model)?;
        if rng.below(5) == 0 {
            txn.abort()?;
            continue;
        }
        let count = (history.states.len() as u64).to_le_bytes();
        world.tree.put(&mut txn, COUNTER, &count)?;
        world.beside.put(&mut txn, COUNTER, &count)?;
        model.insert(COUNTER.to_vec(), count.to_vec());
        commit(history, txn, model, &mut rng)?;
        move_rows(world, &mut rng, life)?;
    }
    drop(open);
    if life.close {
        world.close()?;
        history.acknowledged = history.states.len() - 1;
    }
    Ok(())
}

/// Opens, judges, plays; an error is the power's.
fn live(sim: &Sim, shape: Shape, history: &mut History, life: Life) -> Result<()> {
    let world = World::open(sim, shape)?;
    history.judge(&world)?;
    play(&world, history, life)
}

fn lived(sim: &Sim, shape: Shape, history: &mut History, life: Life, cut: u64) -> Sim {
    let sim = sim.fork();
    sim.cut_power_at(cut);
    let lived = live(&sim, shape, history, life);
    assert!(lived.is_ok() || sim.is_off(), "without a power cut: {:?}", lived.err());
    sim
}

fn machine(shape: Shape) -> Sim {
    let sim = Sim::new(1);
    drop(World::open(&sim, shape).unwrap());
    sim
}

/// Cuts the first life at each operation, the second at a random one, mostly within its recovery, and judges a third.
fn cut_everywhere(shape: Shape, life: Life) {
    let sim = machine(shape);
    let mut rng = Rng(life.seed);
    for cut in 0.. {
        let mut first = History::new();
        let dead = lived(&sim, shape, &mut first, life, cut);
        let policies = CrashPolicy::all(cut);
        let policy = policies[rng.below(policies.len() as u64) as usize];
        for image in [dead.crash_image(policy), dead.kill_image()] {
            let mut second = first.clone();
            let again = Life { seed: rng.next(), txns: 4, ..life };
            let dead = lived(&image, shape, &mut second, again, rng.below(40));
            let mut third = second.clone();
            let image = dead.crash_image(CrashPolicy::Mixed { seed: rng.next() });
            live(&image, shape, &mut third, Life { txns: 1, close: true, ..again }).unwrap();
            live(&image, shape, &mut third, Life { txns: 0, close: false, ..again }).unwrap();
        }
        if !dead.is_off() {
            break;
        }
    }
}

#[test]
fn one_stream_survives_every_power_cut() {
    cut_everywhere(Shape::of_streams(1), Life { seed: 3, txns: 14, checkpoints: 4, close: true });
}

#[test]
fn two_streams_survive_every_power_cut() {
    cut_everywhere(Shape::of_streams(2), Life { seed: 4, txns: 14, checkpoints: 5, close: false });
}

#[test]
fn four_streams_survive_every_power_cut() {
    cut_everywhere(Shape::of_streams(4), Life { seed: 5, txns: 14, checkpoints: 6, close: false });
}

/// Lives with another number of streams and another policy each, and long logs.
#[test]
fn many_lives_are_survived() {
    const POLICIES: [PolicyKind; 5] = [
        PolicyKind::Hanoi,
        PolicyKind::Predictable,
        PolicyKind::Fast,
        PolicyKind::Leveled,
        PolicyKind::Adaptive,
    ];
    for seed in 0..12 {
        let mut rng = Rng(seed);
        let mut history = History::new();
        let mut sim = machine(Shape::of_streams(1));
        for _ in 0..8 {
            let mut shape = Shape::of_streams(1 + rng.below(4) as usize);
            shape.redo_threads = 1 + rng.below(3) as usize;
            shape.lsm = LsmConfig { policy: POLICIES[rng.below(5) as usize], ..shape.lsm };
            let life =
                Life { seed: rng.next(), txns: rng.below(60), checkpoints: 10, close: rng.below(3) == 0 };
            let dead = lived(&sim, shape, &mut history, life, rng.below(700));
            sim = match rng.below(3) {
                0 => dead.kill_image(),
                _ => dead.crash_image(CrashPolicy::Mixed { seed: rng.next() }),
            };
        }
        let last = Life { seed, txns: 0, checkpoints: 0, close: false };
        live(&sim, Shape::of_streams(2), &mut history, last).unwrap();
    }
}
