//! A client of `history`: one transaction after another, each told before it begins and after it has ended.

use super::lists::{self, Lists};
use super::record::{Op, Record};
use crate::arguments::{History, Level};
use crate::exit::{Failure, Outcome};
use crate::torture::client::end_of;
use crate::torture::event::End;
use crate::torture::random::Random;
use aether::{Advice, Db, Error, Isolation, Result, Txn, TxnOptions};
use std::thread;
use std::time::Duration;

/// Percent of the transactions that only read.
const READ_ONLY: u64 = 20;
/// Percent of the others that are given up at their end.
const GIVEN_UP: u64 = 5;
/// Percent of a writer's operations that append.
const APPENDS: u64 = 50;
/// Percent of the reads that are scans.
const SCANS: u64 = 30;
/// The longest sleep between two operations, in microseconds.
const SLEEP_US: u64 = 200;
/// Processes of one run.
const PROCESS_SPAN: u64 = 1 << 32;

/// A client.
pub(super) struct Client<'a> {
    process: u64,
    db: &'a Db,
    history: &'a History,
    lists: &'a Lists,
    record: &'a Record,
    random: Random,
}

impl<'a> Client<'a> {
    /// Client `number` of a run.
    pub(super) fn new(
        number: u32,
        db: &'a Db,
        history: &'a History,
        lists: &'a Lists,
        record: &'a Record,
    ) -> Self {
        let process = lists.run() * PROCESS_SPAN + u64::from(number);
        let random = Random::new(history.seed, number.into(), lists.run());
        Self { process, db, history, lists, record, random }
    }

    /// Runs transactions until there are enough. Blocks.
    pub(super) fn run(mut self) -> Outcome<()> {
        while let Some(id) = self.record.next_id() {
            let (ops, commits) = self.plan();
            self.transaction(id, &ops, commits)?;
        }
        Ok(())
    }

    /// The last transaction: reads every list in use and its neighbours. Blocks.
    pub(super) fn read_newest(mut self) -> Outcome<()> {
        let ops: Vec<Op> = (0..self.lists.slots()).map(|slot| Op::Read(self.lists.around(slot))).collect();
        self.transaction(self.record.last_id(), &ops, true)
    }

    /// The operations of a transaction, and whether it is to commit.
    fn plan(&mut self) -> (Vec<Op>, bool) {
        let most = self.history.ops_per_txn;
        let count = most.min(2) + self.random.below(most - most.min(2) + 1);
        let only_reads = self.random.chance(READ_ONLY);
        let ops = (0..count).map(|_| self.op(only_reads)).collect();
        (ops, only_reads || !self.random.chance(GIVEN_UP))
    }

    fn op(&mut self, only_reads: bool) -> Op {
        let slot = self.random.below(self.lists.slots());
        if !only_reads && self.random.chance(APPENDS) {
            let (key, value) = self.lists.next_append(slot);
            return Op::Append(key, value);
        }
        let scans = self.random.chance(SCANS);
        Op::Read(if scans { self.lists.around(slot) } else { vec![self.lists.current(slot)] })
    }

    /// Carries out one transaction and tells of it; fails only if no other could do better.
    fn transaction(&mut self, id: u64, ops: &[Op], commits: bool) -> Outcome<()> {
        self.record.invoke(self.process, id, ops)?;
        let mut seen = Vec::new();
        let (end, error) = match self.attempt(ops, commits, &mut seen) {
            Ok(true) => (End::Acknowledged, None),
            Ok(false) => (End::Failed, None),
            Err((end, error)) => (end, Some(error)),
        };
        self.record.end(self.process, id, ops, end, &seen)?;
        if end == End::Unknown {
            // Who does not know what it has done is not heard of again.
            self.process += u64::from(self.history.threads) + 1;
        }
        match error.filter(|error| error.advice() != Advice::Retry) {
            None => Ok(()),
            Some(error) => Err(Failure::from(error).within(&format!("transaction {id}"), "")),
        }
    }

    /// True if it has committed; an error comes with what it means for the transaction.
    fn attempt(&mut self, ops: &[Op], commits: bool, seen: &mut Vec<Vec<u64>>) -> Result<bool, (End, Error)> {
        let undone = |error| (End::Failed, error);
        let isolation = Isolation::from(self.history.level);
        let mut txn = self.db.begin_with(TxnOptions::at(isolation)).map_err(undone)?;
        for op in ops {
            self.carry_out(&mut txn, op, seen).map_err(undone)?;
            self.pause();
        }
        if !commits {
            return txn.abort().map(|()| false).map_err(undone);
        }
        txn.commit().map(|()| true).map_err(|error| (end_of(error.kind()), error))
    }

    fn carry_out(&self, txn: &mut Txn, op: &Op, seen: &mut Vec<Vec<u64>>) -> Result<()> {
        match op {
            Op::Append(key, value) => self.append(txn, key, *value)?,
            Op::Read(keys) if keys.len() == 1 => seen.push(lists::read(txn, self.db, &keys[0])?),
            Op::Read(keys) => seen.extend(lists::scan(txn, self.db, keys)?),
        }
        Ok(())
    }

    /// Reads the list and writes it back longer. Under read-committed nothing else keeps two from doing so at once:
    /// both change a row of their own making first.
    fn append(&self, txn: &mut Txn, key: &str, value: u64) -> Result<()> {
        if self.history.level == Level::ReadCommitted {
            txn.put(self.db.keyspace(), lists::guard_key(key).as_bytes(), b"")?;
        }
        let mut list = lists::read(txn, self.db, key)?;
        list.push(value);
        txn.put(self.db.keyspace(), key.as_bytes(), lists::text(&list).as_bytes())
    }

    /// Lets the others come between two operations.
    fn pause(&mut self) {
        match self.random.below(4) {
            0 => {}
            1 => thread::sleep(Duration::from_micros(self.random.below(SLEEP_US))),
            _ => thread::yield_now(),
        }
    }
}
