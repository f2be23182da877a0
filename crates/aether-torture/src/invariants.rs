//! Workloads whose invariants hold at any time and through power cuts, with real threads: a bank and a queue.
//!
//! Under read-committed a client first changes a row that stands for all that it is about to read, so that it waits for
//! others or is refused; without that (`guarded` off) the invariants break, as they do if a level is too low.

mod bank;
mod queue;

use crate::histories::level::Level;
use crate::lives::{Life, Lives, side_by_side};
use crate::mutant::Mutant;
use crate::oracle::{Verdict, failed};
use crate::rng::{Rng, derive};
use aether_kv::{Advice, DbEnv, Keyspace, Result, Snapshot, Txn, TxnOptions};
use aether_sync::Arc;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::thread::yield_now;

/// The keyspace of all workloads.
const SPACE: &str = "work";

/// The row that stands for all others.
const GUARD: &[u8] = b"guard";

/// Percent of the transactions after which a client looks whether all is right.
const LOOKS: usize = 10;

/// Which workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Transfers between accounts: the sum stays, nobody owes.
    Bank,
    /// Pairs of accounts of which one may owe what the other holds: a withdrawal reads both and changes one.
    Overdraft,
    /// Every item leaves the queue once, those of one producer in their order.
    Queue,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bank, Self::Overdraft, Self::Queue];

    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Overdraft => "overdraft",
            Self::Queue => "queue",
        }
    }

    /// Whether the invariant must hold at a level: an overdraft is write skew.
    pub fn holds_at(self, level: Level) -> bool {
        self != Self::Overdraft || level != Level::Snapshot
    }
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The seed.
    pub seed: u64,
    /// Which workload.
    pub kind: Kind,
    /// The level of every transaction.
    pub level: Level,
    /// Clients change the guard first.
    pub guarded: bool,
    /// Threads.
    pub threads: usize,
    /// Transactions to commit.
    pub txns: u64,
    /// A bug to plant below the engine.
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// Eight threads and 500 transactions.
    pub fn new(seed: u64, kind: Kind, level: Level) -> Self {
        let guarded = level == Level::ReadCommitted;
        Self { seed, kind, level, guarded, threads: 8, txns: 500, mutant: None }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transactions committed.
    pub committed: u64,
    /// Restarts after a crash.
    pub restarts: u64,
}

/// A workload: what its clients do, and what must hold.
trait Work: Send + Sync {
    /// The first rows.
    fn found(&self, txn: &mut Txn, space: &Keyspace) -> Result<()>;

    /// The reads and writes of one transaction of a client. Returns what to remember of it once it is acknowledged.
    fn act(&self, client: usize, rng: &mut Rng, txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged>;

    /// What a client knows of itself before it begins: all that was acknowledged.
    fn acknowledge(&self, client: usize, what: Acknowledged);

    /// Holds a committed state against the invariant, and against what was acknowledged before it was taken.
    fn check(&self, take: &dyn Fn() -> Result<Snapshot>, space: &Keyspace) -> Verdict<()>;
}

/// What a transaction has done, as far as the invariant speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledged {
    /// Nothing to remember.
    Nothing,
    /// The client's item of this number is in the queue.
    Enqueued(u64),
    /// The place of this number has left the queue.
    Dequeued(u64),
}

/// Runs a workload through power cuts. Blocks.
///
/// # Errors
/// What does not hold.
pub fn run(settings: &Settings) -> Verdict<Tally> {
    let work: Arc<dyn Work> = match settings.kind {
        Kind::Bank => Arc::new(bank::Bank),
        Kind::Overdraft => Arc::new(bank::Overdraft),
        Kind::Queue => Arc::new(queue::Queue::new(settings.threads)),
    };
    let committed = Arc::new(AtomicU64::new(0));
    let lives = Lives { seed: settings.seed, mutant: settings.mutant, crashes: true };
    let is_done = || committed.load(Relaxed) >= settings.txns;
    let restarts = lives.run(is_done, |life| live(settings, life, &work, &committed))?;
    Ok(Tally { committed: committed.load(Relaxed), restarts })
}

