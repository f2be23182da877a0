//! Sorted rows in bulk and ranges that are deleted, beside others: snapshots, conflicts, rollbacks, what is refused, threads.

use crate::ingest::{delete_range, ingest, judge_files, judge_files_at_rest};
use crate::rng::Rng;
use crate::world::{Model, Shape, World, rows};
use aether_lsm::index::txn::{Isolation, Txn, TxnOptions};
use aether_lsm::index::{BulkLoad, Index, OrderedIndex};
use aether_lsm::tree::LsmConfig;
use aether_sim::Sim;
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_types::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::thread;
use std::time::Duration;

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
    let mut value = Vec::new();
    assert_eq!(world.tree.get_settled(&[1], &mut value).unwrap(), None, "it takes a view to tell");
    assert_eq!(world.tree.get_settled(&[15], &mut value).unwrap(), Some(true));
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

/// Rounds of ten rows with one number each: whoever reads sees rows of one round, or none, and writers beside them lose nothing.
#[test]
fn readers_see_all_of_an_ingest_or_nothing_of_it() {
    const ROUNDS: u8 = 40;
    for threads in [0, 2] {
        let sim = Sim::new(9);
        let shape = Shape::of_streams(2);
        let shape = Shape { lsm: LsmConfig { threads, ..shape.lsm }, ..shape };
        let world = World::open(&sim, shape).unwrap();
        let is_over = AtomicBool::new(false);
        let written = thread::scope(|scope| {
            let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_rounds(&world, &is_over))).collect();
            let writer = scope.spawn(|| write_beside(&world, &is_over));
            let mut rng = Rng(1);
            (1..=ROUNDS).for_each(|round| ingest_round(&world, round, &mut rng));
            is_over.store(true, Relaxed);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            writer.join().unwrap()
        });
        let all = world.rows();
        assert_eq!(all.iter().filter(|(key, _)| key.len() == 1).count(), 10);
        assert_eq!(all.iter().filter(|(key, _)| key.len() == 5).count() as u32, written);
        assert_eq!(world.problems(), Vec::<String>::new());
        world.close().unwrap();
        let again = World::open(&sim.kill_image(), shape).unwrap();
        assert_eq!(again.rows(), all);
        judge_files_at_rest(&again);
    }
}

/// The rows of a round, after the range of the one before is deleted; now and then it is rolled back and done again.
fn ingest_round(world: &World, round: u8, rng: &mut Rng) {
    let rows: Vec<_> = (0..10u8).map(|number| (vec![number], vec![round; 250])).collect();
    loop {
        let mut txn = world.manager.begin();
        if rng.below(2) == 0 {
            world.tree.delete_range(&mut txn, Bound::Unbounded, Bound::Excluded(&[10])).unwrap();
        }
        ingest(&world.tree, &mut txn, &rows).unwrap();
        if rng.below(4) == 0 {
            txn.abort().unwrap();
        } else {
            return txn.commit().unwrap();
        }
    }
}

fn read_rounds(world: &World, is_over: &AtomicBool) {
    let mut last = 0;
    while !is_over.load(Relaxed) {
        let txn = world.manager.begin();
        let all = rows(&world.tree, txn.view());
        let rounds: Vec<u8> =
            all.iter().filter(|(key, _)| key.len() == 1).map(|(_, value)| value[0]).collect();
        assert!(rounds.is_empty() && last == 0 || rounds.len() == 10, "half of a round: {rounds:?}");
        assert!(rounds.windows(2).all(|pair| pair[0] == pair[1]), "two rounds: {rounds:?}");
        for (number, round) in (0..10u8).zip(&rounds) {
            assert_eq!(world.get(txn.view(), &[number]), Some(vec![*round; 250]));
        }
        let round = rounds.first().copied().unwrap_or(0);
        assert!(round >= last, "a reader goes back from {last} to {round}");
        last = round;
    }
}

/// Rows above all rounds, until they are over; how many.
fn write_beside(world: &World, is_over: &AtomicBool) -> u32 {
    let mut count = 0u32;
    while !is_over.load(Relaxed) {
        let mut txn = world.manager.begin();
        let key = [&[200][..], &count.to_be_bytes()].concat();
        world.tree.put(&mut txn, &key, &[1; 100]).unwrap();
        txn.commit().unwrap();
        count += 1;
    }
    count
}
