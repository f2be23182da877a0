//! Random transactions against a `BTreeMap`; whatever can be read is compared.

use super::dice::Dice;
use super::world::World;
use crate::bulk::put_rows;
use crate::traits::{IndexFactory, OrderedIndex};
use aether_sync::Arc;
use aether_txn::{ReadView, Txn};
use aether_types::Result;
use core::ops::Bound;
use std::collections::BTreeMap;

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Plays one script of transactions with savepoints, rollbacks and snapshots that are held, on a pool of few frames.
///
/// # Panics
/// If the index shows anything else than the model, or a check finds something.
pub fn model(factory: &Arc<dyn IndexFactory>, seed: u64) {
    let played = play(factory, seed);
    if let Err(error) = played {
        panic!("seed {seed}: {error}");
    }
}

fn play(factory: &Arc<dyn IndexFactory>, seed: u64) -> Result<()> {
    let (world, mut dice) = (World::volatile(factory, 128)?, Dice::new(seed));
    let (mut model, mut held): (Model, Option<(ReadView, Model)>) = (Model::new(), None);
    for _ in 0..12 {
        let (mut next, mut txn) = (model.clone(), world.txns.begin());
        let changes = 1 + dice.below(160);
        change(&*world.index, &mut txn, &mut next, &mut dice, changes)?;
        compare(&*world.index, txn.view(), &next, &mut dice)?;
        compare(&*world.index, &world.txns.view(), &model, &mut dice)?;
        if dice.once_in(5) {
            txn.abort()?;
        } else {
            txn.commit()?;
            model = next;
        }
        if let Some((view, then)) = held.take_if(|_| dice.once_in(3)) {
            compare(&*world.index, &view, &then, &mut dice)?;
        }
        held = held.or_else(|| Some((world.txns.view(), model.clone())));
        world.txns.collect()?;
        expect_sound(&world, model.len())?;
    }
    drop(held);
    world.txns.collect()?;
    let free = world.txns.store().space_stats()?.free_pages;
    world.index.clear()?;
    compare(&*world.index, &world.txns.view(), &Model::new(), &mut dice)?;
    expect_sound(&world, 0)?;
    // Few rows: they lie in the root.
    let (mut txn, mut few) = (world.txns.begin(), Model::new());
    change(&*world.index, &mut txn, &mut few, &mut dice, 3)?;
    txn.commit()?;
    world.txns.collect()?;
    world.index.clear()?;
    compare(&*world.index, &world.txns.view(), &Model::new(), &mut dice)?;
    assert!(world.txns.store().space_stats()?.free_pages >= free, "what is cleared is given back");
    world.free()
}

/// Rows of which hardly two fit into a leaf, with keys that nest in each other, put upward, downward and from both ends: wherever a leaf
/// has one row, the next comes before or behind it.
///
/// # Panics
/// As [`model`].
pub fn long_rows(factory: &Arc<dyn IndexFactory>) {
    let lengths: Vec<usize> = (300..900).step_by(7).collect();
    let upward = lengths.clone();
    let downward = lengths.iter().rev().copied().collect();
    let both = lengths.iter().zip(lengths.iter().rev()).flat_map(|(low, high)| [*low, *high]).collect();
    for order in [upward, downward, both] {
        put_long(factory, order).unwrap_or_else(|error| panic!("long rows: {error}"));
    }
}

fn put_long(factory: &Arc<dyn IndexFactory>, order: Vec<usize>) -> Result<()> {
    let (world, mut model, mut dice) = (World::volatile(factory, 128)?, Model::new(), Dice::new(0));
    let mut txn = world.txns.begin();
    for length in order {
        let (key, value) = (vec![b'k'; length], vec![length as u8; 940]);
        world.index.put(&mut txn, &key, &value)?;
        model.insert(key, value);
    }
    compare(&*world.index, txn.view(), &model, &mut dice)?;
    txn.commit()?;
    world.txns.collect()?;
    expect_sound(&world, model.len())
}

