//! Plays a script on a store and keeps the history of what was requested and what was acknowledged.

mod conversion;

use crate::calls::{Calls, WRONG_ANSWER};
use crate::held::Held;
use crate::history::History;
use crate::model::{Op, Rows, State};
use crate::oracle::{self, Verdict, failed};
use crate::script::{End, SPACES, Script, Side, Step, TxnScript};
use crate::world::World;
use aether_kv::{DbEnv, Durability, ErrorKind, Txn};
use aether_sync::Arc;
use aether_types::IndexKind;
use std::time::Duration;

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
    /// Steps that were played.
    pub step: usize,
    /// A promise that the running store broke.
    pub broken: Option<String>,
    /// The machine as the process left it at the end of a run with errors, before it let go of the store.
    pub abandoned: Option<World>,
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
    watch: impl FnMut(&Step, &DbEnv),
) -> Run {
    play_on(world, script, after_error, watch).0
}

/// As [`play`]; also returns the store, if errors have kept it open.
pub fn play_on(
    world: &World,
    script: &Script,
    after_error: AfterError,
    mut watch: impl FnMut(&Step, &DbEnv),
) -> (Run, Option<DbEnv>) {
    let mut player = Player::new(world);
    let mut env = player.open(0);
    for step in &script.steps {
        let Some(open) = env.take() else { break };
        env = player.step(open, step);
        player.run.step += 1;
        if let Some(open) = &env {
            watch(step, open);
        }
        if player.must_stop(after_error) {
            break;
        }
    }
    let env = match env {
        Some(open) if player.run.errors.is_empty() => {
            player.close(open);
            None
        }
        Some(open) if after_error == AfterError::GoOn => {
            player.farewell(&open);
            Some(open)
        }
        _ => None,
    };
    (player.run, env)
}

/// Commits one transaction of these calls on a store that is in `state`.
pub(crate) fn commit(world: &World, env: &DbEnv, state: &State, ops: &[Op]) -> Verdict<()> {
    let txn = Calls::all(env, state, ops)?;
    world.set_committing(true);
    let outcome = txn.commit().map_err(failed("commit"));
    world.set_committing(false);
    outcome
}

struct Player<'w> {
    world: &'w World,
    run: Run,
    /// Syncs that had failed when the store was opened.
    failed_syncs: u64,
    /// A transaction of the script did not happen, so the states in the script hold no longer.
    off_script: bool,
    side: Option<SideTxn>,
    held: Option<Held>,
}

/// The transaction that is open beside the others.
struct SideTxn {
    calls: Calls,
    ops: Vec<Op>,
}

impl<'w> Player<'w> {
    fn new(world: &'w World) -> Self {
        Self { world, run: Run::default(), failed_syncs: 0, off_script: false, side: None, held: None }
    }

    fn must_stop(&self, after_error: AfterError) -> bool {
        self.run.broken.is_some() || (after_error == AfterError::Stop && !self.run.errors.is_empty())
    }

    fn open(&mut self, tuning: u64) -> Option<DbEnv> {
        let opened = self.world.open_tuned(tuning);
        self.failed_syncs = self.world.failed_syncs();
        self.note(opened)
    }

    /// A store that has failed may refuse to be read, but what it shows must be true (R2).
    fn farewell(&mut self, env: &DbEnv) {
        self.run.abandoned = Some(self.world.fork());
        let taken = Held::take(env, &self.run.history);
        if let Some((_, k)) = self.note(taken) {
            self.run.history.witness(k);
        }
    }

