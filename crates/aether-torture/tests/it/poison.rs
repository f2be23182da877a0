//! A failed write or sync ends writing on the handle (R2); stuck devices hold up nobody who does not need them.

use aether_kv::{DbEnv, ErrorKind, Keyspace, Txn};
use aether_sim::{Errno, Fault, OpKind, Sim};
use aether_sync::thread::{spawn, yield_now};
use aether_torture::shape::{self, Shape};

fn open(sim: &Sim) -> (DbEnv, Keyspace) {
    let env = DbEnv::open_in(sim.env(), shape::home(), Shape::new(0).options()).unwrap();
    let space = env.open_or_create_keyspace("alpha").unwrap();
    (env, space)
}

fn begin(env: &DbEnv, space: &Keyspace, key: &[u8]) -> Txn {
    let mut txn = env.begin().unwrap();
    txn.put(space, key, b"value").unwrap();
    txn
}

/// The transaction had written everything when a page file's sync failed: its commit was acknowledged all the same,
/// because the log was well. Found by the fault sweep, seed 2 with 20 transactions.
#[test]
fn no_commit_is_acknowledged_after_a_failed_sync_of_pages() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    let txn = begin(&env, &space, b"early");
    sim.inject(Fault::FailSyncDropsDirty { nth: 0 });
    assert!(env.checkpoint().is_err());
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Poisoned);
    drop(env);
    let (env, space) = open(&sim);
    assert_eq!(env.snapshot().unwrap().get(&space, b"early").unwrap(), None);
    begin(&env, &space, b"late").commit().unwrap();
}

/// The sync of the directory after old segments of the log were removed: the store went on. Found by the fault sweep.
#[test]
fn no_commit_is_acknowledged_after_a_failed_sync_of_the_directory() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    for number in 0..60_u8 {
        begin(&env, &space, &[number]).commit().unwrap();
    }
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::SyncDir, error: Errno::Eio, sticky: false });
    assert_eq!(env.checkpoint().unwrap_err().kind(), ErrorKind::Io);
    let refused = env.begin().map(drop).unwrap_err();
    assert!(refused.to_string().contains("SyncDir fails"), "{refused}");
    drop(env);
    let (env, space) = open(&sim);
    assert!(env.snapshot().unwrap().get(&space, &[59]).unwrap().is_some());
}

/// Waits until a call hangs in the device.
fn await_stuck(sim: &Sim) {
    while sim.stuck() == 0 {
        yield_now();
    }
}

#[test]
fn readers_go_on_while_the_log_is_stuck() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    begin(&env, &space, b"old").commit().unwrap();
    let txn = begin(&env, &space, b"new");
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Write });
    let commit = spawn("commit", move || txn.commit());
    await_stuck(&sim);
    let snapshot = env.snapshot().unwrap();
    assert!(snapshot.get(&space, b"old").unwrap().is_some());
    assert!(snapshot.get(&space, b"new").unwrap().is_none(), "what is not durable is shown to nobody");
    assert!(!commit.is_finished(), "what is not durable is not acknowledged");
    sim.release();
    commit.join().unwrap().unwrap();
    assert!(env.snapshot().unwrap().get(&space, b"new").unwrap().is_some());
}

#[test]
fn commits_go_on_while_a_page_file_is_stuck() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    begin(&env, &space, b"old").commit().unwrap();
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Sync });
    let checkpointer = env.clone();
    let checkpoint = spawn("checkpoint", move || checkpointer.checkpoint());
    await_stuck(&sim);
    begin(&env, &space, b"new").commit().unwrap();
    assert!(env.snapshot().unwrap().get(&space, b"new").unwrap().is_some());
    assert!(!checkpoint.is_finished());
    sim.release();
    checkpoint.join().unwrap().unwrap();
}

#[test]
fn a_stuck_log_that_fails_at_last_leaves_the_commit_in_doubt() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    begin(&env, &space, b"old").commit().unwrap();
    let txn = begin(&env, &space, b"new");
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Write });
    let commit = spawn("commit", move || txn.commit());
    await_stuck(&sim);
    sim.cut_power_at(0);
    assert_eq!(commit.join().unwrap().unwrap_err().kind(), ErrorKind::InDoubt);
}

#[test]
fn without_handles_a_store_says_so_and_is_whole() {
    let sim = Sim::new(1);
    let (env, space) = open(&sim);
    begin(&env, &space, b"old").commit().unwrap();
    env.close().unwrap();
    let options = || Shape::new(0).options();
    let mut refused = 0;
    for most in 0..12 {
        sim.inject(Fault::FewHandles { most });
        match DbEnv::open_in(sim.env(), shape::home(), options()) {
            Ok(env) => drop(env),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("open files"), "{error}");
            }
        }
        sim.heal();
    }
    assert!((1..12).contains(&refused), "{refused} of 12 refused");
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::List, error: Errno::Eio, sticky: false });
    assert!(DbEnv::open_in(sim.env(), shape::home(), options()).is_err());
    assert!(open(&sim).0.snapshot().unwrap().get(&space, b"old").is_ok());
}
