//! Sorted rows in bulk and ranges that are deleted: against a model, beside snapshots, in conflict with others, rolled back.

use crate::world::{Model, Rng, Shape, World, rows};
use aether_lsm::index::txn::{Isolation, Txn, TxnOptions};
use aether_lsm::index::{BulkLoad, OrderedIndex};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{Lsm, LsmConfig};
use aether_sim::{CrashPolicy, Sim};
use aether_types::{Error, ErrorKind, Result};
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
fn judge_files(world: &World) {
    let (there, named) = world.run_files().unwrap();
    assert_eq!(there, named, "files that are there, and those that are named");
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

/// Two runs with the keys 0 to 19.
fn filled() -> (Sim, World, Model) {
    let sim = Sim::new(1);
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    let mut model = Model::new();
    for number in 0..20u8 {
        world.put(&[number], &[number; 30]);
        model.insert(vec![number], vec![number; 30]);
        if number % 10 == 9 {
            world.sync();
            world.tree.flush().unwrap();
        }
    }
    assert_eq!(world.tree.stat().memory_rows, 0);
    (sim, world, model)
}

fn some_rows(numbers: std::ops::Range<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    numbers.map(|number| (vec![number], vec![0xee; 25])).collect()
}

fn commit_ingest(world: &World, numbers: std::ops::Range<u8>) {
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &some_rows(numbers)).unwrap();
    txn.commit().unwrap();
}

fn is_conflict<T: core::fmt::Debug>(done: Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == ErrorKind::Conflict)
}

/// What was in no row's way is in nobody's way: first updater wins, in both directions, and only where keys are the same.
#[test]
fn who_began_before_an_ingest_meets_a_conflict_where_it_has_changed_something() {
    let (_sim, world, _) = filled();
    let mut late = world.manager.begin();
    let before = rows(&world.tree, late.read());
    commit_ingest(&world, 5..15);
    let tree = &world.tree;
    // One that comes to nothing is in nobody's way.
    let mut gone = world.manager.begin();
    ingest(tree, &mut gone, &some_rows(0..20)).unwrap();
    gone.abort().unwrap();
    for _ in 0..2 {
        assert_eq!(rows(tree, late.view()), before);
        assert!(is_conflict(tree.put(&mut late, &[7], b"late")));
        assert!(is_conflict(tree.delete(&mut late, &[14])));
        let mark = late.savepoint();
        assert!(is_conflict(ingest(tree, &mut late, &some_rows(14..17))));
        late.rollback_to(&mark).unwrap();
        assert!(is_conflict(delete_range(
            tree,
            &mut late,
            &mut Model::new(),
            &(Bound::Excluded(vec![13]), Bound::Unbounded)
        )));
        late.rollback_to(&mark).unwrap();
    }
    tree.put(&mut late, &[3], b"late").unwrap();
    delete_range(
        tree,
        &mut late,
        &mut before.clone(),
        &(Bound::Excluded(vec![14]), Bound::Excluded(vec![17])),
    )
    .unwrap();
    late.commit().unwrap();
    assert_eq!(world.get(world.manager.begin().view(), &[16]), None);
}

#[test]
fn a_range_that_goes_is_a_conflict_for_who_began_before() {
    let (_sim, world, mut model) = filled();
    let mut late = world.manager.begin();
    let mut txn = world.manager.begin();
    let range = (Bound::Included(vec![5]), Bound::Included(vec![8]));
    delete_range(&world.tree, &mut txn, &mut model, &range).unwrap();
    txn.commit().unwrap();
    for number in [5, 8] {
        assert!(is_conflict(world.tree.put(&mut late, &[number], b"late")));
        assert!(is_conflict(world.tree.delete(&mut late, &[number])));
        assert_eq!(world.get(late.view(), &[number]), Some(vec![number; 30]));
    }
    world.tree.put(&mut late, &[9], b"late").unwrap();
    late.commit().unwrap();
}

