//! Runs of prepared transactions, for `tla/two_phase_commit`: they change a few rows, are decided by two threads at once, which
//! may disagree, and forgotten, through crashes.
//!
//! The whole engine is the code under test, up to keyspaces. The power goes in the middle of an operation of the disk.

mod lives;
mod told;

use crate::home::after_crash;
use crate::{Dice, Trace, stage};
use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, Durability, Keyspace, Options, Resolution, Result, WalConfig};
use aether_sim::Sim;
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_sync::{Arc, Mutex, Rank, thread};
use aether_trace::{act, act_if, take};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const ROWS: u64 = 3;
const WORKERS: u64 = 2;
/// As in `trace.cfg`.
const TXNS: u64 = 8;
const LIVES_MAX: u64 = 5;
/// What a life does on the disk, more or less.
const OPERATIONS: u64 = 60;
/// Rows that are not in the spec.
const OUTSIDE: [&[u8]; 3] = [b"x", b"y", b"z"];
/// Taken under no lock of the engine.
const LEDGER: Rank = Rank::new(1, "ledger");
/// What is asked for.
const COMMIT: u64 = 1;
const ROLL_BACK: u64 = 2;
const FORGET: u64 = 3;

/// What those who decide know.
#[derive(Default)]
struct Ledger {
    /// How many transactions there were.
    begun: u64,
    /// Those that may be prepared, and are not forgotten.
    known: BTreeSet<u64>,
}

struct World {
    env: DbEnv,
    rows: Keyspace,
    ledger: Arc<Mutex<Ledger>>,
    sim: Sim,
    is_over: AtomicBool,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let mut sim = Sim::new(seed);
    create(&sim).expect("a store on a sound disk is made");
    // What has led here is the spec's initial state.
    drop(take());
    let ledger = Arc::new(Mutex::new(LEDGER, Ledger::default()));
    for _ in 0..1 + dice.below(LIVES_MAX) {
        if !dice.once_in(5) {
            sim.cut_power_at(sim.op_count() + dice.below(OPERATIONS));
        }
        // An opening may be cut short.
        let world = World::open(&sim, &ledger);
        if let Ok(world) = &world {
            world.live(dice.next());
        }
        sim = after_crash(&sim, &mut dice);
    }
    told::translate(&take())
}

fn options() -> Options {
    Options {
        buffer: BufferConfig { num_frames: 96, ..BufferConfig::default() },
        wal: WalConfig {
            streams: 1,
            segment_bytes: 256 << 10,
            ring_bytes: 128 << 10,
            ..WalConfig::default()
        },
        durability: Durability::None,
        // Nobody waits for who is prepared: who would decide?
        lock_timeout: Duration::ZERO,
        background: false,
        ..Options::default()
    }
}

fn create(sim: &Sim) -> Result<()> {
    let env = DbEnv::open_in(sim.env(), Path::new("/home"), options())?;
    env.open_or_create_keyspace("rows")?;
    env.close()
}

impl World {
    /// Opens the store, and lets its log begin.
    fn open(sim: &Sim, ledger: &Arc<Mutex<Ledger>>) -> Result<Arc<Self>> {
        let env = DbEnv::open_in(sim.env(), Path::new("/home"), options())?;
        let rows = env.keyspace("rows")?;
        let mut first = env.begin()?;
        first.put(&rows, OUTSIDE[0], b"")?;
        first.abort()?;
        let listed = env.list_prepared().into_iter().filter_map(|gtid| gtid.try_into().ok());
        ledger.lock().known.extend(listed.map(u64::from_le_bytes));
        let (ledger, sim) = (ledger.clone(), sim.clone());
        Ok(Arc::new(Self { env, rows, ledger, sim, is_over: AtomicBool::new(false) }))
    }

