//! One thread: what it does, and what it remembers of it.

use super::{ACCOUNT_COUNT, ACCOUNTS, OWN, account};
use crate::model::{Bytes, Range, Rows, rows_difference};
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use crate::script::tagged;
use aether_kv::{DbEnv, Durability, Error, ErrorKind, Keyspace, Result, Txn};
use aether_sync::Arc;
use core::ops::Bound;
use std::collections::BTreeMap;
use std::time::Duration;

/// Commits that a thread makes at the most.
const COMMITS: usize = 60;

/// Of a hundred transactions so many put rows in bulk, and as many delete a range.
const RARE_PERCENT: usize = 4;

/// Names of a thread's own rows.
const NAMES: usize = 40;

/// After one commit: the thread's own rows, and what it has moved to each account so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) rows: Arc<Rows>,
    pub(super) moved: [i64; ACCOUNT_COUNT],
}

/// What a thread remembers.
#[derive(Debug)]
pub(super) struct Diary {
    prefix: String,
    /// After each commit that was requested; the first is the start.
    pub(super) entries: Vec<Entry>,
    /// The newest that was acknowledged as durable.
    acknowledged: usize,
    /// What ended its work.
    pub(super) error: Option<String>,
}

impl Diary {
    /// The state that a store with these rows shows.
    ///
    /// # Errors
    /// If it is none of those that are permitted.
    pub(super) fn place(&self, own: &Rows) -> Verdict<usize> {
        let shown: Rows = own
            .iter()
            .filter(|(key, _)| key.starts_with(self.prefix.as_bytes()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let k = self.entries.iter().rposition(|entry| *entry.rows == shown);
        match k {
            Some(k) if k >= self.acknowledged => Ok(k),
            Some(k) => Err(format!("acknowledged commits are lost: {k} of {} is back", self.acknowledged)),
            None => Err(self.difference(&shown)),
        }
    }
}

impl Diary {
    /// Against the state with the same counter.
    fn difference(&self, shown: &Rows) -> String {
        let counter = format!("{}counter", self.prefix).into_bytes();
        let same = |entry: &&Entry| entry.rows.get(&*counter) == shown.get(&*counter);
        let Some(entry) = self.entries.iter().find(same) else {
            return "its counter shows a transaction that it has not committed".into();
        };
        let what = rows_difference(shown, &entry.rows).unwrap_or_default();
        format!("in no state that it has committed; its counter is that of one where {what}")
    }
}

/// The calls of one transaction.
struct Order {
    /// What goes at first.
    range: Option<Range>,
    /// Rows are put in bulk.
    in_bulk: bool,
    changes: Vec<(Bytes, Option<Bytes>)>,
    /// Changes that are undone by going back to a savepoint.
    undone: Vec<(Bytes, Option<Bytes>)>,
    transfer: Option<(usize, usize, i64)>,
    durability: Durability,
    commits: bool,
}

/// A thread.
pub(super) struct Teller {
    env: DbEnv,
    own: Keyspace,
    accounts: Keyspace,
    rng: Rng,
    /// Decides about rows in bulk and ranges, if there are any.
    rare: Option<Rng>,
    diary: Diary,
}

impl Teller {
    /// Thread number `number` on an open store.
    ///
    /// # Errors
    /// If the keyspaces cannot be opened.
    pub(super) fn new(env: &DbEnv, number: usize, rng: Rng) -> Verdict<Self> {
        let own = env.keyspace(OWN).map_err(failed("keyspace"))?;
        let accounts = env.keyspace(ACCOUNTS).map_err(failed("keyspace"))?;
        let prefix = format!("teller-{number}-");
        let diary = Diary { prefix, entries: vec![Entry::default()], acknowledged: 0, error: None };
        Ok(Self { env: env.clone(), own, accounts, rng, rare: None, diary })
    }

    /// The same, who now and then puts rows in bulk, and deletes ranges of its own.
    pub(super) fn with_bulk(self, rare: Rng) -> Self {
        Self { rare: Some(rare), ..self }
    }

    /// Works until all is done or the store fails.
    ///
    /// # Errors
    /// A promise that the running store broke.
    pub(super) fn work(mut self) -> Verdict<Diary> {
        for number in 1..=COMMITS {
            let order = self.order(number);
            let next = self.next(&order);
            let refused = self.carry_out(&order, next).err();
            let lost = |error: &Error| !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock);
            if let Some(error) = refused.filter(lost) {
                self.diary.error = Some(failed("a transaction")(error));
                break;
            }
            self.look()?;
        }
        Ok(self.diary)
    }

    /// Every transaction rewrites the thread's counter, so that no two of its states are equal.
    fn order(&mut self, number: usize) -> Order {
        let mut changes = vec![(self.key("counter"), Some(Bytes::from(number.to_le_bytes().to_vec())))];
        let count = self.rng.below(6);
        changes.extend((0..count).map(|_| self.change()));
        let count = if self.rng.chance(25) { self.rng.between(2, 8) } else { 0 };
        let undone = (0..count).map(|_| self.change()).collect();
        let (from, to) = (self.rng.below(ACCOUNT_COUNT), self.rng.below(ACCOUNT_COUNT));
        let transfer =
            (from != to && self.rng.chance(60)).then(|| (from, to, self.rng.between(1, 50) as i64));
        let durability = match self.rng.below(10) {
            0 => Durability::None,
            1 => Durability::Async { interval: Duration::from_millis(5) },
            2..5 => Durability::Group { max_wait: Duration::from_micros(50) },
            _ => Durability::Sync,
        };
        let commits = !self.rng.chance(10);
        let range = if self.is_rare() { Some(self.range()) } else { None };
        Order { range, in_bulk: self.is_rare(), changes, undone, transfer, durability, commits }
    }

    fn is_rare(&mut self) -> bool {
        self.rare.as_mut().is_some_and(|rare| rare.chance(RARE_PERCENT))
    }

    /// A range of its own rows, but not the counter.
    fn range(&mut self) -> Range {
        let mut bound = || {
            let name = self.rare.as_mut().map_or(0, |rare| rare.below(NAMES));
            self.key(&format!("{name:02}"))
        };
        Range { from: Bound::Included(bound()), to: Bound::Excluded(bound()) }
    }

    /// A change of one of the thread's own rows.
    fn change(&mut self) -> (Bytes, Option<Bytes>) {
        let key = self.rng.below(NAMES);
        let key = self.key(&format!("{key:02}"));
        let length = if self.rng.chance(5) { 9_000 } else { self.rng.below(900) };
        let value = (!self.rng.chance(25)).then(|| tagged(self.rng.word() as u32, length));
        (key, value)
    }

    fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.diary.prefix).into_bytes().into()
    }

    /// The entry after the order is carried out.
    fn next(&self, order: &Order) -> Entry {
        let before = &self.diary.entries[self.diary.entries.len() - 1];
        let (mut rows, mut moved) = ((*before.rows).clone(), before.moved);
        if let Some(range) = &order.range {
            rows.retain(|key, _| !range.has(key));
        }
        for (key, value) in &order.changes {
            match value {
                Some(value) => drop(rows.insert(key.clone(), value.clone())),
                None => drop(rows.remove(key)),
            }
        }
        if let Some((from, to, amount)) = order.transfer {
            moved[from] -= amount;
            moved[to] += amount;
        }
        Entry { rows: Arc::new(rows), moved }
    }

    fn carry_out(&mut self, order: &Order, next: Entry) -> Result<()> {
        let mut txn = self.env.begin()?;
        if let Some(range) = &order.range {
            txn.delete_range(&self.own, range.bounds())?;
        }
        self.change_rows(&mut txn, &order.changes, order.in_bulk)?;
        self.go_back(&mut txn, order)?;
        if let Some((from, to, amount)) = order.transfer {
            self.add(&mut txn, from, -amount)?;
            self.add(&mut txn, to, amount)?;
        }
        if !order.commits {
            return txn.abort();
        }
        self.diary.entries.push(next);
        let waits = matches!(order.durability, Durability::Sync | Durability::Group { .. });
        match txn.commit_with(order.durability) {
            Ok(handle) if waits => handle.wait()?,
            Ok(_) => return Ok(()),
            Err(error) => {
                if error.kind() != ErrorKind::InDoubt {
                    self.diary.entries.pop();
                }
                return Err(error);
            }
        }
        self.diary.acknowledged = self.diary.entries.len() - 1;
        Ok(())
    }

    fn change_rows(&self, txn: &mut Txn, changes: &[(Bytes, Option<Bytes>)], in_bulk: bool) -> Result<()> {
        if in_bulk {
            return self.change_in_bulk(txn, changes);
        }
        changes.iter().try_for_each(|(key, value)| match value {
            Some(value) => txn.put(&self.own, key, value),
            None => txn.delete(&self.own, key).map(drop),
        })
    }

    /// The last change of each key: rows in bulk, then what goes, one by one.
    fn change_in_bulk(&self, txn: &mut Txn, changes: &[(Bytes, Option<Bytes>)]) -> Result<()> {
        let last: BTreeMap<_, _> = changes.iter().map(|(key, value)| (key, value)).collect();
        let put = last.iter().filter_map(|(key, value)| Some((key.to_vec(), value.as_ref()?.to_vec())));
        txn.ingest(&self.own, put.map(Ok))?;
        let mut gone = last.iter().filter(|(_, value)| value.is_none());
        gone.try_for_each(|(key, _)| txn.delete(&self.own, key).map(drop))
    }

    /// Makes changes and goes back to a savepoint: half of them to one inside the first, and once more.
    fn go_back(&self, txn: &mut Txn, order: &Order) -> Result<()> {
        if order.undone.is_empty() {
            return Ok(());
        }
        let outer = txn.savepoint();
        let (first, second) = order.undone.split_at(order.undone.len() / 2);
        self.change_rows(txn, first, order.in_bulk)?;
        let inner = txn.savepoint();
        for _ in 0..2 {
            self.change_rows(txn, second, false)?;
            if let Some((from, _, amount)) = order.transfer {
                self.add(txn, from, amount)?;
            }
            txn.rollback_to(&inner)?;
        }
        txn.rollback_to(&outer)
    }

    fn add(&self, txn: &mut Txn, number: usize, amount: i64) -> Result<()> {
        let key = account(number);
        let balance = txn.get(&self.accounts, &key)?;
        let balance =
            balance.as_ref().and_then(|value| value.first_chunk()).map(|value| i64::from_le_bytes(*value));
        let balance = balance.ok_or_else(|| Error::corruption("an account without a balance"))?;
        txn.put(&self.accounts, &key, &(balance + amount).to_le_bytes())
    }

    /// What a snapshot shows adds up, at any time.
    fn look(&mut self) -> Verdict<()> {
        if !self.rng.chance(20) {
            return Ok(());
        }
        let Ok(snapshot) = self.env.snapshot() else { return Ok(()) };
        let Ok(rows) = snapshot.iter(&self.accounts) else { return Ok(()) };
        let mut sum = 0;
        for row in rows {
            // A store that has failed may refuse to be read.
            let Ok((_, value)) = row else { return Ok(()) };
            sum += value.first_chunk().map_or(0, |value| i64::from_le_bytes(*value));
        }
        let wanted = ACCOUNT_COUNT as i64 * super::FIRST_BALANCE;
        if sum == wanted { Ok(()) } else { Err(format!("a snapshot shows {sum} in all, expected {wanted}")) }
    }
}
