//! The load: one thread puts and deletes, one reads.

use crate::frame::Counts;
use aether::lsm::{Lsm, LsmConfig, PolicyKind};
use aether::{Db, DbEnv, Durability, Error, KeyspaceOptions, Options, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Small, so that there is something to see.
pub(crate) const MEMTABLE_BYTES: u64 = 1 << 20;
/// Of so many changes one is a deletion.
const DELETE_EVERY: u64 = 8;
/// The reader pauses after so many gets, and leaves the machine to the writer.
const GETS: u64 = 64;

/// A load that runs.
pub(crate) struct Load {
    db: Db,
    tree: Lsm,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Load {
    /// Starts it in a new home.
    pub(crate) fn start(home: &Path, policy: PolicyKind, keys: u64) -> Result<Self> {
        let options = Options {
            durability: Durability::Async { interval: Duration::from_millis(50) },
            lsm: LsmConfig { memtable_bytes: MEMTABLE_BYTES, ..LsmConfig::default() },
            ..Options::default()
        };
        let env = DbEnv::open(home, options)?;
        env.transact(|txn| env.create_keyspace(txn, "load", KeyspaceOptions::lsm(policy)).map(drop))?;
        let db = Db::in_env(env, "load")?;
        let tree = db.env().lsm(db.keyspace()).ok_or_else(|| Error::invalid("`load` is an LSM tree"))?;
        let shared = Arc::new(Shared::default());
        let threads = [write, read].map(|work: fn(&Db, &Shared, u64) -> Result<()>| {
            let (db, shared) = (db.clone(), shared.clone());
            thread::spawn(move || work(&db, &shared, keys))
        });
        Ok(Self { db, tree, shared, threads: threads.into() })
    }

    pub(crate) fn tree(&self) -> &Lsm {
        &self.tree
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { puts: self.shared.puts.load(Relaxed), gets: self.shared.gets.load(Relaxed) }
    }

    /// False if a thread has met an error, which [`Load::stop`] tells.
    pub(crate) fn is_running(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Ends it; the first error that a thread has met.
    pub(crate) fn stop(self) -> Result<()> {
        self.shared.is_over.store(true, Relaxed);
        let ended: Vec<_> = self.threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        drop(self.tree);
        ended.into_iter().collect::<Result<()>>()?;
        self.db.env().clone().close()
    }
}

fn write(db: &Db, shared: &Shared, keys: u64) -> Result<()> {
    let mut chance = Chance(1);
    while !shared.is_over.load(Relaxed) {
        let (key, number) = (key(chance.next() % keys), chance.next());
        match number % DELETE_EVERY {
            0 => drop(db.delete(&key)?),
            _ => db.put(&key, format!("{number:020}, and what else there is to say of it").as_bytes())?,
        }
        shared.puts.fetch_add(1, Relaxed);
    }
    Ok(())
}

fn read(db: &Db, shared: &Shared, keys: u64) -> Result<()> {
    let mut chance = Chance(2);
    while !shared.is_over.load(Relaxed) {
        (0..GETS).try_for_each(|_| db.get(&key(chance.next() % keys)).map(drop))?;
        shared.gets.fetch_add(GETS, Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn key(number: u64) -> Vec<u8> {
    format!("key-{number:012}").into_bytes()
}

/// Steele et al., "Fast splittable pseudorandom number generators" (OOPSLA 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
