//! Threads that write and scan at once.

use super::dice::Dice;
use super::model::expect_sound;
use super::world::World;
use crate::traits::IndexFactory;
use aether_sync::{Arc, thread};
use aether_types::{ErrorKind, Result};
use std::collections::BTreeMap;

const WRITERS: usize = 3;
const PAIRS: usize = 400;

/// Writers change pairs of rows, one far from the other, each pair in one transaction; some abort. Whoever scans sees both rows of
/// a pair alike, in both directions, and the keys in order.
///
/// # Panics
/// If that is not so.
pub fn together(factory: &Arc<dyn IndexFactory>, operations: usize) {
    let world = Arc::new(World::volatile(factory, 256).expect("an empty index"));
    let spawn = |number: usize| {
        let world = world.clone();
        thread::spawn("writer", move || write(&world, number as u64, operations).map(|()| 0))
    };
    let mut threads: Vec<_> = (0..WRITERS).map(spawn).collect();
    for upward in [true, false] {
        let world = world.clone();
        threads.push(thread::spawn("scanner", move || scan_often(&world, operations / 50, upward)));
    }
    for thread in threads {
        thread.join().expect("the thread has not panicked").expect("the index answers");
    }
    let rows = scan(&world, true).expect("the index answers");
    expect_sound(&world, rows).expect("the index answers");
}

fn key(pair: usize, side: u8) -> Vec<u8> {
    [&[side][..], format!("/pair/{:07}", pair * 7919 % 100_003).as_bytes()].concat()
}

fn write(world: &World, seed: u64, operations: usize) -> Result<()> {
    let mut dice = Dice::new(seed);
    for number in 0..operations {
        let (pair, delete) = (dice.below(PAIRS), dice.once_in(4));
        let value = format!("{seed}/{number}/").repeat(1 + dice.below(30)).into_bytes();
        let mut txn = world.txns.begin();
        let changed = [b'a', b'z'].into_iter().try_for_each(|side| match delete {
            true => world.index.delete(&mut txn, &key(pair, side)).map(|_| ()),
            false => world.index.put(&mut txn, &key(pair, side), &value),
        });
        match changed {
            Ok(()) if dice.once_in(8) => txn.abort()?,
            Ok(()) => txn.commit()?,
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock) => txn.abort()?,
            Err(error) => return Err(error),
        }
        if number % 64 == 0 {
            world.txns.collect()?;
        }
    }
    Ok(())
}

fn scan_often(world: &World, times: usize, upward: bool) -> Result<usize> {
    (0..times.max(5)).try_fold(0, |_, _| scan(world, upward))
}

/// Counts the rows at one state of the index.
fn scan(world: &World, upward: bool) -> Result<usize> {
    let (view, mut cursor, mut rows) = (world.txns.view(), world.index.cursor(), BTreeMap::new());
    let mut last: Option<Vec<u8>> = None;
    if !upward {
        cursor.seek_last();
    }
    loop {
        let next = if upward { cursor.next(&view)? } else { cursor.prev(&view)? };
        let Some((key, value)) = next else { break };
        let in_order = last.as_ref().is_none_or(|last| (&last[..] < key) == upward && last != key);
        assert!(in_order, "{key:02x?} out of order");
        last = Some(key.to_vec());
        rows.insert(key.to_vec(), value.to_vec());
    }
    for (key, value) in &rows {
        let side = if key[0] == b'a' { b'z' } else { b'a' };
        let other = [&[side], &key[1..]].concat();
        assert_eq!(rows.get(&other), Some(value), "half of a transaction: {key:02x?}");
        let mut read = Vec::new();
        assert!(world.index.get_into(&view, key, &mut read)? && read == *value, "read alone: {key:02x?}");
    }
    Ok(rows.len())
}
