//! Power cuts, failing calls and full disks while rows are ingested and ranges deleted: all of a transaction or nothing of it, and no file
//! that nobody names.

use crate::ingest::{bounds, delete_range, ingest, sorted};
use crate::rng::Rng;
use crate::world::{Model, Shape, World, try_rows};
use aether_lsm::index::txn::{Durability, Txn};
use aether_lsm::tree::Lsm;
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::{Error, ErrorKind, Result};
use std::ops::Bound;

fn key(rng: &mut Rng) -> Vec<u8> {
    format!("key {}", rng.below(14)).into_bytes()
}

/// Two or three changes, most of them in bulk; some are rolled back to a savepoint.
fn change(tree: &Lsm, txn: &mut Txn, rng: &mut Rng, model: &mut Model) -> Result<()> {
    for _ in 0..2 + rng.below(2) {
        let (mark, kept) = (txn.savepoint(), model.clone());
        match rng.below(6) {
            0 => {
                let (key, value) = (key(rng), vec![rng.next() as u8; 60]);
                tree.put(txn, &key, &value)?;
                model.insert(key, value);
            }
            1 | 2 => delete_range(tree, txn, model, &bounds(rng, key))?,
            _ => {
                let count = 1 + rng.below(7);
                let some = sorted(rng, count, key);
                ingest(tree, txn, &some)?;
                model.extend(some);
            }
        }
        if rng.below(5) == 0 {
            txn.rollback_to(&mark)?;
            *model = kept;
        }
    }
    Ok(())
}

/// What a machine may show after its lives so far: the state after each commit that was asked for, and how many were answered.
#[derive(Clone)]
struct History {
    states: Vec<Model>,
    acknowledged: usize,
    /// Transactions after which there were runs below the first level.
    deep: u64,
}

#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    txns: u64,
    change: Change,
}

const COUNTER: &[u8] = b"counter";

impl History {
    fn judge(&mut self, world: &World) -> Result<()> {
        let rows = try_rows(&world.tree, world.manager.begin().view())?;
        assert_eq!(world.try_problems()?, Vec::<String>::new());
        let (there, named) = world.run_files()?;
        assert_eq!(there, named, "files that are there, and those that are named");
        let count =
            rows.get(COUNTER).map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap())) as usize;
        assert!(count >= self.acknowledged, "{count} commits are there, {} were answered", self.acknowledged);
        assert!(count < self.states.len(), "a commit that nobody asked for");
        let mut beside = Vec::new();
        let is_there = world.beside.get_into(&world.manager.view(), COUNTER, &mut beside)?;
        assert_eq!(is_there.then_some(&beside), rows.get(COUNTER), "half of a transaction");
        assert_eq!(rows, self.states[count], "after {count} commits");
        self.states.truncate(count + 1);
        self.acknowledged = count;
        Ok(())
    }
}

/// What a transaction does to tree and model.
type Change = fn(&Lsm, &mut Txn, &mut Rng, &mut Model) -> Result<()>;

fn transact(world: &World, history: &mut History, rng: &mut Rng, change: Change) -> Result<()> {
    let mut model = history.states.last().unwrap().clone();
    let mut txn = world.manager.begin();
    change(&world.tree, &mut txn, rng, &mut model)?;
    if rng.below(5) == 0 {
        return txn.abort();
    }
    let count = (history.states.len() as u64).to_le_bytes();
    world.tree.put(&mut txn, COUNTER, &count)?;
    world.beside.put(&mut txn, COUNTER, &count)?;
    model.insert(COUNTER.to_vec(), count.to_vec());
    history.states.push(model);
    if rng.below(3) == 0 {
        drop(txn.commit_with(Durability::None)?);
    } else {
        txn.commit()?;
        history.acknowledged = history.states.len() - 1;
    }
    Ok(())
}

/// Opens, judges, and plays so many transactions; an error is the power's.
fn live(sim: &Sim, shape: Shape, history: &mut History, life: Life) -> Result<()> {
    let (world, mut rng) = (World::open(sim, shape)?, Rng(life.seed));
    history.judge(&world)?;
    for _ in 0..life.txns {
        transact(&world, history, &mut rng, life.change)?;
        history.deep += u64::from(world.tree.stat().levels.iter().skip(1).any(|level| level.runs > 0));
        match rng.below(6) {
            0 => world.tree.flush()?,
            1 => world.tree.merge_all()?,
            2 => world.store.checkpoint()?,
            _ => {}
        }
        world.manager.collect()?;
    }
    Ok(())
}

