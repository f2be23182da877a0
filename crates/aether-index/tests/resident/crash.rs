//! Power cuts at every operation of small histories, again while the restart recovers, and a look at what is there then.
//!
//! Every transaction of a history raises a counter row, so each depends on the one before, and what a restart shows is
//! the state after one of them: at least the last one acknowledged as durable.

use crate::rng::Rng;
use crate::scripts::Model;
use crate::world::{Shape, TABLE, World, table};
use aether_index::Resident;
use aether_index::txn::{Durability, Txn};
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

    /// What a restart shows must be one of the states; the history goes on from there.
    fn judge(&mut self, world: &World) {
        let rows = world.rows();
        let count = rows.get(COUNTER).map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap()));
        let count = count as usize;
        assert!(count >= self.acknowledged, "{count} commits are there, {} were answered", self.acknowledged);
        assert!(count < self.states.len(), "a commit that nobody asked for");
        assert_eq!(rows, self.states[count], "after {count} commits");
        self.states.truncate(count + 1);
        self.acknowledged = count;
        assert_eq!(world.problems(), Vec::<String>::new());
        let mut value = Vec::new();
        for (key, wanted) in &rows {
            value.clear();
            assert!(world.table.get_into(&world.manager.view(), key, &mut value).unwrap());
            assert_eq!(&value, wanted);
        }
    }
}

/// What one life does.
#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    txns: u64,
    checkpoints: u64,
    close: bool,
}

fn key(rng: &mut Rng) -> Vec<u8> {
    format!("key {}", rng.below(14)).into_bytes()
}

/// Short, longer than an undo record holds, or in extents.
fn value_bytes(rng: &mut Rng) -> usize {
    let longest = if rng.below(8) == 0 { 8000 } else { 300 };
    rng.below(longest) as usize
}

/// A few changes, with a savepoint that some of them are rolled back to.
fn change(table: &Resident, txn: &mut Txn, rng: &mut Rng, model: &mut Model) -> Result<()> {
    for _ in 0..1 + rng.below(4) {
        let (mark, kept) = (txn.savepoint(), model.clone());
        for _ in 0..1 + rng.below(2) {
            let key = key(rng);
            if rng.below(3) == 0 {
                assert_eq!(table.delete(txn, &key)?, model.remove(&key).is_some());
            } else {
                let value = vec![rng.next() as u8; value_bytes(rng)];
                table.put(txn, &key, &value)?;
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

/// Plays on an open store until something fails.
fn play(world: &World, history: &mut History, life: Life) -> Result<()> {
    let mut rng = Rng(life.seed);
    // A transaction that stays open: whatever it does is never seen.
    let mut open = world.manager.begin();
    for n in 0..life.txns {
        if rng.below(3) == 0 {
            let key = [200, rng.below(4) as u8];
            world.table.put(&mut open, &key, &vec![n as u8; value_bytes(&mut rng)])?;
        }
        let mut model = history.states.last().unwrap().clone();
        let mut txn = world.manager.begin();
        change(&world.table, &mut txn, &mut rng, &mut model)?;
        if rng.below(5) == 0 {
            txn.abort()?;
            continue;
        }
        let count = (history.states.len() as u64).to_le_bytes();
        world.table.put(&mut txn, COUNTER, &count)?;
        model.insert(COUNTER.to_vec(), count.to_vec());
        history.states.push(model);
        match rng.below(3) {
            0 => drop(txn.commit_with(Durability::None)?),
            _ => {
                txn.commit()?;
                history.acknowledged = history.states.len() - 1;
            }
        }
        if life.checkpoints > 0 && rng.below(life.checkpoints) == 0 {
            world.store.checkpoint()?;
        }
        world.manager.collect()?;
    }
    drop(open);
    if life.close {
        world.store.close()?;
        history.acknowledged = history.states.len() - 1;
    }
    Ok(())
}

/// Opens, judges, plays; an error is the power's.
fn live(sim: &Sim, shape: Shape, history: &mut History, life: Life) -> Result<()> {
    let world = World::open(sim, shape)?;
    history.judge(&world);
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
        let policies = [(); 3].map(|()| policies[rng.below(policies.len() as u64) as usize]);
        for image in policies.map(|policy| dead.crash_image(policy)).into_iter().chain([dead.kill_image()]) {
            let mut second = first.clone();
            let again = Life { seed: rng.next(), txns: 4, ..life };
            let dead = lived(&image, shape, &mut second, again, rng.below(24));
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

/// Lives with another number of streams each, and long logs.
#[test]
fn many_lives() {
    for seed in 0..12 {
        let mut rng = Rng(seed);
        let mut history = History::new();
        let mut sim = machine(Shape::of_streams(1));
        for _ in 0..8 {
            let shape = Shape {
                redo_threads: 1 + rng.below(3) as usize,
                ..Shape::of_streams(1 + rng.below(4) as usize)
            };
            let life =
                Life { seed: rng.next(), txns: rng.below(60), checkpoints: 10, close: rng.below(3) == 0 };
            let dead = lived(&sim, shape, &mut history, life, rng.below(400));
            sim = match rng.below(3) {
                0 => dead.kill_image(),
                _ => dead.crash_image(CrashPolicy::Mixed { seed: rng.next() }),
            };
        }
        live(&sim, Shape::of_streams(2), &mut history, Life { seed, txns: 0, checkpoints: 0, close: false })
            .unwrap();
    }
}

/// What was redone stands with the number of its newest change: a store that is opened again and again keeps its rows.
#[test]
fn a_clean_close_keeps_rows_and_a_table_of_another_id_is_another() {
    let (sim, shape) = (Sim::new(2), Shape::of_streams(1));
    let mut wanted = Model::new();
    for round in 0..4u8 {
        let world = World::open(&sim, shape).unwrap();
        assert_eq!(world.rows(), wanted);
        let other = table(&world.manager, &world.factory, TABLE + 1).unwrap();
        assert_eq!(other.is_empty(), round == 0);
        let mut txn = world.manager.begin();
        world.table.put(&mut txn, &[round], b"here").unwrap();
        other.put(&mut txn, &[round], b"there").unwrap();
        txn.commit().unwrap();
        wanted.insert(vec![round], b"here".to_vec());
        world.store.close().unwrap();
        drop(world);
    }
}
