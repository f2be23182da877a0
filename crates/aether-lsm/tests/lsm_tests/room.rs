//! Log and memory are let go; transactions larger than memtables; the policy lasts.

use crate::rng::Rng;
use crate::world::{Model, Shape, World};
use aether_lsm::index::Index;
use aether_lsm::index::txn::Durability;
use aether_lsm::index::txn::recovery::wal::buffer::Charge;
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::LsmConfig;
use aether_sim::{CrashPolicy, Sim};
use aether_types::{Error, ErrorKind, Result};
use std::time::Duration;

/// A log of a MiB, and memtables that hold more than that.
fn small_log(streams: usize) -> Shape {
    let shape = Shape::of_streams(streams);
    let lsm = LsmConfig { memtable_bytes: 16 << 20, ..shape.lsm };
    Shape { max_recovery_bytes: 1 << 20, lsm, ..shape }
}

/// What nobody changes any more does not hold the log.
#[test]
fn an_idle_tree_lets_the_log_go() {
    let sim = Sim::new(4);
    let world = World::open(&sim, small_log(1)).unwrap();
    let mut model = Model::new();
    for n in 0..50u64 {
        world.put(&n.to_be_bytes(), b"idle");
        model.insert(n.to_be_bytes().to_vec(), b"idle".to_vec());
    }
    for n in 0..20_000u64 {
        let mut txn = world.manager.begin();
        world.beside.put(&mut txn, &(n % 100).to_be_bytes(), &[1; 100]).unwrap();
        drop(txn.commit_with(Durability::None).unwrap());
    }
    let stats = world.store.checkpoint_stats();
    assert!(stats.log_bytes < 4 << 20, "{stats:?}");
    world.close().unwrap();
    let again = World::open(&sim.kill_image(), small_log(1)).unwrap();
    assert!(again.report.clean);
    assert_eq!(again.rows(), model);
}

/// Far more is written than the log may have, below a transaction that is never over; a crash then leaves little to redo.
#[test]
fn the_log_is_let_go_while_rows_are_written() {
    for streams in [1, 3] {
        let sim = Sim::new(3);
        let world = World::open(&sim, small_log(streams)).unwrap();
        let (mut model, mut rng) = (Model::new(), Rng(9));
        let mut open = world.manager.begin();
        world.tree.put(&mut open, b"open", b"never seen").unwrap();
        let mut most = 0;
        for n in 0..20_000u64 {
            let key = if n < 2_000 { n } else { rng.below(2_000) }.to_be_bytes();
            world.put(&key, &[n as u8; 100]);
            model.insert(key.to_vec(), vec![n as u8; 100]);
            most = most.max(world.store.checkpoint_stats().log_bytes);
        }
        assert!(most < 4 << 20, "{most} bytes of log were kept");
        world.sync();
        let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), small_log(streams)).unwrap();
        assert_eq!(again.rows(), model);
        assert!(again.report.log_bytes < 4 << 20 && again.report.losers == 1, "{:?}", again.report);
        assert_eq!(again.problems(), Vec::<String>::new());
        drop(open);
    }
}

/// A transaction of ten memtables and more, with flushes below it: it commits, or it is rolled back, also by a restart.
#[test]
fn a_transaction_larger_than_memtables_ends_either_way() {
    let (sim, shape) = (Sim::new(5), Shape::of_streams(1));
    let world = World::open(&sim, shape).unwrap();
    let mut model = Model::new();
    for round in 0..6u8 {
        let mut txn = world.manager.begin();
        let mut next = model.clone();
        for n in 0..400u64 {
            let key = (n * 7 % 400).to_be_bytes();
            if n % 5 == u64::from(round) % 5 {
                assert_eq!(world.tree.delete(&mut txn, &key).unwrap(), next.remove(&key[..]).is_some());
            } else {
                world.tree.put(&mut txn, &key, &vec![round; 100 + n as usize % 300]).unwrap();
                next.insert(key.to_vec(), vec![round; 100 + n as usize % 300]);
            }
            if n % 100 == 50 {
                world.tree.flush().unwrap();
            }
        }
        assert_eq!(crate::world::rows(&world.tree, txn.view()), next);
        assert_eq!(world.rows(), model);
        world.sync();
        let again = World::open(&sim.kill_image(), shape).unwrap();
        assert_eq!(again.rows(), model, "it was never over");
        if round % 2 == 0 {
            txn.commit().unwrap();
            model = next;
        } else {
            txn.abort().unwrap();
        }
        assert_eq!(world.rows(), model);
        let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), shape).unwrap();
        assert_eq!(again.rows(), model);
    }
    world.tree.flush().unwrap();
    world.tree.merge_all().unwrap();
    assert_eq!((world.rows(), world.tree.stat().memory_rows), (model, 0));
}

