//! Sorted rows in bulk and ranges that are deleted: against a model, and against what the log brings back.

use crate::rng::Rng;
use crate::world::{Model, Shape, World, rows};
use aether_lsm::index::txn::{Isolation, Txn, TxnOptions};
use aether_lsm::index::{BulkLoad, OrderedIndex};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{Lsm, LsmConfig};
use aether_sim::{CrashPolicy, Sim};
use aether_types::Result;
use std::ops::Bound;
use std::time::Duration;

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];

/// Ingests rows in the order in which they are given.
pub(crate) fn ingest(tree: &Lsm, txn: &mut Txn, rows: &[(Vec<u8>, Vec<u8>)]) -> Result<u64> {
    let mut rows = rows.iter().cloned();
    tree.load(txn, &mut || Ok(rows.next()))
}

/// Rows by rising key, some of them in the model already.
pub(crate) fn sorted(
    rng: &mut Rng,
    count: u64,
    mut key: impl FnMut(&mut Rng) -> Vec<u8>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows: Model = (0..count).map(|_| (key(rng), value(rng))).collect();
    rows.into_iter().collect()
}

fn value(rng: &mut Rng) -> Vec<u8> {
    vec![rng.next() as u8; [20, 20, 300, 5000][rng.below(4) as usize]]
}

fn key(rng: &mut Rng) -> Vec<u8> {
    vec![rng.below(40) as u8]
}

/// A range of all kinds of bounds, also one without keys.
pub(crate) fn bounds(
    rng: &mut Rng,
    mut key: impl FnMut(&mut Rng) -> Vec<u8>,
) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut bound = |rng: &mut Rng| match rng.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key(rng)),
        _ => Bound::Excluded(key(rng)),
    };
    (bound(rng), bound(rng))
}

/// Deletes a range in tree and model.
pub(crate) fn delete_range(
    tree: &Lsm,
    txn: &mut Txn,
    model: &mut Model,
    (from, to): &(Bound<Vec<u8>>, Bound<Vec<u8>>),
) -> Result<()> {
    let slice = |bound: &Bound<Vec<u8>>| bound.clone();
    let deleted = tree.delete_range(txn, from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice))?;
    let inside = |key: &[u8]| {
        let above = match slice(from) {
            Bound::Included(from) => key >= &from[..],
            Bound::Excluded(from) => key > &from[..],
            Bound::Unbounded => true,
        };
        above
            && match slice(to) {
                Bound::Included(to) => key <= &to[..],
                Bound::Excluded(to) => key < &to[..],
                Bound::Unbounded => true,
            }
    };
    let before = model.len();
    model.retain(|key, _| !inside(key));
    if let Some(deleted) = deleted {
        assert_eq!(deleted, (before - model.len()) as u64, "rows deleted");
    }
    Ok(())
}

/// A few changes of all kinds; some of them are rolled back to a savepoint.
fn change(tree: &Lsm, txn: &mut Txn, model: &mut Model, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        let (mark, kept) = (txn.savepoint(), model.clone());
        for _ in 0..1 + rng.below(3) {
            match rng.below(6) {
                0 => {
                    let key = key(rng);
                    assert_eq!(tree.delete(txn, &key).unwrap(), model.remove(&key).is_some());
                }
                1 | 2 => {
                    let (key, value) = (key(rng), value(rng));
                    tree.put(txn, &key, &value).unwrap();
                    model.insert(key, value);
                }
                3 | 4 => {
                    let count = rng.below(12);
                    let some = sorted(rng, count, key);
                    assert_eq!(ingest(tree, txn, &some).unwrap(), some.len() as u64);
                    model.extend(some);
                }
                _ => delete_range(tree, txn, model, &bounds(rng, key)).unwrap(),
            }
        }
        if rng.below(4) == 0 {
            txn.rollback_to(&mark).unwrap();
            *model = kept;
        }
    }
}

fn shape(policy: PolicyKind) -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { policy, ..shape.lsm }, ..shape }
}

fn judge(world: &World, txn: &Txn, model: &Model) {
    assert_eq!(rows(&world.tree, txn.view()), *model);
    for number in 0..41u8 {
        assert_eq!(world.get(txn.view(), &[number]).as_ref(), model.get(&[number][..]), "key {number}");
    }
}

/// Every file is named by the tree, and every one that it names is there.
pub(crate) fn judge_files(world: &World) {
    let (there, named) = world.run_files().unwrap();
    assert_eq!(there, named, "files that are there, and those that are named");
}

