//! The oracle of the kill rounds: what the processes said, and what may be there after them.
//!
//! A client numbers its transactions, and each puts its number under `c<client>/seq`; so the number found there tells
//! which of them must be there, whole, and that the rest must not. Numbers of transactions that a kill undid are given
//! out again by the next process, so a transaction is known by its place in this ledger, not by its number.

use super::event::{Event, Fate, Write};
use crate::oracle::Verdict;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Rows of a dump, or those wanted there.
pub type Rows = BTreeMap<String, String>;

/// Something that may not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A transaction was acknowledged and is not there, by client and number.
    Lost(u64, u64),
    /// Of a transaction only a part is there, by client, number and key.
    Torn(u64, u64, String),
    /// A transaction is missing though its client's next one is there, by client and number.
    Hole(u64, u64),
    /// A transaction is there, and what it read is not: client and number of both.
    Unread(u64, u64, u64, u64),
    /// A transaction that was called failed is there, by client and number.
    Undead(u64, u64),
    /// A row that nobody wrote, or a number that nobody used, by key.
    Stranger(String),
    /// A row that an earlier dump has shown has changed or gone, by key.
    Gone(String),
    /// A process went on with a number that does not follow, by client, number wanted and used.
    Skip(u64, u64, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(client, number) => {
                write!(f, "transaction {number} of client {client} was acknowledged and is lost")
            }
            Self::Torn(client, number, key) => {
                write!(f, "transaction {number} of client {client} is there in part: see {key}")
            }
            Self::Hole(client, number) => {
                write!(f, "transaction {number} of client {client} is missing, later ones are there")
            }
            Self::Unread(client, number, of, read) => write!(
                f,
                "transaction {number} of client {client} is there, and {read} of client {of}, which it read, is not"
            ),
            Self::Undead(client, number) => {
                write!(f, "transaction {number} of client {client} failed and is there")
            }
            Self::Stranger(key) => write!(f, "nobody wrote what is under {key}"),
            Self::Gone(key) => write!(f, "what an earlier dump showed under {key} has changed"),
            Self::Skip(client, wanted, used) => {
                write!(f, "client {client} goes on with number {used}, {wanted} follows")
            }
        }
    }
}

/// A transaction that some process has requested since the last dump.
#[derive(Debug)]
struct Transaction {
    client: u64,
    number: u64,
    writes: Vec<Write>,
    /// Client and number read, and their place here; none if an earlier dump had it.
    read: Vec<(u64, u64, Option<usize>)>,
    fate: Fate,
}

/// Everything said since the store was begun.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The rows of the last dump, and each client's number in it.
    settled: Rows,
    newest: BTreeMap<u64, u64>,
    /// Since then: all transactions, and those of each client that may be there, by number.
    transactions: Vec<Transaction>,
    chains: BTreeMap<u64, Vec<usize>>,
    /// What the events alone show to be wrong.
    faults: BTreeSet<Fault>,
    /// Clients that have said something in the run at hand.
    awake: BTreeSet<u64>,
}

/// What a dump after a kill showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Transactions that were acknowledged.
    pub acknowledged: u64,
    /// Transactions that are there though nothing had said so.
    pub kept: u64,
    /// Transactions that were requested and are not there.
    pub undone: u64,
    /// Rows.
    pub rows: u64,
}

impl Ledger {
    /// Takes the events of one process, which found whatever the one before had left.
    ///
    /// # Errors
    /// If an event tells of the end of a transaction that was not requested.
    pub fn run(&mut self, events: &[Event]) -> Verdict<()> {
        self.awake.clear();
        events.iter().try_for_each(|event| match event {
            Event::Intent { client, number, writes, read } => {
                self.intent(*client, *number, writes, read);
                Ok(())
            }
            Event::End { client, number, fate } => self.end(*client, *number, *fate),
        })
    }

    fn intent(&mut self, client: u64, number: u64, writes: &[Write], read: &BTreeMap<u64, u64>) {
        if self.awake.insert(client) {
            self.wake(client, number);
        }
        let wanted = self.last_number(client) + 1;
        if number != wanted {
            self.faults.insert(Fault::Skip(client, wanted, number));
        }
        let read = read.iter().map(|(of, read)| (*of, *read, self.find(*of, *read))).collect();
        let transaction = Transaction { client, number, writes: writes.to_vec(), read, fate: Fate::Open };
        self.chains.entry(client).or_default().push(self.transactions.len());
        self.transactions.push(transaction);
    }