    fn live(self: &Arc<Self>, seed: u64) {
        let workers = (1..=WORKERS).map(|number| {
            let (world, mut dice) = (self.clone(), Dice::new(seed, number));
            stage::worker(number, move || {
                let count = 2 + dice.below(4);
                // The power cut ends it.
                let _ = (0..count).try_for_each(|_| world.work(&mut dice));
            })
        });
        let workers: Vec<_> = workers.collect();
        let pushers = OUTSIDE.map(|row| {
            let world = self.clone();
            thread::spawn("pusher", move || world.push_on(row))
        });
        stage::join(workers);
        self.is_over.store(true, Release);
        stage::join(pushers);
    }

    fn push_on(&self, row: &[u8]) {
        while !self.is_over.load(Acquire) {
            if self.push(row).is_err() {
                return;
            }
        }
    }

    /// Makes durable what the others have appended so far, wherever they are.
    fn push(&self, row: &[u8]) -> Result<()> {
        let mut txn = self.env.begin()?;
        txn.set_durability(Durability::Sync);
        txn.put(&self.rows, row, b"")?;
        txn.commit()
    }

    fn work(&self, dice: &mut Dice) -> Result<()> {
        let known = self.ledger.lock().known.iter().copied().collect::<Vec<_>>();
        if known.is_empty() || dice.once_in(3) {
            return self.transaction(dice);
        }
        self.decide(known[dice.below(known.len() as u64) as usize], dice)
    }

    fn transaction(&self, dice: &mut Dice) -> Result<()> {
        let mut txn = self.env.begin()?;
        let mut tag = 0;
        for row in (1..=ROWS).filter(|_| dice.once_in(2)).collect::<Vec<_>>() {
            if tag == 0 {
                tag = self.next_tag();
                if tag > TXNS {
                    return Ok(());
                }
            }
            let put = || txn.put(&self.rows, &key(row), &tag.to_le_bytes()).is_ok();
            if !act_if("Change", put, |done| done.then_some([tag, row])) {
                return txn.abort();
            }
        }
        if tag == 0 || dice.once_in(5) {
            return txn.abort();
        }
        txn.prepare(&gtid(tag))?;
        act("Prepared", || (), |()| [tag]);
        self.ledger.lock().known.insert(tag);
        Ok(())
    }

    fn next_tag(&self) -> u64 {
        let mut ledger = self.ledger.lock();
        ledger.begun += 1;
        ledger.begun
    }

    /// Asks for an outcome, and perhaps forgets it.
    fn decide(&self, tag: u64, dice: &mut Dice) -> Result<()> {
        let what = if dice.once_in(3) { ROLL_BACK } else { COMMIT };
        act("Ask", || (), |()| [tag, what]);
        if what == COMMIT && !dice.once_in(3) {
            // The next operation is another's, then: what that leaves of this is not whole.
            self.sim.cut_power_at(self.sim.op_count() + 1 + dice.below(2));
        }
        let ask = || match what {
            COMMIT => self.env.commit_prepared(&gtid(tag)),
            _ => self.env.rollback_prepared(&gtid(tag)),
        };
        let answer = act_if("Answer", ask, |answer| answer.as_ref().ok().map(|known| [tag, code(*known)]))?;
        let is_known = answer != Resolution::Unknown;
        if is_known && !dice.once_in(3) {
            return Ok(());
        }
        // Only one forgets it.
        let is_first = self.ledger.lock().known.remove(&tag);
        if is_known && is_first {
            act("Ask", || (), |()| [tag, FORGET]);
            self.env.forget(&gtid(tag))?;
        }
        Ok(())
    }
}

fn code(answer: Resolution) -> u64 {
    match answer {
        Resolution::Committed => COMMIT,
        Resolution::RolledBack => ROLL_BACK,
        Resolution::Unknown => FORGET,
    }
}

fn key(row: u64) -> [u8; 1] {
    [row as u8]
}

fn gtid(tag: u64) -> [u8; 8] {
    tag.to_le_bytes()
}
