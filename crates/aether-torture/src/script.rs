//! Scripts: sequences of transactions that follow from a seed and reach the rare paths of a tiny store.
//!
//! The kinds of transactions are dealt by chance, but the ones that no script may lack (a keyspace that comes and
//! goes, one transaction larger than the pool that commits and one that aborts, checkpoints, a clean restart) have
//! fixed places.

mod draw;
mod plan;
mod rare;
mod text;

pub(crate) use draw::tagged;

use crate::kind::{Kind, Kinds};
use crate::model::{Bytes, Op, State};
use crate::rng::{Rng, derive};
use aether_sync::Arc;
use plan::Planner;

/// The keyspaces that live through the script.
pub const SPACES: [&str; 2] = ["alpha", "beta"];

/// The keyspace that is created and dropped.
pub const PASSING: &str = "passing";

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Commits, and is durable when that returns.
    Commit,
    /// Commits with `Durability::Group` and waits for its handle.
    Group,
    /// Commits with `Durability::Async` and does not wait.
    Async,
    /// Commits with `Durability::None`.
    Weak,
    /// Aborts.
    Abort,
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct TxnScript {
    /// Its calls.
    pub ops: Vec<Op>,
    /// How it ends.
    pub end: End,
    /// The state after it, if everything before went as the script has it.
    pub after: Arc<State>,
}

/// A part of the transaction that is open beside all others.
#[derive(Clone, Debug)]
pub enum Side {
    /// It makes calls, on keys of its own; the first ones begin it.
    Calls(Vec<Op>),
    /// It commits; the state after it, if everything before went as the script has it.
    Commit(Arc<State>),
    /// It aborts.
    Abort,
}

/// A conversion of a keyspace.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The keyspace.
    pub space: &'static str,
    /// The kind that it gets, of another index than it has.
    pub to: Kind,
    /// It is broken off while rows are copied.
    pub is_broken_off: bool,
    /// A transaction while rows are copied.
    pub during: TxnScript,
}

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A transaction.
    Txn(TxnScript),
    /// A part of the side transaction.
    Side(Side),
    /// A keyspace gets another kind.
    Convert(Conversion),
    /// A snapshot is taken and held.
    Hold,
    /// The held snapshot is read once more and let go.
    Release,
    /// A checkpoint by request.
    Checkpoint,
    /// The store is closed and opened again, tuned by this number.
    Reopen(u64),
}

/// A sequence of steps.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it follows from.
    pub seed: u64,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Script {
    /// The script of `seed` with this many transactions; at least 12.
    pub fn new(seed: u64, transactions: usize) -> Self {
        let mut writer = Writer::new(seed);
        let transactions = transactions.max(12);
        (0..transactions).for_each(|index| writer.step(index, transactions));
        Self { seed, steps: writer.steps }
    }

    /// The script of these steps. States are computed anew; calls that are not possible any more, as on a keyspace whose
    /// creation is gone, are left out.
    pub fn of(seed: u64, steps: Vec<Step>) -> Self {
        let mut planner = Planner::default();
        let steps = steps.into_iter().filter_map(|step| planner.plan(step)).collect();
        Self { seed, steps }
    }

    /// The same with keyspaces of these kinds, as its seed deals them; if they are of several, also with rows in bulk, ranges that go,
    /// and conversions.
    #[must_use]
    pub fn of_kinds(self, kinds: Kinds) -> Self {
        if kinds == Kinds::Btree { self } else { rare::add(self.dealt(kinds)) }
    }

    fn dealt(mut self, kinds: Kinds) -> Self {
        let [first, second, passing] = kinds.deal(self.seed);
        let dealt = [(SPACES[0], first), (SPACES[1], second), (PASSING, passing)];
        for step in &mut self.steps {
            let (Step::Txn(TxnScript { ops, .. }) | Step::Side(Side::Calls(ops))) = step else { continue };
            for op in ops {
                if let Op::Create(name, kind) = op {
                    dealt.iter().filter(|(space, _)| space == name).for_each(|(_, dealt)| *kind = *dealt);
                }
            }
        }
        self
    }

    /// The same with every commit durable when it returns. With several log streams a crash keeps some of the other
    /// commits and loses others that they do not depend on; the judge knows states that follow each other.
    #[must_use]
    pub fn durable(mut self) -> Self {
        for step in &mut self.steps {
            let (Step::Txn(txn) | Step::Convert(Conversion { during: txn, .. })) = step else { continue };
            if txn.end != End::Abort {
                txn.end = End::Commit;
            }
        }
        self
    }

    /// The transactions in order.
    pub fn transactions(&self) -> impl Iterator<Item = &TxnScript> {
        self.steps.iter().filter_map(|step| match step {
            Step::Txn(txn) => Some(txn),
            _ => None,
        })
    }
}

