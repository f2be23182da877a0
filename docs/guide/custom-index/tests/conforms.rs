//! The suite of Aether for indexes, unchanged, over the index of this crate; and a home that has a keyspace of the kind.

use aether_index::conformance::{Disk, Effort, all};
use aether_sim::{CrashPolicy, Sim};
use aether_sync::Arc;
use aether_vfs::Env;
use custom_index::{FACTORY, KIND};
use std::path::Path;

struct Simulated(Sim);

impl Disk for Simulated {
    fn env(&self) -> Env {
        self.0.env()
    }

    fn op_count(&self) -> u64 {
        self.0.op_count()
    }

    fn cut_power_at(&self, op: u64) {
        self.0.cut_power_at(op);
    }

    fn after_crash(&self, seed: u64) -> Self {
        let policies = CrashPolicy::all(seed);
        Self(self.0.crash_image(policies[seed as usize % policies.len()]))
    }
}

#[test]
fn the_directory_conforms() {
    all(Arc::new(FACTORY), Effort::default(), |seed| Simulated(Sim::new(seed)));
}

#[test]
fn a_home_keeps_a_keyspace_of_the_kind() -> aether::Result<()> {
    let env = Env::memory();
    let options = || aether::Options { background: false, ..aether::Options::default() };
    let open =
        || aether::DbEnv::open_in(env.clone(), Path::new("/home"), options().register_index(KIND, FACTORY));
    let db = open()?;
    let mut txn = db.begin()?;
    let space = db.create_keyspace(&mut txn, "mine", aether::KeyspaceOptions::of(KIND))?;
    for number in 0..2000u32 {
        txn.put(&space, &number.to_be_bytes(), &[number as u8; 100])?;
    }
    txn.commit()?;
    drop(space);
    db.close()?;
    let refused = aether::DbEnv::open_in(env.clone(), Path::new("/home"), options()).err();
    let refused = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("`mine`") && refused.contains("64"), "{refused}");
    let db = open()?;
    let rows = db.snapshot()?.iter(&db.keyspace("mine")?)?.count();
    assert_eq!((rows, db.verify()?.problems), (2000, Vec::new()));
    Ok(())
}