/// Switches by call and by use, as they are told before a restart and after it; no more than the last sixteen.
#[test]
fn switches_of_the_policy_survive_a_restart() {
    let (sim, shape) = (Sim::new(7), Shape::of_streams(1));
    let world = World::open(&sim, shape).unwrap();
    world.tree.set_policy(PolicyKind::Leveled).unwrap();
    let told = |world: &World| -> Vec<_> {
        world
            .tree
            .stat()
            .switches
            .iter()
            .map(|switch| (switch.to, switch.puts_of_thousand.is_some()))
            .collect()
    };
    assert_eq!(told(&world), [(PolicyKind::Leveled, false)]);
    world.tree.set_policy(PolicyKind::Adaptive).unwrap();
    // Nothing but changes: tiers are what suits.
    for n in 0..5 * 1024u64 {
        world.put(&(n % 60).to_be_bytes(), b"value");
        if n % 1024 == 0 {
            sim.clock().advance(Duration::from_secs(2));
        }
    }
    let switches = told(&world);
    assert_eq!(switches, [(PolicyKind::Leveled, false), (PolicyKind::Predictable, true)]);
    world.sync();
    let image = sim.crash_image(CrashPolicy::LoseAll);
    let again = World::open(&image, shape).unwrap();
    assert_eq!(again.tree.stat().switches, world.tree.stat().switches);
    for round in 0..20 {
        again.tree.set_policy([PolicyKind::Hanoi, PolicyKind::Fast][round % 2]).unwrap();
    }
    again.close().unwrap();
    let last = World::open(&image.kill_image(), shape).unwrap();
    assert_eq!((told(&last), last.problems()), (told(&again), Vec::new()));
    assert_eq!(told(&last).len(), 16);
}

#[test]
fn the_policy_survives_a_restart() {
    let (sim, shape) = (Sim::new(6), Shape::of_streams(1));
    let world = World::open(&sim, shape).unwrap();
    assert_eq!(world.tree.stat().policy.map(|(chosen, _)| chosen), Some(PolicyKind::Fast));
    for (policy, number) in
        [PolicyKind::Leveled, PolicyKind::Hanoi, PolicyKind::Adaptive].into_iter().zip(0u8..)
    {
        (0..40).for_each(|n| world.put(&[n], &[number; 200]));
        world.tree.set_policy(policy).unwrap();
        world.tree.flush().unwrap();
        world.tree.merge_all().unwrap();
        let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), shape).unwrap();
        assert_eq!(again.tree.stat().policy.map(|(chosen, _)| chosen), Some(policy));
        again.tree.merge_all().unwrap();
        assert_eq!(again.rows(), world.rows());
    }
}

/// A value in extents is no burden on memory, which has a stub of it: nobody has to flush for it.
#[test]
fn a_stream_pays_for_what_memory_holds_of_it() {
    const BYTES: usize = 2 << 20;
    let (sim, shape) = (Sim::new(8), Shape::of_streams(1));
    let lsm = LsmConfig { memtable_bytes: 64 << 10, ..shape.lsm };
    let world = World::open(&sim, Shape { lsm, ..shape }).unwrap();
    let large = vec![7; BYTES];
    // What a payer could flush.
    world.put(b"small", &[1; 40 << 10]);
    world.sync();
    let mut txn = world.manager.begin();
    Index::put_from(&world.tree, &mut txn, b"stream", BYTES as u64, &mut &large[..]).unwrap();
    world.tree.put(&mut txn, b"value", &large).unwrap();
    txn.commit().unwrap();
    let stat = world.tree.stat();
    assert_eq!((stat.flushed_bytes, stat.memory_rows), (0, 3), "{stat:?}");
    assert!(stat.put_bytes > 2 * BYTES as u64, "of what was put, all counts: {stat:?}");
    // As much again in memory is flushed.
    (0..100u64).for_each(|n| world.put(&n.to_be_bytes(), &[1; 4000]));
    assert!(world.tree.stat().flushed_bytes > 0);
    let view = world.manager.view();
    assert!(world.get(&view, b"stream") == Some(large.clone()) && world.get(&view, b"value") == Some(large));
}

/// Where the budget has no memory for a row, somebody makes some, once: what was read of the value is not read again.
#[test]
fn a_stream_is_tried_again_once_there_is_room() {
    for bytes in [3000, 200_000] {
        let (sim, shape) = (Sim::new(9), small_log(1));
        let shape = Shape { memory_bytes: 3 << 20, max_recovery_bytes: 64 << 20, ..shape };
        let world = World::open(&sim, shape).unwrap();
        let ballast = Charge::new(world.store.pool().budget().account("ballast"), 1 << 20).unwrap();
        fill_memory(&world);
        let value: Vec<_> = (0..bytes).map(|at| at as u8).collect();
        let put = |key: &[u8], make_room: &mut dyn FnMut() -> Result<bool>| {
            let mut txn = world.manager.begin();
            let from = &mut &value[..];
            let put = world.tree.memtable().put_from_with_room(&mut txn, key, bytes, from, make_room);
            txn.commit().unwrap();
            put.map_err(|error| error.kind())
        };
        let long_key = [b'k'; 500];
        assert_eq!(put(&long_key, &mut || Ok(false)), Err(ErrorKind::OverLimit));
        let failed = put(&long_key, &mut || Err(Error::new(ErrorKind::Io, "of making room")));
        assert_eq!(failed, Err(ErrorKind::Io), "and the transaction went on");
        let mut ballast = Some(ballast);
        put(&long_key, &mut || Ok(ballast.take().is_some())).unwrap();
        assert_eq!(world.get(&world.manager.view(), &long_key), Some(value));
        assert_eq!(world.problems(), Vec::<String>::new());
    }
}

/// Puts rows past the tree, so that nobody flushes, until there is no room for another, of a few bytes.
fn fill_memory(world: &World) {
    let mut number = 0u64;
    for bytes in [1000, 100] {
        loop {
            let mut txn = world.manager.begin();
            number += 1;
            let put = world.tree.memtable().put(&mut txn, &number.to_be_bytes(), &vec![1; bytes]);
            if let Err(full) = put {
                assert_eq!(full.kind(), ErrorKind::OverLimit);
                break;
            }
            txn.commit().unwrap();
        }
    }
}
