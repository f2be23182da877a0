//! The power is cut: what was acknowledged is there, and nothing by halves.

use super::dice::Dice;
use super::model::{Model, change, compare, expect_sound};
use super::world::{Disk, World};
use crate::traits::IndexFactory;
use aether_sync::Arc;
use aether_types::Result;

const TRANSACTIONS: usize = 14;

/// What is known when the power goes.
#[derive(Default)]
struct Known {
    acknowledged: Model,
    /// The state after the commit that was under way.
    asked: Option<Model>,
}

/// Runs a script of durable transactions, cuts the power at some call, opens what is left, and expects the state after the last
/// acknowledged commit or the one that was under way; then goes on with it, closes, and opens once more.
///
/// # Panics
/// If that is not so.
pub fn crashing<D: Disk>(factory: &Arc<dyn IndexFactory>, seed: u64, disk: impl Fn(u64) -> D) {
    let whole = disk(seed);
    run(&whole, factory, seed, &mut Known::default()).expect("nothing is in the way");
    let mut dice = Dice::new(!seed);
    let (cut, mut known) = (disk(seed), Known::default());
    let at = dice.next() % whole.op_count();
    cut.cut_power_at(at);
    let ended = run(&cut, factory, seed, &mut known);
    let left = cut.after_crash(dice.next());
    let recovered = recover(&left, factory, &mut known, &mut dice);
    if let Err(error) = recovered {
        panic!("seed {seed}, cut at call {at} ({ended:?}): {error}");
    }
}

fn run(disk: &impl Disk, factory: &Arc<dyn IndexFactory>, seed: u64, known: &mut Known) -> Result<()> {
    let (world, mut dice) = (World::open(disk.env(), factory)?, Dice::new(seed));
    for _ in 0..TRANSACTIONS {
        transact(&world, known, &mut dice)?;
    }
    world.txns.store().close()
}

fn transact(world: &World, known: &mut Known, dice: &mut Dice) -> Result<()> {
    let (mut next, mut txn) = (known.acknowledged.clone(), world.txns.begin());
    let changes = 1 + dice.below(60);
    change(&*world.index, &mut txn, &mut next, dice, changes)?;
    if dice.once_in(6) {
        return txn.abort();
    }
    known.asked = Some(next.clone());
    txn.commit()?;
    (known.acknowledged, known.asked) = (next, None);
    world.txns.collect()
}

fn recover(
    disk: &impl Disk,
    factory: &Arc<dyn IndexFactory>,
    known: &mut Known,
    dice: &mut Dice,
) -> Result<()> {
    let world = World::open(disk.env(), factory)?;
    let found = read(&world)?;
    let state = match known.asked.take() {
        Some(asked) if found == asked => asked,
        _ => core::mem::take(&mut known.acknowledged),
    };
    assert!(found == state, "{} rows are there, {} were acknowledged", found.len(), state.len());
    compare(&*world.index, &world.txns.view(), &state, dice)?;
    expect_sound(&world, state.len())?;
    known.acknowledged = state;
    for _ in 0..3 {
        transact(&world, known, dice)?;
    }
    world.txns.store().close()?;
    world.txns.store().release_lock();
    drop(world);
    let world = World::open(disk.env(), factory)?;
    compare(&*world.index, &world.txns.view(), &known.acknowledged, dice)?;
    expect_sound(&world, known.acknowledged.len())
}

fn read(world: &World) -> Result<Model> {
    let (view, mut cursor, mut rows) = (world.txns.view(), world.index.cursor(), Model::new());
    while let Some((key, value)) = cursor.next(&view)? {
        rows.insert(key.to_vec(), value.to_vec());
    }
    Ok(rows)
}
