//! Plays a script on a store and keeps the history of what was requested and what was acknowledged.

use crate::history::History;
use crate::model::{Draft, Op, State};
use crate::oracle::{self, Verdict, failed};
use crate::script::{End, Script, Step, TxnScript};
use crate::shape;
use crate::world::World;
use aether_kv::{DbEnv, Durability, ErrorKind, Keyspace, KeyspaceOptions, Savepoint, Txn};
use aether_sync::Arc;
use std::collections::BTreeMap;

/// How a broken promise begins, against an error that a call may return.
const WRONG_ANSWER: &str = "wrong answer";

/// What to do after a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterError {
    /// End the run: the power is off.
    Stop,
    /// Drop the transaction and go on with the next one.
    GoOn,
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Run {
    /// What a restart may show.
    pub history: History,
    /// Calls that failed, in words.
    pub errors: Vec<String>,
    /// A promise that the running store broke.
    pub broken: Option<String>,
}

impl Run {
    /// The first call that failed, in words.
    pub fn first_error(&self) -> Option<&str> {
        self.errors.first().map(String::as_str)
    }

    /// The first failed calls, for a report.
    pub fn story(&self) -> String {
        let first: Vec<_> = self.errors.iter().take(3).cloned().collect();
        format!("{} calls had failed, first {}", self.errors.len(), first.join("; "))
    }
}

/// Opens the store of `world` and plays `script` on it; `watch` sees the store after every step.
pub fn play(
    world: &World,
    script: &Script,
    after_error: AfterError,
    mut watch: impl FnMut(&Step, &DbEnv),
) -> Run {
    let mut player = Player { world, run: Run::default(), step: 0, off_script: false };
    let mut env = player.open();
    for step in &script.steps {
        let Some(open) = env.take() else { break };
        env = player.step(open, step);
        player.step += 1;
        if let Some(open) = &env {
            watch(step, open);
        }
        if player.must_stop(after_error) {
            break;
        }
    }
    if let (Some(open), None) = (env, player.run.first_error()) {
        player.close(open);
    }
    player.run
}

/// Commits one transaction of these calls on a store that is in `state`.
pub(crate) fn commit(world: &World, env: &DbEnv, state: &State, ops: &[Op]) -> Verdict<()> {
    let txn = make_calls(env, state, ops)?;
    world.set_committing(true);
    let outcome = txn.commit().map_err(failed("commit"));
    world.set_committing(false);
    outcome
}

fn make_calls(env: &DbEnv, state: &State, ops: &[Op]) -> Verdict<Txn> {
    let txn = env.begin().map_err(failed("begin"))?;
    let draft = Draft::new(state.clone());
    let mut calls = Calls { env, txn, draft, spaces: BTreeMap::new(), savepoints: Vec::new() };
    ops.iter().try_for_each(|op| calls.make(op))?;
    Ok(calls.txn)
}

struct Player<'w> {
    world: &'w World,
    run: Run,
    /// The number of the step.
    step: usize,
    /// A transaction of the script did not happen, so the states in the script hold no longer.
    off_script: bool,
}

