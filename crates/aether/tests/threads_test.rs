//! Threads on one small home: own keys, shared counters, scans, large values, checkpoints and evictions at once. Each thread
//! knows what its keys hold; the counters must add up; the store must be sound, and the same after reopening.
//!
//! `AETHER_STRESS_SECONDS` makes it longer, `AETHER_STRESS_SEED` different.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{Db, Durability, ErrorKind, Options, Result, Txn};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const THREADS: u64 = 6;
const OWN_KEYS: u64 = 400;
const COUNTERS: u64 = 8;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn options(streams: usize) -> Options {
    Options {
        buffer: aether::buffer::BufferConfig { num_frames: 160, ..Default::default() },
        wal: aether::wal::WalConfig {
            streams,
            segment_bytes: 512 << 10,
            ring_bytes: 256 << 10,
            ..Default::default()
        },
        max_recovery_bytes: 2 << 20,
        durability: Durability::None,
        ..Options::default()
    }
}

struct Worker<'d> {
    db: &'d Db,
    id: u64,
    random: u64,
    model: Model,
    counted: &'d AtomicU64,
}

impl Worker<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// Own keys of all threads lie between each other, so that they share leaves.
    fn key(&mut self) -> Vec<u8> {
        let number = self.below(OWN_KEYS);
        format!("key/{number:06}/{}", self.id).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.below(40) {
            0 => 3000 + self.below(30_000),
            1..8 => 200 + self.below(700),
            _ => self.below(100),
        };
        let byte = self.below(256) as u8;
        vec![byte; length as usize]
    }

    fn step(&mut self) -> Result<()> {
        match self.below(20) {
            0..3 => self.count(),
            3 => self.scan(),
            4 => self.roll_back(),
            5..9 => self.read(),
            _ => self.write(),
        }
    }

    /// A transaction of several puts and deletes; nobody else writes these keys.
    fn write(&mut self) -> Result<()> {
        let mut txn = self.db.begin()?;
        let mut after = self.model.clone();
        for _ in 0..1 + self.below(6) {
            self.change(&mut txn, &mut after)?;
        }
        txn.commit()?;
        self.model = after;
        Ok(())
    }

    fn change(&mut self, txn: &mut Txn, after: &mut Model) -> Result<()> {
        let key = self.key();
        if self.below(3) == 0 {
            assert_eq!(txn.delete(self.db.keyspace(), &key)?, after.remove(&key).is_some());
            return Ok(());
        }
        let value = self.value();
        txn.put(self.db.keyspace(), &key, &value)?;
        after.insert(key, value);
        Ok(())
    }

    /// The same, but undone: to a savepoint, or wholly.
    fn roll_back(&mut self) -> Result<()> {
        let mut txn = self.db.begin()?;
        let mut kept = self.model.clone();
        self.change(&mut txn, &mut kept)?;
        let (mark, mut dropped) = (txn.savepoint(), kept.clone());
        for _ in 0..4 {
            self.change(&mut txn, &mut dropped)?;
        }
        if self.below(2) == 0 {
            return txn.abort();
        }
        txn.rollback_to(&mark)?;
        txn.commit()?;
        self.model = kept;
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let key = self.key();
        assert_eq!(self.db.get(&key)?, self.model.get(&key).cloned(), "thread {}", self.id);
        Ok(())
    }

    /// Adds one to a counter that all share.
    fn count(&mut self) -> Result<()> {
        let key = format!("counter/{}", self.below(COUNTERS)).into_bytes();
        loop {
            let mut txn = self.db.begin()?;
            let now = txn.get(self.db.keyspace(), &key)?.map_or(0, |bytes| number(&bytes));
            match txn.put(self.db.keyspace(), &key, &(now + 1).to_be_bytes()) {
                Ok(()) => txn.commit()?,
                Err(error) if error.kind() == ErrorKind::Conflict => continue,
                Err(error) => return Err(error),
            }
            self.counted.fetch_add(1, Relaxed);
            return Ok(());
        }
    }

    /// A snapshot shows the own keys as they are, in order, twice the same.
    fn scan(&mut self) -> Result<()> {
        let snapshot = self.db.snapshot()?;
        let forward: Vec<_> = snapshot.prefix(self.db.keyspace(), b"key/")?.collect::<Result<_>>()?;
        assert!(forward.windows(2).all(|pair| pair[0].0 < pair[1].0), "rows out of order");
        let mut backward: Vec<_> =
            snapshot.prefix(self.db.keyspace(), b"key/")?.rev().collect::<Result<_>>()?;
        backward.reverse();
        assert!(forward == backward, "a snapshot moved: {}", difference(&forward, &backward));
        let own = format!("/{}", self.id).into_bytes();
        let mine: Model = forward.into_iter().filter(|(key, _)| key.ends_with(&own)).collect();
        assert!(mine == self.model, "thread {}: {} rows, {} expected", self.id, mine.len(), self.model.len());
        Ok(())
    }
}

/// What two scans do not agree on.
fn difference(forward: &[(Vec<u8>, Vec<u8>)], backward: &[(Vec<u8>, Vec<u8>)]) -> String {
    let only = |rows: &[(Vec<u8>, Vec<u8>)], others: &[(Vec<u8>, Vec<u8>)]| {
        let own = rows.iter().filter(|row| !others.contains(row));
        own.map(|(key, value)| format!("{} ({} B)", String::from_utf8_lossy(key), value.len()))
            .collect::<Vec<_>>()
    };
    format!("forward only {:?}, backward only {:?}", only(forward, backward), only(backward, forward))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn counters(db: &Db) -> u64 {
    db.prefix(b"counter/").unwrap().map(|row| number(&row.unwrap().1)).sum()
}

fn share_a_home(streams: usize) {
    let (seconds, seed) = (variable("AETHER_STRESS_SECONDS", 4), variable("AETHER_STRESS_SEED", 1));
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    let db = Db::open_with(&home, options(streams)).unwrap();
    let (counted, until) = (AtomicU64::new(0), Instant::now() + Duration::from_secs(seconds));
    let work = |id: u64| {
        let random = (seed * 1000 + id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut worker = Worker { db: &db, id, random, model: Model::new(), counted: &counted };
        while Instant::now() < until {
            worker.step().unwrap();
        }
        worker.model
    };
    let models: Vec<Model> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|id| {
                scope.spawn({
                    let work = &work;
                    move || work(id)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let expected: Model = models.into_iter().flatten().collect();
    let is_right = |db: &Db| {
        let found: Model = db.prefix(b"key/").unwrap().collect::<Result<_>>().unwrap();
        assert!(found == expected, "{} rows, {} expected", found.len(), expected.len());
        assert_eq!(counters(db), counted.load(Relaxed));
        assert_eq!(db.env().verify().unwrap().problems, [""; 0]);
    };
    is_right(&db);
    db.env().clone().close().unwrap();
    drop(db);
    is_right(&Db::open_with(&home, options(streams)).unwrap());
}

#[test]
fn threads_share_a_home() {
    share_a_home(1);
}

#[test]
fn threads_share_a_home_with_several_log_streams() {
    share_a_home(3);
}