/// The same once the tree's threads have nothing left to do: they write files that are not named yet, and remove those that are not named
/// any more.
pub(crate) fn judge_files_at_rest(world: &World) {
    for _ in 0..200 {
        let (there, named) = world.run_files().unwrap();
        if there == named && world.tree.stat().merges.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    judge_files(world);
}

fn script(policy: PolicyKind, seed: u64) {
    let (mut sim, mut rng) = (Sim::new(seed), Rng(seed));
    let mut world = World::open(&sim, shape(policy)).unwrap();
    let (mut model, mut held): (Model, Vec<(Txn, Model)>) = (Model::new(), Vec::new());
    for _ in 0..80 {
        match rng.below(14) {
            0 | 1 => world.tree.flush().unwrap(),
            2 => world.tree.merge_all().unwrap(),
            3 if held.len() < 4 => held.push((world.manager.begin(), model.clone())),
            4 if !held.is_empty() => {
                let (txn, model) = held.swap_remove(rng.below(held.len() as u64) as usize);
                judge(&world, &txn, &model);
            }
            5 => world.manager.collect().unwrap(),
            6 if rng.below(3) == 0 => {
                held.clear();
                world.sync();
                sim =
                    if rng.below(2) == 0 { sim.kill_image() } else { sim.crash_image(CrashPolicy::LoseAll) };
                world = World::open(&sim, shape(policy)).unwrap();
                assert_eq!(world.rows(), model);
                judge_files(&world);
            }
            _ => {
                let (mut txn, mut next) = (world.manager.begin(), model.clone());
                change(&world.tree, &mut txn, &mut next, &mut rng);
                judge(&world, &txn, &next);
                judge(&world, &world.manager.begin(), &model);
                if rng.below(4) == 0 {
                    txn.abort().unwrap();
                } else {
                    txn.commit().unwrap();
                    model = next;
                }
            }
        }
        held.iter().for_each(|(txn, model)| judge(&world, txn, model));
    }
    drop(held);
    world.manager.collect().unwrap();
    world.tree.flush().unwrap();
    world.tree.merge_all().unwrap();
    judge(&world, &world.manager.begin(), &model);
    assert_eq!(world.problems(), Vec::<String>::new());
    judge_files(&world);
}

#[test]
fn all_that_is_ingested_and_deleted_is_as_a_model_has_it() {
    for (index, policy) in POLICIES.into_iter().enumerate() {
        (0..8).for_each(|seed| script(policy, seed * 5 + index as u64));
    }
}

/// With a memtable that no test fills: only what is asked for is flushed.
fn large() -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { memtable_bytes: 16 << 20, ..shape.lsm }, ..shape }
}

/// A flush that lets no log go takes a row out of memory; the log brings it back, and it must not lie over what was ingested meanwhile.
#[test]
fn a_row_that_the_log_brings_back_does_not_hide_what_was_ingested() {
    let sim = Sim::new(5);
    let world = World::open(&sim, large()).unwrap();
    world.put(b"row", b"old");
    world.put(b"sow", b"old");
    world.sync();
    let mut open = world.manager.begin();
    for number in 0..1100u32 {
        world.tree.put(&mut open, &number.to_be_bytes(), b"open").unwrap();
    }
    world.tree.flush().unwrap();
    assert_eq!(world.tree.stat().memory_rows, 1100, "the two rows have left memory");
    open.abort().unwrap();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &[(b"row".to_vec(), b"new".to_vec())]).unwrap();
    let sow = Bound::Included(b"sow".to_vec());
    delete_range(&world.tree, &mut txn, &mut Model::new(), &(sow, Bound::Unbounded)).unwrap();
    txn.commit().unwrap();
    let wanted = Model::from([(b"row".to_vec(), b"new".to_vec())]);
    assert_eq!(world.rows(), wanted);
    let again = World::open(&sim.kill_image(), Shape::of_streams(1)).unwrap();
    assert_eq!(again.rows(), wanted);
}

/// The same of a flush while the rows are read, by a transaction that has many rows of its own in memory.
#[test]
fn a_flush_during_an_ingest_lets_the_log_go() {
    let sim = Sim::new(6);
    let world = World::open(&sim, large()).unwrap();
    let mut txn = world.manager.begin_with(TxnOptions::at(Isolation::ReadCommitted));
    for number in 0..1100u32 {
        world.tree.put(&mut txn, &number.to_be_bytes(), b"own").unwrap();
    }
    // The first to be looked at, before what the others log makes it durable.
    const ROW: &[u8] = b"\0";
    world.put(ROW, b"old");
    let mut next = Some((ROW.to_vec(), b"new".to_vec()));
    let count = world.tree.load(&mut txn, &mut || {
        // What was committed is settled only now.
        assert_eq!(world.tree.memtable().holds(ROW), next.is_some());
        world.sync();
        world.tree.flush()?;
        assert!(!world.tree.memtable().holds(ROW));
        Ok(next.take())
    });
    assert_eq!(count.unwrap(), 1);
    txn.commit().unwrap();
    let again = World::open(&sim.kill_image(), large()).unwrap();
    assert_eq!(again.get(again.manager.begin().view(), ROW), Some(b"new".to_vec()));
}

/// Values that no page holds stand in a file of values, whatever the option says.
#[test]
fn values_that_no_page_holds_are_taken() {
    let (sim, shape) = (Sim::new(8), large());
    let shape = Shape { lsm: LsmConfig { separate_bytes: 1 << 20, ..shape.lsm }, ..shape };
    let world = World::open(&sim, shape).unwrap();
    let rows: Vec<_> =
        (0..4u8).map(|number| (vec![number], vec![number; 1 + usize::from(number) * 3000])).collect();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &rows).unwrap();
    txn.commit().unwrap();
    assert_eq!(world.rows(), rows.into_iter().collect());
}

/// Bytes of runs written for each byte ingested, printed.
#[test]
fn an_ingest_writes_its_rows_about_once() {
    let sim = Sim::new(7);
    let world = World::open(&sim, large()).unwrap();
    let mut rng = Rng(7);
    let rows: Vec<_> = (0..20_000u32)
        .map(|number| {
            (number.to_be_bytes().to_vec(), (0..12).flat_map(|_| rng.next().to_le_bytes()).collect())
        })
        .collect();
    let bytes: u64 =
        rows.iter().map(|(key, value): &(Vec<u8>, Vec<u8>)| (key.len() + value.len()) as u64).sum();
    let before = sim.used_bytes();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &rows).unwrap();
    txn.commit().unwrap();
    let stat = world.tree.stat();
    let written = stat.ingested_bytes + stat.flushed_bytes + stat.merged_bytes;
    let amplification = written as f64 / bytes as f64;
    println!("{bytes} bytes ingested, {written} written to runs: {amplification:.3}");
    println!("{} bytes more on the disk", sim.used_bytes() - before);
    assert!((0.9..1.2).contains(&amplification), "{amplification}");
    assert_eq!((stat.memory_rows, stat.put_bytes), (0, 0), "nothing goes through memory");
}