fn lived(sim: &Sim, shape: Shape, history: &mut History, life: Life, cut: u64) -> Sim {
    let sim = sim.fork();
    sim.cut_power_at(cut);
    let lived = live(&sim, shape, history, life);
    assert!(lived.is_ok() || sim.is_off(), "without a power cut: {:?}", lived.err());
    sim
}

/// Cuts the first life at each operation, the second at a random one, mostly within its recovery, and judges a third.
fn cut_everywhere(streams: usize, seed: u64) {
    cut_everywhere_of(streams, seed, change);
}

/// The same of other changes; how often runs stood below the first level.
pub(crate) fn cut_everywhere_of(streams: usize, seed: u64, change: Change) -> u64 {
    let mut deep = 0;
    let (shape, sim, mut rng) = (Shape::of_streams(streams), Sim::new(1), Rng(seed));
    drop(World::open(&sim, shape).unwrap());
    for cut in 0.. {
        let mut first = History { states: vec![Model::new()], acknowledged: 0, deep: 0 };
        let dead = lived(&sim, shape, &mut first, Life { seed, txns: 6, change }, cut);
        let policies = CrashPolicy::all(cut);
        let policy = policies[rng.below(policies.len() as u64) as usize];
        for image in [dead.crash_image(policy), dead.kill_image()] {
            let mut second = first.clone();
            let again = Life { seed: rng.next(), txns: 2, change };
            let dead = lived(&image, shape, &mut second, again, rng.below(40));
            let image = dead.crash_image(CrashPolicy::Mixed { seed: rng.next() });
            live(&image, shape, &mut second, Life { seed: rng.next(), txns: 1, change }).unwrap();
            live(&image, shape, &mut second, Life { seed: 0, txns: 0, change }).unwrap();
        }
        deep += first.deep;
        if !dead.is_off() {
            return deep;
        }
    }
    unreachable!("a life ends")
}

#[test]
fn one_stream_survives_every_power_cut() {
    cut_everywhere(1, 3);
}

#[test]
fn two_streams_survive_every_power_cut() {
    cut_everywhere(2, 4);
}

/// An ingest that waits for no log, and one that replaces a row of it; `shift` transactions in between, so that they are in streams of
/// any pair.
fn replace(world: &World, shift: u64) -> Result<()> {
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &[(b"first".to_vec(), vec![1]), (b"second".to_vec(), vec![1])])?;
    drop(txn.commit_with(Durability::None)?);
    for _ in 0..shift {
        let mut txn = world.manager.begin();
        world.beside.put(&mut txn, b"shift", b"")?;
        txn.abort()?;
    }
    let mut txn = world.manager.begin();
    world.tree.put(&mut txn, b"first", &[2])?;
    txn.commit()
}

/// Who replaces a row of an ingest rests on it, in whatever stream of the log both are: no crash takes the ingest alone (T4).
#[test]
fn what_replaces_an_ingested_row_rests_on_the_ingest() {
    let (shape, sim) = (Shape::of_streams(2), Sim::new(1));
    drop(World::open(&sim, shape).unwrap());
    let mut replaced = 0;
    for shift in 0..2 {
        for cut in 0.. {
            let dead = sim.fork();
            dead.cut_power_at(cut);
            let done = World::open(&dead, shape).and_then(|world| replace(&world, shift));
            assert!(done.is_ok() || dead.is_off(), "{done:?}");
            for seed in 0..4 {
                let image = dead.crash_image(CrashPolicy::Mixed { seed: seed + 4 * cut });
                let rows = World::open(&image, shape).unwrap().rows();
                if rows.get(&b"first"[..]) == Some(&vec![2]) {
                    replaced += 1;
                    assert_eq!(rows.get(&b"second"[..]), Some(&vec![1]), "shift {shift}, cut at {cut}");
                }
            }
            if done.is_ok() {
                break;
            }
        }
    }
    assert!(replaced > 4, "{replaced} crashes kept the row");
}

/// Rows in runs and in memory, large ones among them.
fn filled(sim: &Sim) -> (World, Model) {
    let world = World::open(sim, Shape::of_streams(1)).unwrap();
    let (mut model, mut rng) = (Model::new(), Rng(11));
    for round in 0..3u8 {
        for _ in 0..8 {
            let (key, bytes) = (vec![b'k', rng.below(20) as u8], [60, 60, 400, 6000][rng.below(4) as usize]);
            world.put(&key, &vec![round; bytes]);
            model.insert(key, vec![round; bytes]);
        }
        if round < 2 {
            world.sync();
            world.tree.flush().unwrap();
        }
    }
    world.sync();
    (world, model)
}