fn live(
    settings: &Settings,
    life: &mut Life<'_>,
    work: &Arc<dyn Work>,
    committed: &Arc<AtomicU64>,
) -> Verdict<()> {
    let space = life.env.open_or_create_keyspace(SPACE).map_err(failed("open_or_create_keyspace"))?;
    found(&life.env, &space, &**work).map_err(failed("the first rows"))?;
    work.check(&|| life.env.snapshot(), &space).map_err(|what| format!("after the start: {what}"))?;
    life.arm();
    let seed = life.rng.word();
    let client = |number: usize| Client {
        settings: *settings,
        number,
        env: life.env.clone(),
        space: space.clone(),
        work: work.clone(),
        committed: committed.clone(),
        rng: Rng::new(derive(seed, number as u64)),
    };
    let clients: Vec<Client> = (0..settings.threads).map(client).collect();
    let ended = side_by_side(clients.into_iter().map(|client| move || client.run()))?;
    for end in ended {
        match end {
            Err(End::Wrong(what)) => return Err(what),
            Err(End::Failed(what)) if !life.is_off() => return Err(what),
            _ => {}
        }
    }
    if life.is_off() { Ok(()) } else { work.check(&|| life.env.snapshot(), &space) }
}

/// Makes the first rows, once.
fn found(env: &DbEnv, space: &Keyspace, work: &dyn Work) -> Result<()> {
    let mut txn = env.begin()?;
    if txn.get(space, GUARD)?.is_some() {
        return txn.abort();
    }
    txn.put(space, GUARD, b"")?;
    work.found(&mut txn, space)?;
    txn.commit()
}

/// Why a client ends early.
enum End {
    /// The store has failed.
    Failed(String),
    /// Something does not hold.
    Wrong(String),
}

struct Client {
    settings: Settings,
    number: usize,
    env: DbEnv,
    space: Keyspace,
    work: Arc<dyn Work>,
    committed: Arc<AtomicU64>,
    rng: Rng,
}

impl Client {
    fn run(mut self) -> Result<(), End> {
        while self.committed.load(Relaxed) < self.settings.txns {
            match self.transaction() {
                Ok(done) => {
                    self.committed.fetch_add(1, Relaxed);
                    self.work.acknowledge(self.number, done);
                }
                Err(error) if error.advice() == Advice::Retry => yield_now(),
                Err(error) => return Err(End::Failed(failed("a transaction")(error))),
            }
            self.look()?;
        }
        Ok(())
    }

    fn transaction(&mut self) -> Result<Acknowledged> {
        let mut txn = self.env.begin_with(TxnOptions::at(self.settings.level.isolation()))?;
        if self.settings.guarded {
            txn.put(&self.space, GUARD, b"")?;
        }
        let done = self.work.act(self.number, &mut self.rng, &mut txn, &self.space)?;
        yield_now();
        txn.commit()?;
        Ok(done)
    }

    fn look(&mut self) -> Result<(), End> {
        if !self.rng.chance(LOOKS) {
            return Ok(());
        }
        // A store that has failed may refuse to be read; what is wrong then is found after the restart.
        let Ok(probe) = self.env.snapshot() else { return Ok(()) };
        drop(probe);
        match self.work.check(&|| self.env.snapshot(), &self.space) {
            Err(what) if what.starts_with(READ_FAILED) => Err(End::Failed(what)),
            Err(what) => Err(End::Wrong(what)),
            Ok(()) => Ok(()),
        }
    }
}

/// How a verdict begins that says only that nothing could be read.
const READ_FAILED: &str = "reading failed";

/// All rows of a snapshot whose keys have a prefix.
fn rows(snapshot: &Snapshot, space: &Keyspace, prefix: &str) -> Verdict<Vec<(Vec<u8>, Vec<u8>)>> {
    let iter = snapshot.prefix(space, prefix.as_bytes()).map_err(failed(READ_FAILED))?;
    iter.collect::<Result<_>>().map_err(failed(READ_FAILED))
}
