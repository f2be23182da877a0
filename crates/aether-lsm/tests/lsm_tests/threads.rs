//! Several threads of the system on one tree, which two threads of its own flush and merge: no reader sees half of a transfer,
//! memory stays bounded, the policy changes meanwhile.

use crate::rng::Rng;
use crate::world::{Model, Shape, World, rows};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::LsmConfig;
use aether_sim::{CrashPolicy, Sim};
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use aether_types::{Error, ErrorKind};
use std::thread;

const ACCOUNTS: u64 = 40;
const BALANCE: u64 = 1000;
const MEMTABLE_BYTES: u64 = 64 << 10;

fn shape(threads: usize) -> Shape {
    let shape = Shape::of_streams(2);
    Shape { lsm: LsmConfig { memtable_bytes: MEMTABLE_BYTES, threads, ..shape.lsm }, ..shape }
}

/// An account is its balance and bytes of chance behind it, some of them many enough for a file of values.
fn balance(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

fn account(balance: u64, rng: &mut Rng) -> Vec<u8> {
    let mut value = balance.to_le_bytes().to_vec();
    value.resize(8 + [30, 100, 500][rng.below(3) as usize], rng.next() as u8);
    value
}

/// Moves money from one account to another; some rows are deleted on the way.
fn transfer(world: &World, rng: &mut Rng) -> Result<(), Error> {
    let (from, to) = (rng.below(ACCOUNTS), rng.below(ACCOUNTS));
    if from == to {
        return Ok(());
    }
    let mut txn = world.manager.begin();
    let mut held = [0; 2];
    for (held, number) in held.iter_mut().zip([from, to]) {
        let mut value = Vec::new();
        assert!(world.tree.get_into(txn.view(), &number.to_be_bytes(), &mut value)?);
        *held = balance(&value);
    }
    let amount = rng.below(9).min(held[0]);
    for (number, next) in [(from, held[0] - amount), (to, held[1] + amount)] {
        if rng.below(8) == 0 {
            assert!(world.tree.delete(&mut txn, &number.to_be_bytes())?);
        }
        world.tree.put(&mut txn, &number.to_be_bytes(), &account(next, rng))?;
    }
    if rng.below(10) == 0 {
        return txn.abort();
    }
    txn.commit().map(drop)
}

#[test]
fn transfers_stay_whole_for_every_reader() {
    for threads in [0, 2] {
        together(threads);
    }
}

fn together(threads: usize) {
    let sim = Sim::new(8);
    let world = World::open(&sim, shape(threads)).unwrap();
    let mut rng = Rng(1);
    (0..ACCOUNTS).for_each(|n| world.put(&n.to_be_bytes(), &account(BALANCE, &mut rng)));
    let (is_over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let world = &world;
                scope.spawn(move || write(world, n))
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                read(&world);
                most.fetch_max(world.tree.stat().memory_bytes, Relaxed);
            }
        });
        scope.spawn(|| switch(&world, &is_over));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_over.store(true, Relaxed);
    });
    let most = most.load(Relaxed);
    assert!(most < 16 * MEMTABLE_BYTES, "{most} bytes of rows were in memory");
    // All merges may be under way still: accounts are few. Who writes on pays for them.
    let is_merged = || world.tree.stat().merged_bytes > 0;
    (0..20_000).take_while(|_| !is_merged()).for_each(|_| transfer(&world, &mut rng).unwrap());
    let stat = world.tree.stat();
    assert!(stat.flushed_bytes > 0 && stat.merged_bytes > 0, "{threads} threads: {stat:?}");
    read(&world);
    assert_eq!(world.problems(), Vec::<String>::new());
    let left = world.rows();
    world.sync();
    reopened(&sim.crash_image(CrashPolicy::LoseAll), &left);
    world.close().unwrap();
    reopened(&sim.kill_image(), &left);
}

/// The policy is set by two threads while another flushes, and frees the extents of large values: nobody meets a conflict.
#[test]
fn policies_change_beside_flushes() {
    let sim = Sim::new(9);
    let world = World::open(&sim, shape(0)).unwrap();
    let mut model = Model::new();
    thread::scope(|scope| {
        for policies in [[PolicyKind::Hanoi, PolicyKind::Fast], [PolicyKind::Leveled, PolicyKind::Adaptive]] {
            let world = &world;
            scope.spawn(move || {
                (0..1_000).for_each(|n| world.tree.set_policy(policies[n % 2]).unwrap());
            });
        }
        for n in 0..40u8 {
            let value = vec![n; if n % 2 == 0 { 6_000 } else { 3_000 }];
            world.put(&[n], &value);
            model.insert(vec![n], value);
            world.sync();
            world.tree.flush().unwrap();
        }
    });
    assert_eq!((world.rows(), world.tree.stat().memory_rows), (model, 0));
}

/// Results were left to threads that were no more: runs were not listed, and nothing was merged.
#[test]
fn who_writes_does_all_once_the_threads_are_stopped() {
    let (sim, mut rng) = (Sim::new(10), Rng(10));
    let world = World::open(&sim, shape(2)).unwrap();
    world.factory.stop();
    for number in 0..20_000u64 {
        world.put(&rng.next().to_be_bytes(), &[number as u8; 100]);
        if number % 16 == 0 {
            world.sync();
        }
    }
    let stat = world.tree.stat();
    assert!(stat.flushed_bytes > 0 && stat.merged_bytes > 0, "{stat:?}");
    assert!(stat.memory_bytes < 4 * MEMTABLE_BYTES, "{stat:?}");
    assert_eq!((world.rows().len(), world.problems()), (20_000, Vec::new()));
    world.close().unwrap();
}

fn reopened(image: &Sim, wanted: &Model) {
    assert_eq!(World::open(image, shape(0)).unwrap().rows(), *wanted);
}

fn write(world: &World, number: u64) {
    let mut rng = Rng(number);
    for _ in 0..2_000 {
        if let Err(error) = transfer(world, &mut rng) {
            let may_be = [ErrorKind::Conflict, ErrorKind::Deadlock, ErrorKind::TimedOut];
            assert!(may_be.contains(&error.kind()), "{error}");
        }
    }
}

/// All accounts are there, and hold together what they did at first; twice, for a snapshot does not change.
fn read(world: &World) {
    let reader = world.manager.begin();
    let first = rows(&world.tree, reader.view());
    assert_eq!(first.len() as u64, ACCOUNTS);
    assert_eq!(first.values().map(|value| balance(value)).sum::<u64>(), ACCOUNTS * BALANCE);
    for (key, value) in &first {
        assert_eq!(world.get(reader.view(), key).as_ref(), Some(value));
    }
    assert_eq!(rows(&world.tree, reader.view()), first);
}

fn switch(world: &World, is_over: &AtomicBool) {
    let policies = [PolicyKind::Hanoi, PolicyKind::Leveled, PolicyKind::Predictable, PolicyKind::Adaptive];
    for policy in policies.into_iter().cycle() {
        if is_over.load(Relaxed) {
            return;
        }
        world.tree.set_policy(policy).unwrap();
        thread::yield_now();
    }
}