fn new_rows() -> Vec<(Vec<u8>, Vec<u8>)> {
    (5..25u8)
        .map(|number| (vec![b'k', number], vec![0xee; [30, 300, 5000][usize::from(number) % 3]]))
        .collect()
}

/// One transaction that ingests and deletes a range.
fn work(world: &World, model: &mut Model) -> Result<()> {
    let (mut txn, mut next) = (world.manager.begin(), model.clone());
    delete_range(&world.tree, &mut txn, &mut next, &(Bound::Unbounded, Bound::Included(vec![b'k', 7])))?;
    ingest(&world.tree, &mut txn, &new_rows())?;
    next.extend(new_rows());
    txn.commit()?;
    *model = next;
    world.tree.flush()?;
    world.tree.merge_all()
}

/// Nothing or all of it, now and after a restart of either kind; true if the store still takes changes.
fn judge(sim: &Sim, world: &World, models: &[Model; 2], failed: &Error) -> bool {
    let is_one = |rows: &Model| models.contains(rows);
    sim.heal();
    let goes_on = world.store.check_healthy().is_ok();
    if goes_on {
        let now = world.rows();
        assert!(is_one(&now), "after {failed}");
        let mut model = now;
        work(world, &mut model).unwrap_or_else(|error| panic!("after {failed}: {error}"));
        assert_eq!(world.rows(), models[1]);
        assert_eq!(world.problems(), Vec::<String>::new());
    }
    for image in [sim.kill_image(), sim.crash_image(CrashPolicy::LoseAll)] {
        let again = World::open(&image, Shape::of_streams(1)).unwrap();
        let rows = again.rows();
        assert!(is_one(&rows) && (!goes_on || rows == models[1]), "a restart after {failed}");
        assert_eq!(again.problems(), Vec::<String>::new());
        let (there, named) = again.run_files().unwrap();
        assert_eq!(there, named, "a restart after {failed}: files that are there, and those that are named");
    }
    goes_on
}

fn models() -> [Model; 2] {
    let sim = Sim::new(1);
    let (world, before) = filled(&sim);
    let mut after = before.clone();
    work(&world, &mut after).unwrap();
    [before, after]
}

#[test]
fn every_call_of_an_ingest_may_fail() {
    let (mut went_on, mut ended, models) = (0, 0, models());
    for kind in [OpKind::Open, OpKind::Write, OpKind::Sync, OpKind::SyncDir] {
        for nth in 0.. {
            for (error, wanted) in [(Errno::Eio, ErrorKind::Io), (Errno::Enospc, ErrorKind::Full)] {
                let sim = Sim::new(1);
                let (world, mut model) = filled(&sim);
                sim.inject(Fault::FailOp { nth, kind, error, sticky: false });
                let Err(failed) = work(&world, &mut model) else { continue };
                let known = [wanted, ErrorKind::Poisoned, ErrorKind::InDoubt];
                assert!(known.contains(&failed.kind()), "{kind:?} {nth}: {failed}");
                *(if judge(&sim, &world, &models, &failed) { &mut went_on } else { &mut ended }) += 1;
            }
            let sim = Sim::new(1);
            let (world, mut model) = filled(&sim);
            let before = sim.calls(kind);
            work(&world, &mut model).unwrap();
            if before + nth >= sim.calls(kind) {
                break;
            }
        }
    }
    assert!(went_on > 20 && ended > 1, "{went_on} went on, {ended} ended writing");
}

#[test]
fn a_full_disk_is_told_and_leaves_no_file() {
    let (mut full, models) = (0, models());
    for bytes_left in (0..200_000).step_by(4096) {
        let sim = Sim::new(1);
        let (world, mut model) = filled(&sim);
        sim.inject(Fault::DiskFull { bytes_left });
        if let Err(failed) = work(&world, &mut model) {
            full += 1;
            assert_eq!(failed.kind(), ErrorKind::Full, "{failed}");
            assert!(judge(&sim, &world, &models, &failed), "a full disk ends nothing: {failed}");
        }
    }
    assert!(full > 4, "{full} disks were full");
}