    /// A process has opened the store and goes on with `number`: the client's transactions from there on are not there,
    /// and those below are, for good: it has seen them (T3).
    fn wake(&mut self, client: u64, number: u64) {
        let chain = self.chains.entry(client).or_default();
        let kept = chain.iter().take_while(|at| self.transactions[**at].number < number).count();
        for at in chain.split_off(kept) {
            if self.transactions[at].fate == Fate::Acknowledged {
                self.faults.insert(Fault::Lost(client, self.transactions[at].number));
            }
        }
        // The newest that is there has not failed; failed ones behind it were never there.
        if chain.last().is_some_and(|at| self.transactions[*at].fate == Fate::Failed) {
            self.faults.insert(Fault::Undead(client, number - 1));
        }
        for at in chain {
            let fate = &mut self.transactions[*at].fate;
            if *fate == Fate::Open {
                *fate = Fate::Acknowledged;
            }
        }
    }

    fn end(&mut self, client: u64, number: u64, fate: Fate) -> Verdict<()> {
        let at = self.find(client, number);
        let at =
            at.ok_or_else(|| format!("the end of a transaction never begun: {number} of client {client}"))?;
        if fate != Fate::Open {
            self.transactions[at].fate = fate;
        }
        Ok(())
    }

    fn find(&self, client: u64, number: u64) -> Option<usize> {
        let chain = self.chains.get(&client)?;
        chain.iter().rev().copied().find(|at| self.transactions[*at].number == number)
    }

    fn last_number(&self, client: u64) -> u64 {
        let last = self.chains.get(&client).and_then(|chain| chain.last());
        last.map_or(self.newest_settled(client), |at| self.transactions[*at].number)
    }

    fn newest_settled(&self, client: u64) -> u64 {
        self.newest.get(&client).copied().unwrap_or(0)
    }

