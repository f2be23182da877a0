//! A client: one transaction after another, each noted before it begins and after it has ended.

use super::event::{Event, Key, Kind, Op};
use super::level::Level;
use super::lie::Lie;
use super::lists::{self, Lists};
use crate::rng::Rng;
use aether_kv::{Advice, DbEnv, Durability, Error, ErrorKind, Keyspace, Result, Txn, TxnOptions};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::thread::{sleep, yield_now};
use aether_sync::{Arc, Counter, Mutex, Rank};
use std::collections::HashMap;
use std::time::Duration;

/// Percent of the transactions that only read.
const READ_ONLY: usize = 20;
/// Percent of the others that are given up at their end.
const GIVEN_UP: usize = 5;
/// Percent of a writer's operations that append.
const APPENDS: usize = 50;
/// Percent of the reads that are scans.
const SCANS: usize = 30;
/// Percent of its chances that a planted bug takes.
const LIES: usize = 20;

const NOTES: Rank = Rank::new(897, "torture history");
const PENDING: Rank = Rank::new(898, "torture history, uncommitted lists");

/// What all clients of a history share.
pub(super) struct Shared {
    pub(super) lists: Lists,
    pub(super) level: Level,
    pub(super) ops_max: usize,
    pub(super) lie: Option<Lie>,
    /// The power may go: what is not durable may be undone.
    pub(super) crashes: bool,
    /// Conversions that went through.
    pub(super) conversions: Counter,
    txns: u64,
    begun: AtomicU64,
    processes: AtomicU64,
    /// In the order of one clock: that of this lock.
    events: Mutex<Vec<Event>>,
    /// For `ReadUncommitted`.
    pending: Mutex<HashMap<Key, Vec<u64>>>,
}

impl Shared {
    /// A history of so many transactions, and one more for each look at all lists.
    pub(super) fn new(lists: Lists, level: Level, txns: u64, ops_max: usize) -> Self {
        Self {
            lists,
            level,
            ops_max,
            lie: None,
            crashes: false,
            conversions: Counter::new(),
            txns,
            begun: AtomicU64::new(0),
            processes: AtomicU64::new(0),
            events: Mutex::new(NOTES, Vec::new()),
            pending: Mutex::new(PENDING, HashMap::new()),
        }
    }

    /// Whether all transactions have begun.
    pub(super) fn is_done(&self) -> bool {
        self.begun.load(Relaxed) >= self.txns
    }

    /// The history so far.
    pub(super) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock())
    }

    fn note(&self, process: u64, kind: Kind, id: u64, ops: &[Op]) {
        self.events.lock().push(Event { process, kind, id, ops: ops.to_vec() });
    }
}

/// A part of a transaction: an append, or reads by one call.
enum Part {
    Append(Key, u64),
    Read(Vec<Key>),
}

/// A client.
pub(super) struct Client {
    shared: Arc<Shared>,
    env: DbEnv,
    space: Keyspace,
    rng: Rng,
    process: u64,
}

/// A transaction that is running, and what a planted bug needs.
struct Run {
    txn: Txn,
    /// What it has appended.
    own: Vec<(Key, u64)>,
    /// Lists to be put at the end.
    late: Vec<(Key, Vec<u64>)>,
    seen: Vec<Op>,
}

impl Client {
    /// Another client on an open store.
    pub(super) fn new(shared: &Arc<Shared>, env: &DbEnv, space: &Keyspace, rng: Rng) -> Self {
        let process = shared.processes.fetch_add(1, Relaxed);
        Self { shared: shared.clone(), env: env.clone(), space: space.clone(), rng, process }
    }

    /// Runs transactions until there are enough or the store fails; tells why it failed.
    pub(super) fn work(mut self) -> Option<Error> {
        loop {
            let id = self.shared.begun.fetch_add(1, Relaxed);
            if id >= self.shared.txns {
                return None;
            }
            let (parts, commits) = self.plan();
            let ended = self.transaction(id, &parts, commits);
            if let Err(error) = ended {
                return Some(error);
            }
        }
    }

