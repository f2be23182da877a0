//! Power cuts at every operation of replacing large values, and again while the restart frees them: no page stays.

use crate::catalog::DEFAULT_NAME;
use crate::convert::tests::world::{Case, Dice};
use crate::garbage::tests::PagesInUse;
use crate::{DbEnv, IndexKind, KeyspaceOptions, Result};
use aether_sim::{CrashPolicy, Sim};
use aether_types::ErrorKind;

const NAME: &str = "rows";
const ROWS: u64 = 3;

fn case(kind: IndexKind, streams: usize) -> Case {
    Case { name: NAME, streams, from: kind, to: kind, large_bytes: 0, segment_bytes: 256 << 10 }
}

/// Large values come, are replaced and go: in transactions that commit, that roll back, and that take only a part back; and while a snapshot
/// sees them. An error is the power's.
fn live(case: Case, sim: &Sim, seed: u64) -> Result<()> {
    let (env, mut dice) = (case.open(sim)?, Dice(seed + 1));
    judge(&env)?;
    let rows = match env.keyspace(NAME) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            env.transact(|txn| env.create_keyspace(txn, NAME, KeyspaceOptions::of(case.from)))?
        }
        found => found?,
    };
    let mut held = None;
    for step in 0..16 {
        let mut value = || vec![step as u8; 1500 + dice.below(9000) as usize];
        let (first, second, key) = (value(), value(), dice.below(ROWS).to_be_bytes());
        let mut txn = env.begin()?;
        txn.put(&rows, &key, &first)?;
        match dice.below(4) {
            0 => _ = txn.delete(&rows, &key)?,
            1 => {
                let mark = txn.savepoint();
                txn.put(&rows, &key, &second)?;
                txn.rollback_to(&mark)?;
            }
            2 => txn.put(&rows, &key, &second)?,
            _ => {}
        }
        if dice.below(4) == 0 {
            txn.abort()?
        } else {
            txn.commit()?
        }
        match step % 5 {
            1 => held = Some(env.snapshot()?),
            3 => held = None,
            4 => env.checkpoint()?,
            _ => {}
        }
    }
    drop(held);
    judge(&env)
}

/// What nobody can see any more is free, and all that is in use is known.
fn judge(env: &DbEnv) -> Result<()> {
    let inner = &env.0;
    inner.store.log().map_or(Ok(()), |log| log.flush_all().map(drop))?;
    inner.txns.collect()?;
    assert_eq!(inner.catalog.retired(&inner.txns.view())?, Vec::<Vec<u8>>::new());
    let pages = PagesInUse::of(env)?;
    assert_eq!(pages.values, pages.values_known);
    assert_eq!(env.verify()?.problems, Vec::<String>::new());
    Ok(())
}

fn cut_everywhere(kind: IndexKind, streams: usize) {
    (1..5).for_each(|seed| cut_each(kind, streams, seed));
}

fn cut_each(kind: IndexKind, streams: usize, seed: u64) {
    let (case, sim) = (case(kind, streams), Sim::new(1));
    drop(case.open(&sim).unwrap());
    let mut dice = Dice(seed * 8 + streams as u64);
    for cut in 0.. {
        let dead = sim.fork();
        dead.cut_power_at(cut);
        let lived = live(case, &dead, seed);
        assert!(lived.is_ok() || dead.is_off(), "without a power cut: {:?}", lived.err());
        let policies = CrashPolicy::all(cut);
        let policy = policies[dice.below(policies.len() as u64) as usize];
        let image = if cut % 2 == 0 { dead.crash_image(policy) } else { dead.kill_image() };
        let again = image.fork();
        again.cut_power_at(dice.below(60));
        let lived = live(case, &again, seed + 1);
        assert!(lived.is_ok() || again.is_off(), "after a power cut: {:?}", lived.err());
        live(case, &again.crash_image(CrashPolicy::Mixed { seed: dice.next() }), seed + 2).unwrap();
        if !dead.is_off() {
            assert!(cut > 40, "{cut} operations");
            break;
        }
    }
}

#[test]
fn replaced_values_of_a_tree_leave_nothing() {
    [1, 2, 4].into_iter().for_each(|streams| cut_everywhere(IndexKind::BTREE, streams));
}

#[test]
fn replaced_slices_of_an_image_leave_nothing() {
    [1, 2, 4].into_iter().for_each(|streams| cut_everywhere(IndexKind::SKIPLIST, streams));
}

#[test]
fn replaced_values_of_a_radix_tree_leave_nothing() {
    cut_everywhere(IndexKind::RAX, 2);
}

/// The list has many leaves, whose keys are stored without what they share: one of another leaf looks like one of this. A few rows far apart
/// are due, those between are not.
#[test]
fn rows_of_a_long_list_are_told_apart() {
    const KEYS: u64 = 1500;
    let (case, sim) = (case(IndexKind::BTREE, 1), Sim::new(1));
    let env = case.open(&sim).unwrap();
    let rows = env.keyspace(DEFAULT_NAME).unwrap();
    let put = |byte: u8, is_wanted: &dyn Fn(u64) -> bool| {
        for key in (0..KEYS).filter(|key| is_wanted(*key)) {
            env.transact(|txn| txn.put(&rows, &key.to_be_bytes(), &[byte; 1200])).unwrap();
        }
    };
    let listed = || env.0.catalog.retired(&env.0.txns.view()).unwrap().len() as u64;
    put(1, &|_| true);
    let first = env.snapshot().unwrap();
    let is_due = |key: u64| key.is_multiple_of(257);
    put(2, &is_due);
    let second = env.snapshot().unwrap();
    put(2, &|key| !is_due(key));
    assert_eq!(listed(), KEYS);
    drop(first);
    env.0.txns.collect().unwrap();
    assert_eq!(listed(), KEYS - KEYS.div_ceil(257));
    drop(second);
    judge(&env).unwrap();
}

/// More extents than one group frees: a row of the list for each group.
#[test]
fn a_value_of_many_extents_is_freed_by_the_next_open() {
    let (case, sim) = (case(IndexKind::BTREE, 2), Sim::new(1));
    let env = case.open(&sim).unwrap();
    let rows = env.keyspace(DEFAULT_NAME).unwrap();
    let put = |value: &[u8]| env.transact(|txn| txn.put(&rows, b"k", value)).unwrap();
    put(&vec![7; 40 << 20]);
    let held = env.snapshot().unwrap();
    put(b"");
    let listed = env.0.catalog.retired(&env.0.txns.view()).unwrap();
    assert_eq!(listed.len(), 2);
    let image = sim.kill_image();
    drop((held, env));
    let env = case.open(&image).unwrap();
    assert_eq!(env.0.catalog.retired(&env.0.txns.view()).unwrap(), listed);
    judge(&env).unwrap();
    assert_eq!(PagesInUse::of(&env).unwrap().values, 0);
}
