//! A client of `work`: atomic transactions on keys of its own, with reads of the others' keys.
//!
//! Its newest number is kept under `c<client>/seq` by the same transaction that it numbers, so a run goes
//! on above whatever the store holds. A value begins with `s<number>:` of the transaction that wrote it.

use super::event::{End, Events, KeyWrite};
use super::random::Random;
use crate::arguments::Work;
use crate::exit::{Failure, Outcome, warn};
use aether::{Advice, CommitHandle, Db, Durability, Error, ErrorKind, Txn};
use std::collections::{BTreeMap, VecDeque};

/// Attempts to begin and fill a transaction before giving up.
const ATTEMPTS: u32 = 100;
/// Without durability, every so many transactions one is made durable, and with it those before.
const BARRIER_EVERY: u64 = 50;
/// Every so many transactions one puts its rows in bulk.
const BULK_EVERY: u64 = 60;
const SMALL_VALUE_BYTES: u64 = 120;
const MIDDLE_VALUE_BYTES: u64 = 3000;

/// A client.
pub(super) struct Client<'a> {
    number: u32,
    db: &'a Db,
    work: &'a Work,
    events: &'a Events,
    durability: Durability,
    random: Random,
    newest: u64,
    /// Asynchronous commits, oldest first.
    waiting: VecDeque<(u64, CommitHandle)>,
    /// Commits without durability since the last durable one.
    unflushed: Vec<u64>,
}

impl<'a> Client<'a> {
    /// Client `number`, who goes on above its newest transaction in the store.
    pub(super) fn new(
        number: u32,
        db: &'a Db,
        work: &'a Work,
        events: &'a Events,
        durability: Durability,
    ) -> Outcome<Self> {
        let newest = newest(db, number)?;
        let random = Random::new(work.seed, number.into(), newest);
        Ok(Self {
            number,
            db,
            work,
            events,
            durability,
            random,
            newest,
            waiting: VecDeque::new(),
            unflushed: Vec::new(),
        })
    }

    /// Runs so many transactions. Blocks.
    pub(super) fn run(mut self, transactions: u64) -> Outcome<()> {
        for left in (0..transactions).rev() {
            let durability = self.durability_with(left);
            self.transaction(durability)?;
            self.settle(false)?;
        }
        self.settle(true)
    }

    /// The durability of a transaction that `left` others follow.
    fn durability_with(&self, left: u64) -> Durability {
        let is_barrier = self.durability == Durability::None && left.is_multiple_of(BARRIER_EVERY);
        if is_barrier { Durability::Sync } else { self.durability }
    }

    fn transaction(&mut self, durability: Durability) -> Outcome<()> {
        let number = self.newest + 1;
        let (txn, writes, read) = self.filled(number)?;
        self.events.intent(self.number, number, &writes, &read)?;
        self.newest = number;
        match txn.commit_with(durability) {
            Ok(handle) => self.committed(number, handle, durability),
            Err(error) => self.failed(number, error),
        }
    }

