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