#[test]
fn an_ingest_and_a_range_meet_what_was_changed_since() {
    for is_flushed in [false, true] {
        let (_sim, world, _) = filled();
        let mut late = world.manager.begin();
        assert!(world.get(late.read(), &[4]).is_some());
        world.put(&[4], b"now");
        world.delete(&[6]);
        if is_flushed {
            world.sync();
            world.tree.flush().unwrap();
        }
        let mark = late.savepoint();
        for number in [4, 6] {
            assert!(is_conflict(ingest(&world.tree, &mut late, &some_rows(number..number + 1))));
            late.rollback_to(&mark).unwrap();
            let range = (Bound::Included(vec![number]), Bound::Excluded(vec![number + 1]));
            assert!(is_conflict(delete_range(&world.tree, &mut late, &mut Model::new(), &range)));
            late.rollback_to(&mark).unwrap();
        }
        ingest(&world.tree, &mut late, &some_rows(5..6)).unwrap();
        late.commit().unwrap();
        assert_eq!(world.get(world.manager.begin().view(), &[5]), Some(vec![0xee; 25]));
    }
}

#[test]
fn read_committed_goes_over_what_was_ingested() {
    let (_sim, world, mut model) = filled();
    let mut late = world.manager.begin_with(TxnOptions::at(Isolation::ReadCommitted));
    assert!(world.get(late.view(), &[1]).is_some());
    commit_ingest(&world, 18..25);
    assert!(world.tree.delete(&mut late, &[22]).unwrap(), "a row that only the ingest has");
    world.tree.put(&mut late, &[23], b"late").unwrap();
    delete_range(&world.tree, &mut late, &mut Model::new(), &(Bound::Unbounded, Bound::Excluded(vec![22])))
        .unwrap();
    late.commit().unwrap();
    model.clear();
    model.insert(vec![23], b"late".to_vec());
    model.insert(vec![24], vec![0xee; 25]);
    assert_eq!(world.rows(), model);
}

/// Until its transaction is over nobody else writes; whoever reads sees what was there before.
#[test]
fn an_ingest_has_the_keyspace_to_itself() {
    let (_sim, world, model) = filled();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &some_rows(0..3)).unwrap();
    let hurried = TxnOptions { lock_timeout: Some(Duration::ZERO), ..TxnOptions::default() };
    let mut other = world.manager.begin_with(hurried);
    assert!(is_conflict(world.tree.put(&mut other, &[15], b"other")));
    assert_eq!(rows(&world.tree, other.view()), model);
    txn.commit().unwrap();
    assert!(is_conflict(ingest(&world.tree, &mut other, &some_rows(2..3))));
    drop(other);
    let mut writer = world.manager.begin();
    world.tree.put(&mut writer, &[15], b"writer").unwrap();
    let mut other = world.manager.begin_with(hurried);
    assert!(is_conflict(ingest(&world.tree, &mut other, &some_rows(0..3))), "somebody writes");
}

/// A run that came to nothing goes with the next flush, also that of a savepoint that was rolled back; one that all see may be merged.
#[test]
fn what_is_rolled_back_leaves_no_file() {
    let (sim, world, model) = filled();
    let files = || world.run_files().unwrap().0.len();
    let before = files();
    let large = |number: u8| (vec![number], vec![number; 3000]);
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &[large(1), large(2)]).unwrap();
    assert_eq!(files(), before + 2, "a run and a file of values");
    txn.abort().unwrap();
    assert_eq!(world.rows(), model);
    world.tree.flush().unwrap();
    assert_eq!(files(), before);

    let mut txn = world.manager.begin();
    let mark = txn.savepoint();
    ingest(&world.tree, &mut txn, &[large(1), large(2)]).unwrap();
    txn.rollback_to(&mark).unwrap();
    ingest(&world.tree, &mut txn, &[large(3)]).unwrap();
    txn.commit().unwrap();
    let held = world.manager.begin();
    world.manager.collect().unwrap();
    world.tree.flush().unwrap();
    assert_eq!(files(), before + 2, "only that of the second");
    drop(held);

    let mut lost = world.manager.begin();
    ingest(&world.tree, &mut lost, &[large(4)]).unwrap();
    let after = sim.kill_image();
    let again = World::open(&after, Shape::of_streams(1)).unwrap();
    let (there, named) = again.run_files().unwrap();
    assert_eq!((there.len(), named), (before + 2, there.clone()), "a crash takes it back");
    assert_eq!(again.get(again.manager.begin().view(), &[3]), Some(vec![3; 3000]));
}