    /// A transaction that reads every list there ever was; only when all others have begun.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn read_all(mut self) -> Result<()> {
        let parts: Vec<Part> =
            (0..self.shared.lists.slots()).map(|slot| Part::Read(self.shared.lists.all(slot))).collect();
        let id = self.shared.begun.fetch_add(1, Relaxed);
        self.transaction(id, &parts, true)
    }

    fn plan(&mut self) -> (Vec<Part>, bool) {
        let most = self.shared.ops_max;
        let count = self.rng.between(most.min(2), most);
        let only_reads = self.rng.chance(READ_ONLY);
        let parts = (0..count).map(|_| self.part(only_reads)).collect();
        (parts, only_reads || !self.rng.chance(GIVEN_UP))
    }

    fn part(&mut self, only_reads: bool) -> Part {
        let lists = &self.shared.lists;
        let slot = self.rng.below(lists.slots());
        if !only_reads && self.rng.chance(APPENDS) {
            let (key, value) = lists.next_append(slot);
            return Part::Append(key, value);
        }
        let scans = self.rng.chance(SCANS);
        Part::Read(if scans { lists.around(slot) } else { vec![lists.current(slot)] })
    }

    /// Carries out one transaction and notes it; fails only if no other could do better.
    fn transaction(&mut self, id: u64, parts: &[Part], commits: bool) -> Result<()> {
        let asked = asked(parts);
        self.shared.note(self.process, Kind::Invoke, id, &asked);
        let (kind, seen, error) = match self.attempt(parts, commits) {
            Ok((kind, seen)) => (kind, seen, None),
            Err((kind, error)) => (kind, Vec::new(), Some(error)),
        };
        self.hide(parts);
        let told = if kind == Kind::Ok { &seen } else { &asked };
        self.shared.note(self.process, kind, id, told);
        if kind == Kind::Info {
            self.process = self.shared.processes.fetch_add(1, Relaxed);
        }
        match error.filter(|error| error.advice() != Advice::Retry) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    fn attempt(&mut self, parts: &[Part], commits: bool) -> Result<(Kind, Vec<Op>), (Kind, Error)> {
        let undone = |error| (Kind::Fail, error);
        let mut run =
            Run { txn: self.begin().map_err(undone)?, own: Vec::new(), late: Vec::new(), seen: Vec::new() };
        for (number, part) in parts.iter().enumerate() {
            self.carry_out(&mut run, part).map_err(undone)?;
            if number == parts.len() / 2 && self.lies(Lie::TearCommit) {
                let torn = std::mem::replace(&mut run.txn, self.begin().map_err(undone)?);
                torn.commit().map_err(undone)?;
                run.txn = self.begin().map_err(undone)?;
            }
            self.pause();
        }
        if !commits || self.lies(Lie::DropCommit) {
            run.txn.abort().map_err(undone)?;
            return Ok((if commits { Kind::Ok } else { Kind::Fail }, run.seen));
        }
        self.put_late(&mut run).map_err(undone)?;
        self.commit(run)
    }

    fn begin(&self) -> Result<Txn> {
        self.env.begin_with(TxnOptions::at(self.shared.level.isolation()))
    }

    /// An error other than `InDoubt` says that nothing was committed: the engine's promise is held against it.
    fn commit(&mut self, run: Run) -> Result<(Kind, Vec<Op>), (Kind, Error)> {
        let durability = self.durability();
        let waits = matches!(durability, Durability::Sync | Durability::Group { .. });
        let unknown =
            |error: Error| (if error.kind() == ErrorKind::InDoubt { Kind::Info } else { Kind::Fail }, error);
        let handle = run.txn.commit_with(durability).map_err(unknown)?;
        if waits {
            handle.wait().map_err(unknown)?;
        }
        if !run.own.is_empty() && self.lies(Lie::FailCommitted) {
            return Ok((Kind::Fail, Vec::new()));
        }
        let known = waits || !self.shared.crashes || self.is(Lie::AcknowledgeEarly);
        Ok((if known { Kind::Ok } else { Kind::Info }, run.seen))
    }

    fn durability(&mut self) -> Durability {
        match self.rng.below(10) {
            0 => Durability::None,
            1 => Durability::Async { interval: Duration::from_millis(2) },
            2..5 => Durability::Group { max_wait: Duration::from_micros(50) },
            _ => Durability::Sync,
        }
    }

    fn carry_out(&mut self, run: &mut Run, part: &Part) -> Result<()> {
        match part {
            Part::Append(key, value) => {
                self.append(run, key, *value)?;
                run.own.push((key.clone(), *value));
                run.seen.push(Op::Append(key.clone(), *value));
            }
            Part::Read(keys) => {
                let lists = match &keys[..] {
                    [key] => vec![lists::read(&run.txn, &self.space, key)?],
                    _ => lists::scan(&run.txn, &self.space, keys)?,
                };
                for (key, list) in keys.iter().zip(lists) {
                    let list = self.distort(run, key, list);
                    run.seen.push(Op::Read(key.clone(), Some(list)));
                }
            }
        }
        Ok(())
    }

    /// Reads the list and writes it back longer. Under read-committed nothing else keeps two from doing so at once:
    /// both change a row of their own making first.
    fn append(&mut self, run: &mut Run, key: &Key, value: u64) -> Result<()> {
        if self.shared.level == Level::ReadCommitted {
            run.txn.put(&self.space, lists::guard_key(key).as_bytes(), b"")?;
        }
        let late = run.late.iter().rposition(|(late, _)| late == key);
        let mut list = match late {
            Some(at) => run.late.swap_remove(at).1,
            None => lists::read(&run.txn, &self.space, key)?,
        };
        list.push(value);
        if self.lies(Lie::AppendTwice) {
            list.push(value);
        }
        if self.is(Lie::ReadUncommitted) {
            self.shared.pending.lock().insert(key.clone(), list.clone());
        }
        if self.is(Lie::IgnoreConflicts) {
            run.late.push((key.clone(), list));
            return Ok(());
        }
        lists::write(&mut run.txn, &self.space, key, &list)
    }

    /// What a planted bug makes of a list that was read.
    fn distort(&mut self, run: &Run, key: &Key, mut list: Vec<u64>) -> Vec<u64> {
        let is_own = |value: &u64| run.own.iter().any(|(own, appended)| own == key && appended == value);
        if let Some((_, late)) = run.late.iter().find(|(late, _)| late == key) {
            list.clone_from(late);
        }
        if !list.last().is_some_and(is_own) && self.lies(Lie::SkipNewest) {
            list.pop();
        }
        if self.lies(Lie::ForgetOwn) {
            list.retain(|value| !is_own(value));
        }
        if self.is(Lie::ReadUncommitted)
            && let Some(pending) =
                self.shared.pending.lock().get(key).filter(|other| other.len() > list.len())
        {
            list.clone_from(pending);
        }
        list
    }

    /// Puts the lists of `IgnoreConflicts` over whatever is there now.
    fn put_late(&self, run: &mut Run) -> Result<()> {
        if run.late.is_empty() {
            return Ok(());
        }
        run.txn = self.begin()?;
        run.late.iter().try_for_each(|(key, list)| lists::write(&mut run.txn, &self.space, key, list))
    }

    /// The appends of a transaction that has ended are pending no more.
    fn hide(&self, parts: &[Part]) {
        if self.is(Lie::ReadUncommitted) {
            let mut pending = self.shared.pending.lock();
            parts.iter().for_each(|part| {
                if let Part::Append(key, _) = part {
                    pending.remove(key);
                }
            });
        }
    }

    fn is(&self, lie: Lie) -> bool {
        self.shared.lie == Some(lie)
    }

    /// Whether this bug is planted and takes this chance.
    fn lies(&mut self, lie: Lie) -> bool {
        self.is(lie) && self.rng.chance(LIES)
    }

    /// Lets the others come between two operations.
    fn pause(&mut self) {
        match self.rng.below(8) {
            0..3 => {}
            3 => sleep(Duration::from_micros(self.rng.below(100) as u64)),
            _ => yield_now(),
        }
    }
}

fn asked(parts: &[Part]) -> Vec<Op> {
    let mut ops = Vec::new();
    for part in parts {
        match part {
            Part::Append(key, value) => ops.push(Op::Append(key.clone(), *value)),
            Part::Read(keys) => ops.extend(keys.iter().map(|key| Op::Read(key.clone(), None))),
        }
    }
    ops
}