impl Player<'_> {
    fn must_stop(&self, after_error: AfterError) -> bool {
        self.run.broken.is_some() || (after_error == AfterError::Stop && !self.run.errors.is_empty())
    }

    fn open(&mut self) -> Option<DbEnv> {
        let opened =
            DbEnv::open_in(self.world.env(), shape::home(), shape::options()).map_err(failed("open"));
        self.note(opened)
    }

    fn close(&mut self, env: DbEnv) {
        let closed = env.close().map_err(failed("close"));
        self.note(closed);
    }

    fn note<T>(&mut self, outcome: Verdict<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(what) => {
                if what.starts_with(WRONG_ANSWER) {
                    self.run.broken.get_or_insert_with(|| what.clone());
                }
                self.run.errors.push(format!("step {}: {what}", self.step));
                None
            }
        }
    }

    fn step(&mut self, env: DbEnv, step: &Step) -> Option<DbEnv> {
        match step {
            Step::Txn(txn) => self.transaction(&env, txn),
            Step::Checkpoint => {
                let done = env.checkpoint().map_err(failed("checkpoint"));
                self.note(done);
            }
            Step::Reopen => {
                self.close(env);
                let reopened = self.open()?;
                return self.resolve(&reopened).then_some(reopened);
            }
        }
        Some(env)
    }

    /// After errors, a restart decides which commits have happened: the run goes on from there.
    fn resolve(&mut self, env: &DbEnv) -> bool {
        if self.run.errors.is_empty() {
            return true;
        }
        self.off_script = true;
        let judged = oracle::judge(env, &self.run.history);
        match judged {
            Ok(k) => self.run.history.settle(k),
            Err(what) => self.run.broken = Some(format!("after a restart in mid-run: {what}")),
        }
        self.run.broken.is_none()
    }

    fn transaction(&mut self, env: &DbEnv, script: &TxnScript) {
        let made = make_calls(env, self.run.history.newest(), &script.ops);
        match self.note(made) {
            Some(txn) => self.end(txn, script),
            None => self.off_script |= script.end != End::Abort,
        }
    }

    fn end(&mut self, txn: Txn, script: &TxnScript) {
        if script.end == End::Abort {
            let aborted = txn.abort().map_err(failed("abort"));
            self.note(aborted);
            return;
        }
        let before = self.run.history.newest();
        let after = if self.off_script { Arc::new(before.after(&script.ops)) } else { script.after.clone() };
        self.run.history.request(after);
        self.world.set_committing(true);
        let outcome = match script.end {
            End::Weak => txn.commit_with(Durability::None).map(drop),
            End::Commit | End::Abort => txn.commit(),
        };
        self.world.set_committing(false);
        self.settle(script.end, outcome);
    }

    fn settle(&mut self, end: End, outcome: aether_kv::Result<()>) {
        match outcome {
            Ok(()) if self.run.history.is_in_doubt() => {
                self.run.broken = Some("a commit succeeded after another one's outcome was in doubt".into());
            }
            Ok(()) if end == End::Commit => self.run.history.acknowledge(),
            Ok(()) => {}
            Err(error) => {
                self.refused(error.kind());
                let _: Option<()> = self.note(Err(failed("commit")(error)));
            }
        }
    }

    fn refused(&mut self, kind: ErrorKind) {
        self.off_script = true;
        if kind == ErrorKind::InDoubt && !self.run.history.is_in_doubt() {
            self.run.history.doubt();
        } else {
            self.run.history.withdraw();
        }
    }
}

struct Calls<'e> {
    env: &'e DbEnv,
    txn: Txn,
    draft: Draft,
    spaces: BTreeMap<&'static str, Keyspace>,
    savepoints: Vec<Savepoint>,
}

impl Calls<'_> {
    fn make(&mut self, op: &Op) -> Verdict<()> {
        match op {
            Op::Create(name) => self.create(name)?,
            Op::Drop(name) => self.env.drop_keyspace(&mut self.txn, name).map_err(failed("drop_keyspace"))?,
            Op::Put(name, key, value) => {
                let space = self.space(name)?;
                self.txn.put(&space, key, value).map_err(failed("put"))?;
                self.read_own_write(&space, key, Some(value))?;
            }
            Op::Delete(name, key) => self.delete(name, key)?,
            Op::Savepoint => self.savepoints.push(self.txn.savepoint()),
            Op::Rollback => self.roll_back()?,
        }
        self.draft.apply(op);
        Ok(())
    }

    fn create(&mut self, name: &'static str) -> Verdict<()> {
        let created = self.env.create_keyspace(&mut self.txn, name, KeyspaceOptions::default());
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

    fn roll_back(&mut self) -> Verdict<()> {
        let Some(savepoint) = self.savepoints.pop() else { return Ok(()) };
        self.txn.rollback_to(&savepoint).map_err(failed("rollback_to"))
    }

    fn read_own_write(&self, space: &Keyspace, key: &[u8], value: Option<&[u8]>) -> Verdict<()> {
        let got = self.txn.get(space, key).map_err(failed("get"))?;
        if got.as_deref() == value {
            return Ok(());
        }
        Err(format!("{WRONG_ANSWER}: a transaction does not read its own write"))
    }
}