/// While a snapshot is older than an ingest its run is not merged; then it is.
#[test]
fn a_run_is_merged_once_everybody_sees_it() {
    let (_sim, world, mut model) = filled();
    let held = world.manager.begin();
    let before = rows(&world.tree, held.view());
    for round in 0..4 {
        let mut txn = world.manager.begin();
        ingest(&world.tree, &mut txn, &some_rows(round..round + 9)).unwrap();
        txn.commit().unwrap();
        model.extend(some_rows(round..round + 9));
        world.manager.collect().unwrap();
        world.tree.merge_all().unwrap();
        assert_eq!(rows(&world.tree, held.view()), before);
        assert_eq!(world.rows(), model);
    }
    let runs = || world.tree.stat().levels.iter().map(|level| level.runs).sum::<usize>();
    assert!(runs() >= 4, "{:?}", world.tree.stat().levels);
    drop(held);
    world.manager.collect().unwrap();
    world.tree.merge_all().unwrap();
    assert!(runs() < 4, "{:?}", world.tree.stat().levels);
    assert_eq!(world.rows(), model);
    judge_files(&world);
}

#[test]
fn rows_that_no_run_takes_are_refused_and_nothing_is_done() {
    let (_sim, world, model) = filled();
    let row = |key: &[u8]| (key.to_vec(), b"new".to_vec());
    let mut txn = world.manager.begin();
    let mark = txn.savepoint();
    for (bad, rows) in [
        ("below the one before", vec![row(b"b"), row(b"c"), row(b"a")]),
        ("is there twice", vec![row(b"b"), row(b"b")]),
        ("at most", vec![row(b"b"), row(&[b'z'; 5000])]),
    ] {
        let refused = ingest(&world.tree, &mut txn, &rows).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        assert!(refused.to_string().contains(bad), "{refused}");
        assert_eq!(refused.place().key.as_deref().map(|key| key[0]), rows.last().map(|(key, _)| key[0]));
        txn.rollback_to(&mark).unwrap();
        assert_eq!(rows_of(&world, &txn), model);
    }
    let mut given = some_rows(0..5).into_iter();
    let broken = world.tree.load(&mut txn, &mut || match given.next() {
        Some(row) => Ok(Some(row)),
        None => Err(Error::new(ErrorKind::Io, "the source broke")),
    });
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Io);
    txn.rollback_to(&mark).unwrap();
    ingest(&world.tree, &mut txn, &some_rows(0..1)).unwrap();
    txn.commit().unwrap();
    assert_eq!(world.get(world.manager.begin().view(), &[0]), Some(vec![0xee; 25]));
    assert_eq!(world.get(world.manager.begin().view(), &[1]), Some(vec![1; 30]));
    judge_files(&world);
}

fn rows_of(world: &World, txn: &Txn) -> Model {
    rows(&world.tree, txn.view())
}

/// A flush that lets no log go takes a row out of memory; the log brings it back, and it must not lie over what was ingested meanwhile.
#[test]
fn a_row_that_the_log_brings_back_does_not_hide_what_was_ingested() {
    let sim = Sim::new(5);
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    world.put(b"row", b"old");
    world.put(b"sow", b"old");
    world.sync();
    let mut open = world.manager.begin();
    for number in 0..1100u32 {
        world.tree.put(&mut open, &number.to_be_bytes(), b"open").unwrap();
    }
    world.tree.flush().unwrap();
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
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    world.put(b"row", b"old");
    let mut txn = world.manager.begin();
    for number in 0..1100u32 {
        world.tree.put(&mut txn, &number.to_be_bytes(), b"own").unwrap();
    }
    let mut next = Some((b"row".to_vec(), b"new".to_vec()));
    let count = world.tree.load(&mut txn, &mut || {
        // What was committed is settled only now.
        world.sync();
        world.tree.flush()?;
        Ok(next.take())
    });
    assert_eq!(count.unwrap(), 1);
    txn.commit().unwrap();
    let again = World::open(&sim.kill_image(), Shape::of_streams(1)).unwrap();
    assert_eq!(again.get(again.manager.begin().view(), b"row"), Some(b"new".to_vec()));
}

/// Bytes of runs written for each byte ingested, printed.
#[test]
fn an_ingest_writes_its_rows_about_once() {
    let sim = Sim::new(7);
    let shape = Shape::of_streams(1);
    let shape = Shape { lsm: LsmConfig { memtable_bytes: 1 << 20, ..shape.lsm }, ..shape };
    let world = World::open(&sim, shape).unwrap();
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