    /// Holds the rows of a dump against what was said; if all is well, they are the new start.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn judge(&mut self, found: &Rows) -> Result<Findings, Vec<Fault>> {
        let mut faults = std::mem::take(&mut self.faults);
        let there = self.there(found, &mut faults);
        self.unread(&there, found, &mut faults);
        self.compare(&there, found, &mut faults);
        if !faults.is_empty() {
            return Err(faults.into_iter().collect());
        }
        let findings = self.findings(&there, found);
        self.settle(found);
        Ok(findings)
    }

    /// The transactions that the clients' numbers say are there, in order.
    fn there(&self, found: &Rows, faults: &mut BTreeSet<Fault>) -> Vec<usize> {
        let mut there = Vec::new();
        for (client, chain) in &self.chains {
            let newest = number_in(found, *client);
            let of_newest = chain.iter().find(|at| Some(self.transactions[**at].number) == newest);
            match (of_newest.map(|at| self.transactions[*at].fate), newest) {
                (Some(Fate::Failed), Some(newest)) => _ = faults.insert(Fault::Undead(*client, newest)),
                (None, newest) if newest.unwrap_or(0) != self.newest_settled(*client) => {
                    faults.insert(Fault::Stranger(seq_key(*client)));
                }
                _ => {}
            }
            for at in chain {
                let transaction = &self.transactions[*at];
                if transaction.fate == Fate::Failed {
                    continue;
                }
                if Some(transaction.number) <= newest {
                    there.push(*at);
                } else if transaction.fate == Fate::Acknowledged {
                    faults.insert(Fault::Lost(*client, transaction.number));
                }
            }
        }
        there.sort_unstable();
        there
    }

    /// Transactions that are there though what they read is not.
    fn unread(&self, there: &[usize], found: &Rows, faults: &mut BTreeSet<Fault>) {
        for transaction in there.iter().map(|at| &self.transactions[*at]) {
            let missing = transaction.read.iter().filter(|(of, number, place)| match place {
                Some(place) => there.binary_search(place).is_err(),
                None => *number > self.newest_settled(*of).min(number_in(found, *of).unwrap_or(0)),
            });
            faults.extend(
                missing
                    .map(|(of, read, _)| Fault::Unread(transaction.client, transaction.number, *of, *read)),
            );
        }
    }

    /// Every row wanted and no other.
    fn compare(&self, there: &[usize], found: &Rows, faults: &mut BTreeSet<Fault>) {
        let mut wanted = self.settled.clone();
        let mut writer = BTreeMap::new();
        for at in there {
            for (key, value) in &self.transactions[*at].writes {
                put(&mut wanted, key, value.as_deref());
                writer.insert(key, *at);
            }
        }
        let keys: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
        let wrong: Vec<&String> =
            keys.into_iter().filter(|key| wanted.get(*key) != found.get(*key)).collect();
        for key in &wrong {
            faults.insert(self.explain(key, found.get(*key), &writer, &wrong));
        }
    }

    /// What the wrong row under `key` shows.
    fn explain(
        &self,
        key: &str,
        found: Option<&String>,
        writer: &BTreeMap<&String, usize>,
        wrong: &[&String],
    ) -> Fault {
        let wrote = |transaction: &&Transaction| {
            transaction.writes.iter().any(|(own, value)| own == key && value.as_ref() == found)
        };
        let last = writer.get(&key.to_owned()).map(|at| (*at, &self.transactions[*at]));
        let origin = self.transactions.iter().rev().find(wrote).filter(|_| found.is_some());
        if let Some(origin) = origin.filter(|origin| last.is_none_or(|(_, last)| origin.number > last.number))
        {
            return match origin.fate {
                Fate::Failed => Fault::Undead(origin.client, origin.number),
                _ => Fault::Torn(origin.client, origin.number, key.to_owned()),
            };
        }
        let known = found.is_none() || origin.is_some() || self.settled.get(key) == found;
        match last {
            _ if !known => Fault::Stranger(key.to_owned()),
            None => Fault::Gone(key.to_owned()),
            // All that it was the last to write is wrong, or some.
            Some((at, last)) => {
                let own = writer.iter().filter(|(_, writer)| **writer == at);
                let (missing, standing): (Vec<_>, Vec<_>) = own.partition(|(key, _)| wrong.contains(key));
                if standing.is_empty() && !missing.is_empty() {
                    Fault::Hole(last.client, last.number)
                } else {
                    Fault::Torn(last.client, last.number, key.to_owned())
                }
            }
        }
    }

    fn findings(&self, there: &[usize], found: &Rows) -> Findings {
        let fates = || self.transactions.iter().map(|transaction| transaction.fate);
        let acknowledged = fates().filter(|fate| *fate == Fate::Acknowledged).count() as u64;
        let failed = fates().filter(|fate| *fate == Fate::Failed).count();
        Findings {
            acknowledged,
            kept: there.len() as u64 - acknowledged,
            undone: (self.transactions.len() - failed - there.len()) as u64,
            rows: found.len() as u64,
        }
    }

    fn settle(&mut self, found: &Rows) {
        let clients: BTreeSet<u64> = self.newest.keys().chain(self.chains.keys()).copied().collect();
        let number = |client: u64| number_in(found, client).map(|number| (client, number));
        self.newest = clients.into_iter().filter_map(number).collect();
        self.settled = found.clone();
        self.transactions.clear();
        self.chains.clear();
    }
}

/// The rows of a dump. Keys and values of `torture work` need no escapes.
///
/// # Errors
/// If a line is not a row, or keys do not ascend.
pub fn rows(dump: &str) -> Verdict<Rows> {
    let mut rows = Rows::new();
    for line in dump.lines() {
        let (key, value) = line.split_once('\t').ok_or_else(|| format!("not a row of a dump: {line}"))?;
        if rows.last_key_value().is_some_and(|(last, _)| last.as_str() >= key) {
            return Err(format!("the dump's keys do not ascend at {key}"));
        }
        rows.insert(key.to_owned(), value.to_owned());
    }
    Ok(rows)
}

fn put(rows: &mut Rows, key: &str, value: Option<&str>) {
    match value {
        Some(value) => _ = rows.insert(key.to_owned(), value.to_owned()),
        None => _ = rows.remove(key),
    }
}

fn seq_key(client: u64) -> String {
    format!("c{client}/seq")
}

/// The number of the client's newest transaction in a dump.
fn number_in(found: &Rows, client: u64) -> Option<u64> {
    found.get(&seq_key(client))?.parse().ok()
}