/// So many changes; rolled back to a savepoint now and then.
pub(super) fn change(
    index: &dyn OrderedIndex,
    txn: &mut Txn,
    model: &mut Model,
    dice: &mut Dice,
    changes: usize,
) -> Result<()> {
    let mut mark = (txn.savepoint(), model.clone());
    for _ in 0..changes {
        match dice.below(22) {
            0 => mark = (txn.savepoint(), model.clone()),
            1 => {
                txn.rollback_to(&mark.0)?;
                *model = mark.1.clone();
            }
            2..=6 => {
                let known = model.range(dice.key()..).next().map(|(key, _)| key.clone());
                let key = known.unwrap_or_else(|| dice.key());
                let existed = model.remove(&key).is_some();
                assert_eq!(index.delete(txn, &key)?, existed, "deleting {key:02x?}");
            }
            7 => {
                let (key, value) = (dice.key(), dice.value());
                index.put_from(txn, &key, value.len() as u64, &mut &value[..])?;
                model.insert(key, value);
            }
            8 if dice.once_in(4) => delete_range(index, txn, model, dice)?,
            9 if dice.once_in(4) => load(index, txn, model, dice)?,
            _ => {
                let (key, value) = (dice.key(), dice.value());
                index.put(txn, &key, &value)?;
                model.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Deletes the rows from one key to one that lies a few rows behind it, with the bounds or without them.
fn delete_range(index: &dyn OrderedIndex, txn: &mut Txn, model: &mut Model, dice: &mut Dice) -> Result<()> {
    let known = model.range(dice.key()..).next().map(|(key, _)| key.clone());
    let from = known.unwrap_or_else(|| dice.key());
    let to = model.range(from.clone()..).nth(dice.below(6)).map(|(key, _)| &key[..]);
    let lower = if dice.once_in(2) { Bound::Included(&from[..]) } else { Bound::Excluded(&from[..]) };
    let upper = match to {
        Some(to) if *to > *from && dice.once_in(2) => Bound::Excluded(to),
        Some(to) if *to > *from => Bound::Included(to),
        _ => Bound::Unbounded,
    };
    let gone: Vec<_> = model.range::<[u8], _>((lower, upper)).map(|(key, _)| key.clone()).collect();
    if let Some(deleted) = index.delete_range(txn, lower, upper)? {
        assert_eq!(deleted, gone.len() as u64, "rows between {lower:02x?} and {upper:02x?}");
    }
    gone.iter().for_each(|key| drop(model.remove(key)));
    Ok(())
}

/// Loads a few rows, as the index takes them.
fn load(index: &dyn OrderedIndex, txn: &mut Txn, model: &mut Model, dice: &mut Dice) -> Result<()> {
    let some: Model = (0..dice.below(20)).map(|_| (dice.key(), dice.value())).collect();
    let mut rows = some.clone().into_iter();
    let mut next = || Ok(rows.next());
    let count = match index.as_bulk_load() {
        Some(index) => index.load(txn, &mut next)?,
        None => put_rows(index, txn, &mut next)?,
    };
    assert_eq!(count, some.len() as u64, "rows loaded");
    model.extend(some);
    Ok(())
}

/// Everything, in both directions, and from a few places.
pub(super) fn compare(
    index: &dyn OrderedIndex,
    view: &ReadView,
    model: &Model,
    dice: &mut Dice,
) -> Result<()> {
    let mut cursor = index.cursor();
    for wanted in model {
        let found = cursor.next(view)?.map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert_eq!(found.as_ref().map(|(key, value)| (key, value)), Some(wanted), "upward");
        assert_eq!(cursor.current().map(|(key, _)| key), Some(&wanted.0[..]), "the row given out last");
    }
    assert!(cursor.next(view)?.is_none(), "rows behind the last");
    for wanted in model.iter().rev() {
        let found = cursor.prev(view)?.map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert_eq!(found.as_ref().map(|(key, value)| (key, value)), Some(wanted), "downward");
    }
    assert!(cursor.prev(view)?.is_none(), "rows before the first");
    compare_lazily(index, view, model)?;
    for _ in 0..20 {
        let key = dice.key();
        let mut value = Vec::new();
        let found = index.get_into(view, &key, &mut value)?.then_some(&value);
        assert_eq!(found, model.get(&key), "the value of {key:02x?}");
        assert_eq!(read_stream(index, view, &key)?.as_ref(), model.get(&key), "the stream of {key:02x?}");
        cursor.seek(&key);
        let above = model.range(key.clone()..).next().map(|(key, _)| &key[..]);
        assert_eq!(cursor.next(view)?.map(|(key, _)| key), above, "at or above {key:02x?}");
        cursor.seek_back(&key);
        let below = model.range(..=key.clone()).next_back().map(|(key, _)| &key[..]);
        assert_eq!(cursor.prev(view)?.map(|(key, _)| key), below, "at or below {key:02x?}");
    }
    cursor.seek_last();
    assert_eq!(cursor.prev(view)?.map(|(key, _)| key), model.keys().next_back().map(|key| &key[..]), "last");
    cursor.seek_first();
    assert_eq!(cursor.next(view)?.map(|(key, _)| key), model.keys().next().map(|key| &key[..]), "first");
    Ok(())
}

fn read_stream(index: &dyn OrderedIndex, view: &ReadView, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(mut reader) = index.get_stream(view, key)? else { return Ok(None) };
    let mut value = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut value).expect("the pages are in memory");
    Ok(Some(value))
}

/// Upward without the values that stand apart, each of which a stream reads; now and then back over the row, which then has its value.
fn compare_lazily(index: &dyn OrderedIndex, view: &ReadView, model: &Model) -> Result<()> {
    let mut cursor = index.cursor();
    for (number, (wanted, whole)) in model.iter().enumerate() {
        let row = cursor.next_lazy(view)?.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        let Some((key, value)) = row else { panic!("{wanted:02x?} was passed by") };
        assert_eq!(&key, wanted, "upward, lazily");
        let current = cursor.current().map(|(_, value)| value.to_vec());
        assert_eq!(
            current,
            Some(value.clone().unwrap_or_default()),
            "the value given out last of {key:02x?}"
        );
        let value = value.map_or_else(|| read_stream(index, view, &key), |value| Ok(Some(value)))?;
        assert_eq!(value.as_ref(), Some(whole), "the value of {key:02x?}, lazily");
        if number.is_multiple_of(3) {
            assert_eq!(cursor.prev(view)?, Some((&wanted[..], &whole[..])), "back over {key:02x?}");
            assert_eq!(cursor.next(view)?.map(|(key, _)| key), Some(&wanted[..]), "over {key:02x?} again");
        }
    }
    assert!(cursor.next_lazy(view)?.is_none(), "rows behind the last");
    Ok(())
}

/// A check finds nothing, and as many rows as there are.
pub(super) fn expect_sound(world: &World, rows: usize) -> Result<()> {
    let found = world.index.check(&world.txns.view())?;
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.entries, rows as u64, "rows that the check has met");
    let shape = world.index.shape()?;
    assert_eq!(shape.leaf_pages, found.leaves, "leaves");
    let (view, mut rows_left) = (world.txns.view(), rows);
    world.index.salvage(&view, &mut |found| {
        assert!(matches!(found, crate::Salvaged::Row(..)), "a loss in a sound index: {found:?}");
        rows_left -= 1;
        Ok(())
    })?;
    assert_eq!(rows_left, 0, "rows that a salvage has not met");
    Ok(())
}
