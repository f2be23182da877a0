//! Makes a store: transactions that follow from a seed, earlier versions of its files, and the end of the work.

use super::design::{Design, Last};
use super::specimen::Files;
use crate::kind::Kind;
use crate::model::{Bytes, Op, State};
use crate::oracle::{Verdict, failed};
use crate::player;
use crate::rng::{Rng, derive};
use crate::shape::{self, Shape};
use crate::world::World;
use aether_kv::{DbEnv, Txn};
use aether_sync::Arc;
use aether_vfs::read_file;

const SPACES: [&str; 5] = ["one", "two", "three", "four", "five"];
const PASSING: &str = "passing";

pub(super) struct Maker {
    design: &'static Design,
    pub(super) world: World,
    rng: Rng,
    pub(super) states: Vec<Arc<State>>,
    pub(super) acknowledged: usize,
    pub(super) older: Vec<Files>,
    keys: usize,
    /// The calls of every commit.
    ops: Vec<Vec<Op>>,
    /// What a stopped process left.
    pub(super) rest: Option<World>,
}

impl Maker {
    pub(super) fn new(design: &'static Design, seed: u64) -> Self {
        let shape = Shape::of(design.page_bytes, design.streams, design.max_recovery_bytes);
        Self {
            design,
            world: World::new(seed, shape, None),
            rng: Rng::new(derive(seed, 77)),
            states: vec![Arc::default()],
            acknowledged: 0,
            older: Vec::new(),
            keys: 0,
            ops: Vec::new(),
            rest: None,
        }
    }

    pub(super) fn newest(&self) -> Arc<State> {
        self.states[self.states.len() - 1].clone()
    }

    /// What a stopped store may show: the last flushes of each stream may be taken for torn, unless a later one or a
    /// page proves them. With several streams a commit may so outlive one before it.
    pub(super) fn excused(&self, closed: bool, flushes: usize) -> Vec<Arc<State>> {
        if closed || self.design.under_way {
            return vec![self.newest()];
        }
        let depth = self.design.streams * flushes;
        let from = self.ops.len().saturating_sub(depth);
        if self.design.streams == 1 {
            return self.states[from..].to_vec();
        }
        (0..1 << (self.ops.len() - from)).map(|kept| Arc::new(self.with_some(from, kept))).collect()
    }

    /// What a store may show whose work an error has ended: the same, and a commit that was not answered.
    pub(super) fn unproved(&self, flushes: usize) -> Vec<Arc<State>> {
        self.states[self.acknowledged.saturating_sub(self.design.streams * flushes)..].to_vec()
    }

    /// The state after commit `from` and those of the later ones whose bit is set in `kept`.
    fn with_some(&self, from: usize, kept: usize) -> State {
        let later = self.ops[from..].iter().enumerate().filter(|(index, _)| kept >> index & 1 == 1);
        later.fold(State::clone(&self.states[from]), |state, (_, ops)| state.after(ops))
    }

    pub(super) fn make(&mut self, closed: bool) -> Verdict<()> {
        let mut env = self.world.open()?;
        let total = self.design.transactions;
        for index in 0..total {
            let ops = self.ops(index);
            self.commit(&env, &ops)?;
            if index == total / 3 || (index == total - 3 && self.design.last == Last::Reopen) {
                env.close().map_err(failed("close"))?;
                self.keep();
                env = self.world.open()?;
            }
            if index == total * 2 / 3 {
                env.checkpoint().map_err(failed("checkpoint"))?;
            }
            if index % 5 == 4 {
                self.keep();
            }
        }
        if closed { env.close().map_err(failed("close")) } else { self.stop(&env) }
    }

    fn keep(&mut self) {
        self.older.extend(files(&self.world.fork()).ok());
    }

    fn commit(&mut self, env: &DbEnv, ops: &[Op]) -> Verdict<()> {
        let before = self.newest();
        self.states.push(Arc::new(before.after(ops)));
        player::commit(&self.world, env, &before, ops)?;
        self.ops.push(ops.to_vec());
        self.acknowledged = self.states.len() - 1;
        Ok(())
    }