    /// A transaction ready to commit, its writes, and the newest transaction read of each other client.
    fn filled(&mut self, number: u64) -> Outcome<(Txn, Vec<KeyWrite>, BTreeMap<u32, u64>)> {
        let writes = self.writes(number);
        let others = self.others();
        for _ in 1..ATTEMPTS {
            match self.attempt(number, &writes, &others) {
                Ok((txn, read)) => return Ok((txn, writes, read)),
                Err(error) if error.advice() == Advice::Retry => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (txn, read) = self.attempt(number, &writes, &others)?;
        Ok((txn, writes, read))
    }

    fn attempt(
        &self,
        number: u64,
        writes: &[KeyWrite],
        others: &[(u32, String)],
    ) -> aether::Result<(Txn, BTreeMap<u32, u64>)> {
        let mut txn = self.db.begin()?;
        let mut read = BTreeMap::new();
        for (client, key) in others {
            if let Some(number) = txn.get(self.db.keyspace(), key.as_bytes())?.as_deref().and_then(writer_of)
            {
                let newest = read.entry(*client).or_insert(number);
                *newest = number.max(*newest);
            }
        }
        let (put, gone): (Vec<_>, Vec<_>) = writes.iter().partition(|(_, value)| value.is_some());
        let rows = put.iter().flat_map(|(key, value)| value.as_ref().map(|value| (key, value)));
        if number.is_multiple_of(BULK_EVERY) {
            let rows = rows.map(|(key, value)| Ok((key.clone().into_bytes(), value.clone().into_bytes())));
            txn.ingest(self.db.keyspace(), rows)?;
        } else {
            for (key, value) in rows {
                txn.put(self.db.keyspace(), key.as_bytes(), value.as_bytes())?;
            }
        }
        for (key, _) in gone {
            txn.delete(self.db.keyspace(), key.as_bytes())?;
        }
        Ok((txn, read))
    }

    /// One to five puts and deletes of different keys, and the number.
    fn writes(&mut self, number: u64) -> Vec<KeyWrite> {
        let mut writes = BTreeMap::new();
        for _ in 0..=self.random.below(5) {
            let key = format!("c{}/k{}", self.number, self.random.below(self.work.keys));
            let value = (!self.random.chance(20)).then(|| self.value(number));
            writes.insert(key, value);
        }
        writes.insert(seq_key(self.number), Some(number.to_string()));
        writes.into_iter().collect()
    }

    /// Mostly small, sometimes a few KiB, now and then up to the limit, which is above a page.
    fn value(&mut self, number: u64) -> String {
        let limit = match self.random.below(100) {
            0..75 => SMALL_VALUE_BYTES,
            75..96 => MIDDLE_VALUE_BYTES,
            _ => self.work.value_bytes_max,
        };
        let length = self.random.below(limit.min(self.work.value_bytes_max) + 1);
        let mut value = format!("s{number}:");
        while (value.len() as u64) < length {
            value.push_str(&format!("{:016x}", self.random.next()));
        }
        value.truncate((length as usize).max(format!("s{number}:").len()));
        value
    }

    /// Up to three keys of other clients to read.
    fn others(&mut self) -> Vec<(u32, String)> {
        if self.work.clients < 2 {
            return Vec::new();
        }
        let count = self.random.below(4);
        (0..count).map(|_| self.other()).collect()
    }

    fn other(&mut self) -> (u32, String) {
        let step = 1 + self.random.below(u64::from(self.work.clients) - 1) as u32;
        let client = (self.number + step) % self.work.clients;
        (client, format!("c{client}/k{}", self.random.below(self.work.keys)))
    }

    fn committed(&mut self, number: u64, handle: CommitHandle, durability: Durability) -> Outcome<()> {
        match durability {
            Durability::Sync | Durability::Group { .. } => {
                self.outcome(number, handle.wait())?;
                self.release_unflushed()
            }
            Durability::Async { .. } => {
                self.waiting.push_back((number, handle));
                Ok(())
            }
            Durability::None => {
                self.unflushed.push(number);
                Ok(())
            }
        }
    }

    /// A durable transaction makes durable what this client committed before it: each overwrites the
    /// client's number.
    fn release_unflushed(&mut self) -> Outcome<()> {
        let durable = std::mem::take(&mut self.unflushed);
        durable.into_iter().try_for_each(|number| self.events.end(self.number, number, End::Acknowledged))
    }

    /// Tells of asynchronous commits that have become durable; with `wait`, of all.
    fn settle(&mut self, wait: bool) -> Outcome<()> {
        while let Some((number, handle)) = self.waiting.pop_front() {
            if wait {
                self.outcome(number, handle.wait())?;
            } else if let Some(outcome) = handle.poll() {
                self.outcome(number, outcome)?;
            } else {
                self.waiting.push_front((number, handle));
                break;
            }
        }
        Ok(())
    }

    fn outcome(&self, number: u64, outcome: aether::Result<()>) -> Outcome<()> {
        match outcome {
            Ok(()) => self.events.end(self.number, number, End::Acknowledged),
            Err(error) => self.failed(number, error),
        }
    }

    /// Tells of a failed commit; goes on only if another transaction may do better.
    fn failed(&self, number: u64, error: Error) -> Outcome<()> {
        self.events.end(self.number, number, end_of(error.kind()))?;
        if error.advice() == Advice::Retry {
            warn(&format!("client {}, transaction {number}: {error}", self.number));
            return Ok(());
        }
        Err(Failure::from(error).within(&format!("client {}, transaction {number}", self.number), ""))
    }
}

/// Whether a commit that ended so may be there.
pub(super) fn end_of(kind: ErrorKind) -> End {
    match kind {
        ErrorKind::Conflict | ErrorKind::Deadlock | ErrorKind::TimedOut | ErrorKind::TxnOver => End::Failed,
        ErrorKind::InvalidInput | ErrorKind::OverLimit | ErrorKind::ReadOnly => End::Failed,
        _ => End::Unknown,
    }
}

fn newest(db: &Db, client: u32) -> Outcome<u64> {
    let key = seq_key(client);
    let Some(value) = db.get(key.as_bytes())? else { return Ok(0) };
    str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Failure::input(format!("{key} holds no number: this store is not one of `torture work`"))
    })
}

fn seq_key(client: u32) -> String {
    format!("c{client}/seq")
}

/// The number in `s<number>:..`.
fn writer_of(value: &[u8]) -> Option<u64> {
    let digits = value.strip_prefix(b"s")?.split(|byte| *byte == b':').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_writer() {
        assert_eq!(writer_of(b"s12:abc"), Some(12));
        assert_eq!(writer_of(b"s12:"), Some(12));
        assert_eq!(writer_of(b"12:"), None);
    }

    #[test]
    fn a_doubtful_commit_is_not_called_failed() {
        assert_eq!(end_of(ErrorKind::InDoubt), End::Unknown);
        assert_eq!(end_of(ErrorKind::Poisoned), End::Unknown);
        assert_eq!(end_of(ErrorKind::Io), End::Unknown);
        assert_eq!(end_of(ErrorKind::Conflict), End::Failed);
    }
}
