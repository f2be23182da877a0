//! Runs of transactions that read and change a few keys at two levels of isolation, for `tla/snapshots`: some are prepared, and
//! decided by anybody.
//!
//! The whole engine is the code under test, up to keyspaces; only who begins what when is decided here.

mod told;

use crate::{Dice, Trace, stage};
use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, Durability, Isolation, Keyspace, Options, TxnOptions, WalConfig};
use aether_kv::{Result, Txn};
use aether_sim::Sim;
use aether_sync::{Arc, Mutex, Rank};
use aether_trace::{act, act_if, take};
use std::path::Path;
use std::time::Duration;

const KEYS: usize = 3;
const WORKERS: u64 = 3;
/// Of one worker: as many of each level as the spec's numbers have room for.
const LEVELS: [Isolation; 4] =
    [Isolation::Serializable, Isolation::Snapshot, Isolation::Serializable, Isolation::Snapshot];
/// Taken under no lock of the engine.
const UNDECIDED: Rank = Rank::new(1, "undecided");
/// What a read tells of a key that it did not ask for, and of one that is not there.
const NOT_ASKED: u64 = 0;
const MISSING: u64 = 1;
/// Above those.
const FIRST_TAG: u64 = 10;

struct World {
    env: DbEnv,
    rows: Keyspace,
    undecided: Mutex<Vec<u64>>,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let world = Arc::new(World::open(seed).expect("a store on a sound disk opens"));
    // What has led here is the spec's initial state.
    drop(take());
    let workers = (0..WORKERS).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number + 1));
        stage::worker(number + 1, move || {
            // A conflict ends a transaction, nothing ends the store.
            world.work(number, &mut dice).expect("the store is sound");
        })
    });
    stage::join(workers);
    told::translate(&take())
}

impl World {
    fn open(seed: u64) -> Result<Self> {
        let streams = 1 + (seed % 2) as usize;
        let options = Options {
            buffer: BufferConfig { num_frames: 96, ..BufferConfig::default() },
            wal: WalConfig {
                streams,
                segment_bytes: 256 << 10,
                ring_bytes: 128 << 10,
                ..WalConfig::default()
            },
            durability: Durability::None,
            background: false,
            ..Options::default()
        };
        let env = DbEnv::open_in(Sim::new(seed).env(), Path::new("/home"), options)?;
        let rows = env.open_or_create_keyspace("rows")?;
        Ok(Self { env, rows, undecided: Mutex::new(UNDECIDED, Vec::new()) })
    }

    fn work(&self, number: u64, dice: &mut Dice) -> Result<()> {
        let first = dice.below(2) as usize;
        for (level, place) in LEVELS.iter().cycle().skip(first).zip(0..2 + dice.below(3)) {
            self.transaction(FIRST_TAG * (1 + number) + place, *level, dice)?;
            if dice.once_in(2) {
                self.decide(dice)?;
            }
        }
        Ok(())
    }

    fn transaction(&self, tag: u64, level: Isolation, dice: &mut Dice) -> Result<()> {
        // Nobody waits for long: who would decide?
        let patience = Duration::from_micros(100 * dice.below(2));
        let options = TxnOptions { lock_timeout: Some(patience), ..TxnOptions::at(level) };
        let is_serializable = u64::from(level == Isolation::Serializable);
        let mut txn = act("Begin", || self.env.begin_with(options), |_| [tag, is_serializable])?;
        let mut wrote = false;
        for _ in 0..2 + dice.below(3) {
            match dice.below(5) {
                0 | 1 => self.read(&txn, dice.below(KEYS as u64) as usize)?,
                2 => self.read_all(&txn)?,
                _ if self.write(&mut txn, tag, dice.below(KEYS as u64)) => wrote = true,
                _ => return act("Abort", || txn.abort(), |_| [tag]),
            }
        }
        self.end(txn, tag, wrote, dice)
    }

    fn read(&self, txn: &Txn, place: usize) -> Result<()> {
        let get = || {
            let mut shown = [NOT_ASKED; KEYS];
            shown[place] = tag_of(txn.get(&self.rows, &key(place as u64))?);
            Ok(shown)
        };
        act_if("Read", get, |shown: &Result<_>| shown.as_ref().ok().copied()).map(drop)
    }

    fn read_all(&self, txn: &Txn) -> Result<()> {
        let scan = || {
            let mut shown = [MISSING; KEYS];
            for row in txn.iter(&self.rows)? {
                let (key, value) = row?;
                shown[usize::from(key[0] - b'a')] = tag_of(Some(value));
            }
            Ok(shown)
        };
        act_if("Read", scan, |shown: &Result<_>| shown.as_ref().ok().copied()).map(drop)
    }

    /// False if another was first.
    fn write(&self, txn: &mut Txn, tag: u64, place: u64) -> bool {
        let put = || txn.put(&self.rows, &key(place), &tag.to_le_bytes()).is_ok();
        act_if("Write", put, |done| done.then_some([tag, place + 1]))
    }

    /// Who is refused is rolled back; what commits tells so itself, unless it only read.
    fn end(&self, txn: Txn, tag: u64, wrote: bool, dice: &mut Dice) -> Result<()> {
        match dice.below(8) {
            0 => act("Abort", || txn.abort(), |_| [tag]),
            1..4 if wrote => {
                let prepared = act_if("Abort", || txn.prepare(&gtid(tag)), |done| refused(done, tag));
                if prepared.is_ok() {
                    self.undecided.lock().push(tag);
                }
                Ok(())
            }
            _ if wrote => {
                let _ = act_if("Abort", || txn.commit(), |done| refused(done, tag));
                Ok(())
            }
            _ => act("Commit", || txn.commit(), |_| []),
        }
    }

    fn decide(&self, dice: &mut Dice) -> Result<()> {
        let tag = {
            let mut undecided = self.undecided.lock();
            match undecided.len() as u64 {
                0 => return Ok(()),
                count => undecided.swap_remove(dice.below(count) as usize),
            }
        };
        if dice.once_in(3) {
            return act("Abort", || self.env.rollback_prepared(&gtid(tag)), |_| [tag]).map(drop);
        }
        self.env.commit_prepared(&gtid(tag)).map(drop)
    }
}

fn refused(done: &Result<()>, tag: u64) -> Option<[u64; 1]> {
    done.is_err().then_some([tag])
}

fn key(place: u64) -> [u8; 1] {
    [b'a' + place as u8]
}

fn gtid(tag: u64) -> [u8; 8] {
    tag.to_le_bytes()
}

/// Who wrote a value.
fn tag_of(value: Option<Vec<u8>>) -> u64 {
    value.map_or(MISSING, |value| value.try_into().map_or(u64::MAX, u64::from_le_bytes))
}
