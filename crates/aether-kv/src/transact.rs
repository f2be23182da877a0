//! Running a closure as a transaction, again if another got in the way.
//!
//! An attempt that lost a row to another is followed by one that locks that row before it reads anything: it stands in line instead of
//! trying its luck, sees what it has waited for, and cannot lose that row again.

use crate::db::Db;
use crate::env::DbEnv;
use crate::lock::LockTarget;
use crate::lsm::index::txn::LockMode;
use crate::options::TxnOptions;
use crate::txn::{Row, Txn};
use aether_sync::{Backoff, thread};
use aether_types::{Error, ErrorKind, Result};
use std::time::Duration;

/// How [`DbEnv::transact_with`] runs a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transact {
    /// How each attempt is begun.
    pub txn: TxnOptions,
    /// Attempts at the most; at least one is made.
    pub attempts_max: u32,
    /// The longest pause before another attempt. Pauses double from 10 microseconds on.
    pub pause_max: Duration,
}

impl Default for Transact {
    fn default() -> Self {
        Self { txn: TxnOptions::default(), attempts_max: 1000, pause_max: Duration::from_millis(5) }
    }
}

/// What a transaction that went through returned, and how many attempts that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transacted<T> {
    /// What the closure returned.
    pub value: T,
    /// Attempts made, the last one included.
    pub attempts: u32,
}

const PAUSE: Duration = Duration::from_micros(10);

impl DbEnv {
    /// Runs `body` in a transaction and commits it; runs it again, on a newer state, if another transaction got in the way
    /// or a deadlock was broken. Blocks as the durability says.
    ///
    /// # Errors
    /// Those of `body`, after which the transaction is rolled back; those of [`Txn::commit`]; the last `Conflict` or
    /// `Deadlock` if no attempt went through. A panic of `body` rolls back and goes on.
    pub fn transact<T>(&self, body: impl FnMut(&mut Txn) -> Result<T>) -> Result<T> {
        self.transact_with(Transact::default(), body).map(|done| done.value)
    }

    /// As [`DbEnv::transact`], with options; says how many attempts it took.
    pub fn transact_with<T>(
        &self,
        how: Transact,
        mut body: impl FnMut(&mut Txn) -> Result<T>,
    ) -> Result<Transacted<T>> {
        let (mut backoff, mut attempts, mut lost) = (Backoff::new(), 1, None);
        loop {
            match self.attempt(how.txn, &mut lost, &mut body) {
                Ok(value) => return Ok(Transacted { value, attempts }),
                Err(error) if !is_in_the_way(&error) || attempts >= how.attempts_max => return Err(error),
                Err(_) if lost.is_some() => {}
                Err(_) => pause(&mut backoff, attempts, how.pause_max),
            }
            attempts += 1;
        }
    }

    /// `lost`: the row that the attempt before has lost, and then that which this one loses.
    fn attempt<T>(
        &self,
        options: TxnOptions,
        lost: &mut Option<Row>,
        body: &mut impl FnMut(&mut Txn) -> Result<T>,
    ) -> Result<T> {
        let mut txn = self.begin_with(options)?;
        if let Some((keyspace, key)) = lost.take() {
            txn.lock(LockTarget::Key(&keyspace, &key), LockMode::X)?;
        }
        match body(&mut txn) {
            Ok(value) => txn.commit().map(|()| value),
            Err(error) => {
                *lost = txn.take_lost();
                txn.abort().and(Err(error))
            }
        }
    }
}

impl Db {
    /// As [`DbEnv::transact`].
    pub fn transact<T>(&self, body: impl FnMut(&mut Txn) -> Result<T>) -> Result<T> {
        self.env().transact(body)
    }

    /// As [`DbEnv::transact_with`].
    pub fn transact_with<T>(
        &self,
        how: Transact,
        body: impl FnMut(&mut Txn) -> Result<T>,
    ) -> Result<Transacted<T>> {
        self.env().transact_with(how, body)
    }
}

fn is_in_the_way(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock)
}

/// Yields first, then sleeps: 10 us, 20 us, and so on.
fn pause(backoff: &mut Backoff, attempts: u32, longest: Duration) {
    backoff.wait();
    if backoff.is_spent() {
        thread::sleep(PAUSE.saturating_mul(1 << (attempts - 1).min(16)).min(longest));
    }
}