struct Writer {
    rng: Rng,
    /// Decides about savepoints alone.
    nesting: Rng,
    state: State,
    steps: Vec<Step>,
    side: Vec<Op>,
    side_keys: usize,
}

impl Writer {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(derive(seed, 1)),
            nesting: Rng::new(derive(seed, 2)),
            state: State::default(),
            steps: Vec::new(),
            side: Vec::new(),
            side_keys: 0,
        }
    }

    fn step(&mut self, index: usize, total: usize) {
        let (ops, end) = self.transaction(index, total);
        let after = self.state.after(&ops);
        if end != End::Abort {
            self.state = after;
        }
        self.steps.push(Step::Txn(TxnScript { ops, end, after: Arc::new(self.state.clone()) }));
        self.side_step(index);
        self.snapshot_step(index);
        if index % (total / 4) == total / 4 - 1 {
            self.steps.push(Step::Checkpoint);
        }
        if index == total / 2 + 2 {
            self.steps.push(Step::Reopen(self.rng.word() >> 48));
            self.side.clear();
        }
    }

    /// Nine steps, six of them with an open side transaction whose pages the others change too.
    fn side_step(&mut self, index: usize) {
        match index % 9 {
            2..7 => {
                let ops = self.side_calls();
                self.side.extend(ops.iter().cloned());
                self.steps.push(Step::Side(Side::Calls(ops)));
            }
            7 if !self.side.is_empty() => {
                let side = self.side_end();
                self.steps.push(Step::Side(side));
            }
            _ => {}
        }
    }

    fn side_calls(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..3 {
            self.side_keys += 1;
            let key = format!("row-{:06}-side-{}", self.rng.below(1_000_000), self.side_keys).into_bytes();
            ops.push(Op::Put(self.space(), key.into(), self.value()));
        }
        let is_set = self.side.iter().any(|op| matches!(op, Op::Savepoint));
        match self.nesting.below(4) {
            0 => ops.insert(1, Op::Savepoint),
            1 if is_set => ops.insert(2, Op::RollbackTo(0)),
            _ => {}
        }
        let old = self.rng.below(self.side.len() + 3);
        match self.side.get(old) {
            Some(Op::Put(space, key, _)) if self.rng.chance(50) => ops.push(Op::Delete(space, key.clone())),
            Some(Op::Put(space, key, _)) => ops.push(Op::Put(space, key.clone(), self.value())),
            _ => {}
        }
        ops
    }

    fn side_end(&mut self) -> Side {
        let ops = core::mem::take(&mut self.side);
        if self.rng.chance(40) {
            return Side::Abort;
        }
        self.state = self.state.after(&ops);
        Side::Commit(Arc::new(self.state.clone()))
    }

    fn snapshot_step(&mut self, index: usize) {
        match index % 10 {
            3 => self.steps.push(Step::Hold),
            9 => self.steps.push(Step::Release),
            _ => {}
        }
    }

    fn transaction(&mut self, index: usize, total: usize) -> (Vec<Op>, End) {
        match index {
            0 => (self.creation(), End::Commit),
            _ if index == total / 3 => (self.larger_than_the_pool(), End::Commit),
            _ if index == total / 2 => (self.larger_than_the_pool(), End::Abort),
            _ if index == total / 4 => (self.arrival(), End::Commit),
            _ if index == total * 2 / 3 => (vec![Op::Drop(PASSING)], End::Commit),
            _ if index == total * 3 / 4 => (self.arrival(), End::Abort),
            _ if index == total * 2 / 5 => (self.larger_than_the_pool_and_back(), End::Commit),
            _ => self.ordinary(index * 100 / total),
        }
    }

    fn creation(&mut self) -> Vec<Op> {
        let mut ops: Vec<Op> = SPACES.into_iter().map(|name| Op::Create(name, Kind::Btree)).collect();
        self.insertions(&mut ops, 6);
        ops
    }

    fn arrival(&mut self) -> Vec<Op> {
        let mut ops = vec![Op::Create(PASSING, Kind::Btree)];
        for _ in 0..12 {
            ops.push(Op::Put(PASSING, self.new_key(), self.value()));
        }
        ops
    }

    /// Touches more leaves than the pool has frames, so that pages of an unfinished transaction reach the disk.
    fn larger_than_the_pool(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        self.insertions(&mut ops, 30);
        self.updates(&mut ops, 40);
        ops
    }

    fn ordinary(&mut self, progress_percent: usize) -> (Vec<Op>, End) {
        let mut ops = Vec::new();
        match self.rng.below(100) {
            0..8 => self.with_savepoint(&mut ops),
            8..14 => self.large_value(&mut ops),
            14..30 => self.updates(&mut ops, 6),
            roll if roll < 30 + progress_percent / 2 => self.range_deletion(&mut ops),
            _ => self.burst(&mut ops),
        }
        (ops, self.end())
    }

    fn end(&mut self) -> End {
        draw::end(&mut self.rng)
    }

    fn burst(&mut self, ops: &mut Vec<Op>) {
        let count = self.rng.between(5, 12);
        self.insertions(ops, count);
        self.updates(ops, 2);
    }

    fn with_savepoint(&mut self, ops: &mut Vec<Op>) {
        match self.nesting.below(3) {
            0 => self.back_to_the_outermost(ops),
            1 => self.keyspace_and_back(ops),
            _ => self.back_step_by_step(ops),
        }
    }

    /// Three deep, then twice to the outermost.
    fn back_to_the_outermost(&mut self, ops: &mut Vec<Op>) {
        self.insertions(ops, 2);
        ops.push(Op::Savepoint);
        self.updates(ops, 3);
        ops.push(Op::Savepoint);
        self.range_deletion(ops);
        ops.push(Op::Savepoint);
        self.insertions(ops, 3);
        ops.push(Op::RollbackTo(1));
        self.updates(ops, 3);
        ops.push(Op::RollbackTo(0));
        self.insertions(ops, 4);
        ops.push(Op::RollbackTo(0));
        self.updates(ops, 2);
    }

    /// The keyspace that comes and goes, and goes back to where it was.
    fn keyspace_and_back(&mut self, ops: &mut Vec<Op>) {
        ops.push(Op::Savepoint);
        match self.state.rows(PASSING) {
            None => ops.extend(self.arrival()),
            Some(_) => ops.push(Op::Drop(PASSING)),
        }
        self.insertions(ops, 2);
        ops.push(Op::Rollback);
        self.insertions(ops, 2);
    }

    /// So much is undone that its pages have reached the disk.
    fn larger_than_the_pool_and_back(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        self.insertions(&mut ops, 3);
        ops.push(Op::Savepoint);
        self.insertions(&mut ops, 20);
        ops.push(Op::Savepoint);
        self.updates(&mut ops, 30);
        ops.push(Op::Rollback);
        self.updates(&mut ops, 10);
        ops.push(Op::Rollback);
        self.insertions(&mut ops, 2);
        ops
    }

    fn back_step_by_step(&mut self, ops: &mut Vec<Op>) {
        self.insertions(ops, 2);
        ops.push(Op::Savepoint);
        self.insertions(ops, 5);
        ops.push(Op::Savepoint);
        self.updates(ops, 3);
        self.range_deletion(ops);
        ops.push(Op::Rollback);
        self.insertions(ops, 2);
        ops.push(Op::Rollback);
        self.updates(ops, 1);
    }

    fn large_value(&mut self, ops: &mut Vec<Op>) {
        let length = self.rng.between(5_000, 40_000);
        let value = tagged(self.rng.word() as u32, length);
        let key = if self.rng.chance(40) { self.old_key(SPACES[0]) } else { None };
        let key = key.unwrap_or_else(|| self.new_key());
        ops.push(Op::Put(SPACES[0], key, value));
        self.insertions(ops, 1);
    }

    fn insertions(&mut self, ops: &mut Vec<Op>, count: usize) {
        for _ in 0..count {
            let space = self.space();
            ops.push(Op::Put(space, self.new_key(), self.value()));
        }
    }

    fn updates(&mut self, ops: &mut Vec<Op>, count: usize) {
        for _ in 0..count {
            let space = self.space();
            let Some(key) = self.old_key(space) else { continue };
            if self.rng.chance(20) {
                ops.push(Op::Delete(space, key));
            } else {
                ops.push(Op::Put(space, key, self.value()));
            }
        }
    }

    /// Deletes neighbours, so that leaves run empty and merge.
    fn range_deletion(&mut self, ops: &mut Vec<Op>) {
        let space = self.space();
        let Some(first) = self.old_key(space) else { return };
        let count = self.rng.between(10, 24);
        let rows = &self.state.spaces[space];
        ops.extend(rows.range(first..).take(count).map(|(key, _)| Op::Delete(space, key.clone())));
    }

    fn space(&mut self) -> &'static str {
        SPACES[usize::from(self.rng.chance(30))]
    }

    fn old_key(&mut self, space: &str) -> Option<Bytes> {
        draw::old_key(&mut self.rng, &self.state, space)
    }

    fn new_key(&mut self) -> Bytes {
        draw::new_key(&mut self.rng)
    }

    fn value(&mut self) -> Bytes {
        draw::value(&mut self.rng)
    }
}
