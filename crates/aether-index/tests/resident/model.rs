//! Against a `BTreeMap`: transactions, savepoints, rollbacks, snapshots.

use crate::rng::Rng;
use crate::scripts::{Model, key, rows, script};
use crate::world::World;
use aether_index::txn::Txn;
use aether_index::{OrderedCursor, ResidentCursor};
use aether_types::ErrorKind;
use proptest::collection::vec;
use proptest::prelude::*;
use std::thread;

/// Keys that come again and again: few, so that cells are used again.
const USUAL: u32 = 300;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_a_sorted_map(scripts in vec(script(USUAL), 1..12)) {
        World::volatile(u64::MAX).stage().is_a_sorted_map(&scripts);
    }

    #[test]
    fn snapshots_do_not_move(scripts in vec(script(USUAL), 2..8)) {
        World::volatile(u64::MAX).stage().has_snapshots_that_do_not_move(&scripts);
    }

    /// Steps of a cursor that turns, is put elsewhere, and is overtaken by its own transaction's changes.
    #[test]
    fn cursors_turn_and_seek(keys in vec(key(USUAL), 1..150), steps in vec((0u8..7, key(USUAL)), 1..120)) {
        let world = World::volatile(u64::MAX);
        let mut txn = world.manager.begin();
        let mut model = Model::new();
        for key in keys {
            world.table.put(&mut txn, &key, b"v").unwrap();
            model.insert(key, b"v".to_vec());
        }
        let mut cursor = ResidentCursor::new(world.table.clone());
        // The position between two keys: all below `.0`, and that key itself if `.1`.
        let mut at: Option<(Vec<u8>, bool)> = Some((Vec::new(), false));
        for (step, key) in steps {
            match step {
                0 => { cursor.seek(&key); at = Some((key, false)); }
                1 => { cursor.seek_back(&key); at = Some((key, true)); }
                2 => { world.table.delete(&mut txn, &key).unwrap(); model.remove(&key); }
                3 => { world.table.put(&mut txn, &key, b"w").unwrap(); model.insert(key, b"w".to_vec()); }
                4 | 5 => {
                    let wanted = at.as_ref().and_then(|(at, behind)| {
                        model.iter().find(|(key, _)| if *behind { *key > at } else { *key >= at })
                    });
                    let found = cursor.next(txn.view()).unwrap().map(|(k, v)| (k.to_vec(), v.to_vec()));
                    prop_assert_eq!(&found, &wanted.map(|(k, v)| (k.clone(), v.clone())));
                    at = found.map(|(key, _)| (key, true));
                }
                _ => {
                    let below = |key: &[u8]| match &at {
                        None => true,
                        Some((at, behind)) => if *behind { key <= &at[..] } else { key < &at[..] },
                    };
                    let wanted = model.iter().rev().find(|(key, _)| below(key));
                    let found = cursor.prev(txn.view()).unwrap().map(|(k, v)| (k.to_vec(), v.to_vec()));
                    prop_assert_eq!(&found, &wanted.map(|(k, v)| (k.clone(), v.clone())));
                    at = Some(found.map_or((Vec::new(), false), |(key, _)| (key, false)));
                }
            }
        }
    }
}

#[test]
fn a_large_value_streams_in_and_out() {
    World::volatile(u64::MAX).stage().streams_a_large_value();
}

