//! The calls of one transaction, each with the answer that it must give.

mod bulk;

use crate::kind::Kind;
use crate::model::{Bytes, Draft, Op, State, show};
use crate::oracle::{Verdict, failed};
use aether_kv::{DbEnv, Keyspace, Savepoint, Txn};
use std::collections::{BTreeMap, BTreeSet};

/// How a broken promise begins, against an error that a call may return.
pub(crate) const WRONG_ANSWER: &str = "wrong answer";

/// An open transaction and what it must see.
pub(crate) struct Calls {
    env: DbEnv,
    txn: Txn,
    draft: Draft,
    spaces: BTreeMap<&'static str, Keyspace>,
    savepoints: Vec<Savepoint>,
    /// Keys that were changed.
    touched: BTreeSet<(&'static str, Bytes)>,
}

impl Calls {
    /// Begins a transaction on a store that is in `state`.
    pub(crate) fn begin(env: &DbEnv, state: &State) -> Verdict<Self> {
        let txn = env.begin().map_err(failed("begin"))?;
        let draft = Draft::new(state.clone());
        let (spaces, savepoints, touched) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        Ok(Self { env: env.clone(), txn, draft, spaces, savepoints, touched })
    }

    /// Makes every call and lets the transaction be ended by the caller.
    pub(crate) fn all(env: &DbEnv, state: &State, ops: &[Op]) -> Verdict<Txn> {
        let mut calls = Self::begin(env, state)?;
        ops.iter().try_for_each(|op| calls.make(op))?;
        Ok(calls.into_txn())
    }

    /// The transaction, to be ended.
    pub(crate) fn into_txn(self) -> Txn {
        self.txn
    }

    /// Makes one call.
    pub(crate) fn make(&mut self, op: &Op) -> Verdict<()> {
        match op {
            Op::Create(name, kind) => self.create(name, *kind)?,
            Op::Drop(name) => self.env.drop_keyspace(&mut self.txn, name).map_err(failed("drop_keyspace"))?,
            Op::Put(name, key, value) => {
                let space = self.space(name)?;
                self.txn.put(&space, key, value).map_err(failed("put"))?;
                self.read_own_write(&space, key, Some(value))?;
            }
            Op::Delete(name, key) => self.delete(name, key)?,
            Op::Ingest(name, rows) => self.ingest(name, rows)?,
            Op::DeleteRange(name, range) => self.delete_range(name, range)?,
            Op::Savepoint => self.savepoints.push(self.txn.savepoint()),
            Op::Rollback => self.roll_back(self.savepoints.len().saturating_sub(1), false)?,
            Op::RollbackTo(depth) => self.roll_back(*depth, true)?,
        }
        self.draft.apply(op);
        match op {
            Op::Put(name, key, _) | Op::Delete(name, key) => drop(self.touched.insert((name, key.clone()))),
            Op::Ingest(name, _) | Op::DeleteRange(name, _) => self.read_all(name)?,
            Op::Rollback | Op::RollbackTo(_) => self.read_touched()?,
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self, name: &'static str, kind: Kind) -> Verdict<()> {
        let created = self.env.create_keyspace(&mut self.txn, name, kind.options());
        self.spaces.insert(name, created.map_err(failed("create_keyspace"))?);
        Ok(())
    }

    fn space(&mut self, name: &'static str) -> Verdict<Keyspace> {
        if let Some(space) = self.spaces.get(name) {
            return Ok(space.clone());
        }
        let space = self.env.keyspace(name).map_err(failed("keyspace"))?;
        self.spaces.insert(name, space.clone());
        Ok(space)
    }

    fn delete(&mut self, name: &'static str, key: &[u8]) -> Verdict<()> {
        let space = self.space(name)?;
        let expected = self.draft.state.get(name, key).is_some();
        let existed = self.txn.delete(&space, key).map_err(failed("delete"))?;
        if existed != expected {
            return Err(format!("{WRONG_ANSWER}: delete returned {existed}, expected {expected}"));
        }
        self.read_own_write(&space, key, None)
    }

    fn roll_back(&mut self, depth: usize, keep: bool) -> Verdict<()> {
        let Some(savepoint) = self.savepoints.get(depth).copied() else { return Ok(()) };
        self.savepoints.truncate(depth + usize::from(keep));
        self.txn.rollback_to(&savepoint).map_err(failed("rollback_to"))
    }

    /// After a rollback every key that was changed reads as it did at the savepoint.
    fn read_touched(&mut self) -> Verdict<()> {
        for (name, key) in self.touched.clone() {
            // A keyspace that the rollback has taken away has no rows.
            if self.draft.state.rows(name).is_none() {
                self.spaces.remove(name);
                continue;
            }
            let space = self.space(name)?;
            let got = self.txn.get(&space, &key).map_err(failed("get"))?;
            if got.as_deref() != self.draft.state.get(name, &key).map(|value| &**value) {
                return Err(format!(
                    "{WRONG_ANSWER}: after a rollback to a savepoint, key {} is not as it was",
                    show(&key)
                ));
            }
        }
        Ok(())
    }

    fn read_own_write(&self, space: &Keyspace, key: &[u8], value: Option<&[u8]>) -> Verdict<()> {
        let got = self.txn.get(space, key).map_err(failed("get"))?;
        if got.as_deref() == value {
            return Ok(());
        }
        Err(format!("{WRONG_ANSWER}: a transaction does not read its own write"))
    }
}