    fn close(&mut self, env: DbEnv) {
        self.side = None;
        self.release();
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
                self.run.errors.push(format!("step {}: {what}", self.run.step));
                None
            }
        }
    }

    fn step(&mut self, env: DbEnv, step: &Step) -> Option<DbEnv> {
        match step {
            Step::Txn(txn) => self.transaction(&env, txn),
            Step::Side(Side::Calls(ops)) => self.side_calls(&env, ops),
            Step::Side(Side::Commit(after)) => self.side_commit(after),
            Step::Side(Side::Abort) => self.side_abort(),
            Step::Convert(conversion) => self.convert(&env, conversion),
            Step::Hold => self.hold(&env),
            Step::Release => self.release(),
            Step::Checkpoint => {
                let done = env.checkpoint().map_err(failed("checkpoint"));
                self.note(done);
            }
            Step::Reopen(tuning) => {
                self.close(env);
                let reopened = self.open(*tuning)?;
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
            // The power went while it was looked at: the next restart tells.
            Err(_) if self.world.sim.is_off() => return false,
            Err(what) => self.run.broken = Some(format!("after a restart in mid-run: {what}")),
        }
        self.run.broken.is_none()
    }

    fn transaction(&mut self, env: &DbEnv, script: &TxnScript) {
        let made = Calls::all(env, self.run.history.newest(), &script.ops);
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
        self.request(&script.ops, &script.after);
        let forbidden = self.is_after_failed_sync() && !script.ops.is_empty();
        self.world.set_committing(true);
        let outcome = commit_as(txn, script.end);
        self.world.set_committing(false);
        self.settle(script.end, outcome, forbidden);
    }

    /// True if no commit may be acknowledged on this handle any more (R2).
    fn is_after_failed_sync(&self) -> bool {
        self.world.failed_syncs() > self.failed_syncs
    }

    fn request(&mut self, ops: &[Op], after: &Arc<State>) {
        let before = self.run.history.newest();
        let after = if self.off_script { Arc::new(before.after(ops)) } else { after.clone() };
        self.run.history.request(after);
    }

    fn side_calls(&mut self, env: &DbEnv, ops: &[Op]) {
        let mut side = self.side.take();
        if side.is_none() {
            let begun = Calls::begin(env, &no_rows());
            side = self.note(begun).map(|calls| SideTxn { calls, ops: Vec::new() });
        }
        let Some(mut side) = side else {
            self.off_script = true;
            return;
        };
        let made = ops.iter().try_for_each(|op| side.calls.make(op));
        if self.note(made).is_some() {
            side.ops.extend(ops.iter().cloned());
            self.side = Some(side);
        } else {
            self.off_script = true;
        }
    }

    fn side_commit(&mut self, after: &Arc<State>) {
        let Some(side) = self.side.take() else {
            self.off_script = true;
            return;
        };
        self.request(&side.ops, after);
        self.world.set_committing(true);
        let forbidden = self.is_after_failed_sync();
        let outcome = side.calls.into_txn().commit();
        self.world.set_committing(false);
        self.settle(End::Commit, outcome, forbidden);
    }

    fn side_abort(&mut self) {
        let Some(side) = self.side.take() else { return };
        let aborted = side.calls.into_txn().abort().map_err(failed("abort"));
        self.note(aborted);
    }

    /// What a snapshot shows, no crash may undo (T3).
    fn hold(&mut self, env: &DbEnv) {
        let taken = Held::take(env, &self.run.history);
        if let Some((held, k)) = self.note(taken) {
            self.run.history.witness(k);
            self.held = Some(held);
        }
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            let read = held.read_again();
            self.note(read);
        }
    }

    fn settle(&mut self, end: End, outcome: aether_kv::Result<()>, forbidden: bool) {
        match outcome {
            Ok(()) if forbidden && matches!(end, End::Commit | End::Group) => {
                self.run.broken = Some("a commit was acknowledged after a sync had failed".into());
            }
            Ok(()) if self.run.history.is_in_doubt() => {
                self.run.broken = Some("a commit succeeded after another one's outcome was in doubt".into());
            }
            Ok(()) if matches!(end, End::Commit | End::Group) => self.run.history.acknowledge(),
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

fn commit_as(txn: Txn, end: End) -> aether_kv::Result<()> {
    match end {
        End::Weak => txn.commit_with(Durability::None).map(drop),
        End::Async => txn.commit_with(Durability::Async { interval: Duration::from_secs(1) }).map(drop),
        End::Group => txn.commit_with(Durability::Group { max_wait: Duration::ZERO })?.wait(),
        End::Commit | End::Abort => txn.commit(),
    }
}

/// The side transaction has keys of its own: of those there are none before it begins.
fn no_rows() -> State {
    let mut state = State::default();
    SPACES.into_iter().for_each(|name| state.add(name, IndexKind::default(), Rows::new()));
    state
}