/// Readers of snapshots, while writers move a sum between rows, roll back, delete and insert.
#[test]
fn threads_see_whole_transactions() {
    const ROWS: u64 = 12;
    let world = World::volatile(u64::MAX);
    let mut txn = world.manager.begin();
    let key = |n: u64| n.to_be_bytes();
    (0..ROWS).for_each(|n| world.table.put(&mut txn, &key(n), &100u64.to_le_bytes()).unwrap());
    txn.commit().unwrap();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    thread::scope(|scope| {
        for seed in 0..2 {
            let world = &world;
            scope.spawn(move || {
                let mut rng = Rng(seed);
                for _ in 0..600 {
                    let mut txn = world.manager.begin();
                    let moved = move_some(world, &mut txn, &mut rng, number);
                    match moved {
                        Ok(()) if rng.below(4) > 0 => drop(txn.commit()),
                        Ok(()) => txn.abort().unwrap(),
                        Err(error) => assert!(
                            matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock),
                            "{error}"
                        ),
                    }
                    world.manager.collect().unwrap();
                }
            });
        }
        for _ in 0..2 {
            let world = &world;
            scope.spawn(move || {
                for _ in 0..600 {
                    let txn = world.manager.begin();
                    let sum: u64 = rows(&world.table, txn.view()).values().map(|value| number(value)).sum();
                    assert_eq!(sum, ROWS * 100, "part of a transaction");
                    let mut again = 0;
                    for n in 0..ROWS {
                        let mut value = Vec::new();
                        if world.table.get_into(txn.view(), &key(n), &mut value).unwrap() {
                            again += number(&value);
                        }
                    }
                    assert_eq!(again, sum, "point reads");
                }
            });
        }
    });
}

fn move_some(
    world: &World,
    txn: &mut Txn,
    rng: &mut Rng,
    number: fn(&[u8]) -> u64,
) -> aether_types::Result<()> {
    let keys = [rng.below(12).to_be_bytes(), rng.below(12).to_be_bytes()];
    if keys[0] == keys[1] {
        return Ok(());
    }
    let mut values = [0; 2];
    for (key, value) in keys.iter().zip(&mut values) {
        let mut bytes = Vec::new();
        if world.table.get_into(txn.view(), key, &mut bytes)? {
            *value = number(&bytes);
        }
    }
    let amount = if rng.below(3) == 0 { values[0] } else { values[0] / 2 };
    // A row with nothing goes.
    match values[0] - amount {
        0 => drop(world.table.delete(txn, &keys[0])?),
        left => world.table.put(txn, &keys[0], &left.to_le_bytes())?,
    }
    world.table.put(txn, &keys[1], &(values[1] + amount).to_le_bytes())
}

/// What is deleted and needed by nobody leaves memory, and its memory is used again.
#[test]
fn deleted_rows_leave_memory() {
    let world = World::volatile(u64::MAX);
    for round in 0..40u64 {
        for n in 0..64u64 {
            let mut txn = world.manager.begin();
            world.table.put(&mut txn, &(round * 64 + n).to_be_bytes(), &[1; 200]).unwrap();
            if let Some(old) = (round * 64 + n).checked_sub(64) {
                assert!(world.table.delete(&mut txn, &old.to_be_bytes()).unwrap());
            }
            txn.commit().unwrap();
        }
        world.manager.collect().unwrap();
    }
    assert_eq!(world.rows().len(), 64);
    assert!(world.table.len() < 64 * 8, "{} rows are kept", world.table.len());
}

/// The budget is a bound; who meets it can go on, and what is undone always has room.
#[test]
fn a_full_budget_refuses_and_undoes() {
    let fresh = World::volatile(u64::MAX);
    let base = fresh.store.budget().used_bytes();
    let world = World::volatile(base + (2 << 20));
    let mut txn = world.manager.begin();
    let mut written = 0u64;
    let refused = loop {
        match world.table.put(&mut txn, &written.to_be_bytes(), &[7; 900]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000, "the budget is no bound");
    };
    assert_eq!(refused.kind(), ErrorKind::OverLimit, "{refused}");
    assert!(written > 100);
    txn.commit().unwrap();
    assert_eq!(world.rows().len() as u64, written);
    let used = |name| world.store.budget().usage().into_iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(used("rows in memory") >= world.table.used_bytes());
    let mut txn = world.manager.begin();
    (0..written).for_each(|n| assert!(world.table.delete(&mut txn, &n.to_be_bytes()).unwrap()));
    txn.abort().unwrap();
    assert_eq!(world.rows().len() as u64, written);
}