    /// The process ends here; what it wrote stays as it is.
    fn stop(&mut self, env: &DbEnv) -> Verdict<()> {
        let txn = if self.design.under_way { Some(self.begin_much(env)?) } else { None };
        if self.design.last == Last::Checkpoint {
            env.checkpoint().map_err(failed("checkpoint"))?;
        }
        self.rest = Some(self.world.at_rest());
        drop(txn);
        Ok(())
    }

    fn begin_much(&mut self, env: &DbEnv) -> Verdict<Txn> {
        let mut txn = env.begin().map_err(failed("begin"))?;
        let space = env.keyspace(SPACES[0]).map_err(failed("keyspace"))?;
        let known: Vec<Bytes> =
            self.newest().rows(SPACES[0]).into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in &known {
            txn.put(&space, key, b"never committed").map_err(failed("put"))?;
        }
        for _ in 0..self.design.page_bytes / 50 {
            let (key, value) = (self.key(), self.rng.bytes(900));
            txn.put(&space, &key, &value).map_err(failed("put"))?;
        }
        Ok(txn)
    }

    fn key(&mut self) -> Bytes {
        self.keys += 1;
        format!("{:05}-{}", self.rng.below(100_000), self.keys).into_bytes().into()
    }

    fn ops(&mut self, index: usize) -> Vec<Op> {
        let mut ops = Vec::new();
        match index {
            0 => {
                ops.extend(SPACES.iter().zip(self.design.spaces).map(|(name, kind)| Op::Create(name, *kind)))
            }
            2 if self.design.shrinks => ops.push(Op::Create(PASSING, Kind::Btree)),
            _ => {}
        }
        let total = self.design.transactions;
        if self.design.shrinks && index > total / 2 {
            self.shrink(index, &mut ops);
        } else {
            self.grow(index, &mut ops);
        }
        ops
    }

    fn grow(&mut self, index: usize, ops: &mut Vec<Op>) {
        for _ in 0..self.rng.between(4, 9) {
            let space = self.space(index);
            let length = self.rng.below(self.design.value_bytes_max);
            let value: Bytes = self.rng.bytes(length).into();
            let key = self.some_key(space).filter(|_| self.rng.chance(30));
            match key {
                Some(key) if self.rng.chance(30) => ops.push(Op::Delete(space, key)),
                Some(key) => ops.push(Op::Put(space, key, value)),
                None => ops.push(Op::Put(space, self.key(), value)),
            }
        }
    }

    fn space(&mut self, index: usize) -> &'static str {
        if self.design.shrinks && index > 2 && self.rng.chance(30) {
            return PASSING;
        }
        SPACES[self.rng.below(self.design.spaces.len())]
    }

    fn some_key(&mut self, space: &str) -> Option<Bytes> {
        let state = self.newest();
        let rows = state.rows(space).filter(|rows| !rows.is_empty())?;
        rows.keys().nth(self.rng.below(rows.len())).cloned()
    }

    fn shrink(&mut self, index: usize, ops: &mut Vec<Op>) {
        if index == self.design.transactions - 4 {
            ops.push(Op::Drop(PASSING));
        }
        let state = self.newest();
        let rows = state.rows(SPACES[index % self.design.spaces.len()]).into_iter().flatten();
        let gone = rows.filter(|_| self.rng.chance(30)).map(|(key, _)| key.clone());
        ops.extend(gone.map(|key| Op::Delete(SPACES[index % self.design.spaces.len()], key)));
    }
}

pub(super) fn files(world: &World) -> Verdict<Files> {
    let vfs = world.sim.env().vfs;
    let entries = vfs.list(shape::home()).map_err(failed("list"))?;
    let read = |name: String| {
        let bytes = read_file(&*vfs, &shape::home().join(&name)).map_err(failed("read"))?;
        Ok((name, Arc::from(bytes)))
    };
    entries.into_iter().map(|entry| read(entry.name)).collect()
}
