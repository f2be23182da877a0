//! What transactions and their rollbacks have told, in the words of `tla/undo/Undo.tla`.
//!
//! There a position is the number of the transactions' records before it. So each life of the store gets a list of its
//! records: those that the crash before has left, then its own.

use super::OPENER;
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

/// Later than any ticket.
const NEVER: u64 = 2_000_000_000;

pub(crate) fn translate(logs: Vec<Log>) -> Trace {
    let records = records(&logs);
    let lives = Life::all(&logs, &records);
    let names = names(&records);
    let last = lives.last().map_or(NEVER, |life| life.ended);
    let mut threads: BTreeMap<u64, Vec<Step>> = BTreeMap::new();
    for log in &logs {
        // Threads of the same number live one after the other.
        let steps = threads.entry(log.thread).or_default();
        let mut teller = Teller { lives: &lives, records: &records, names: &names, txn: 0, steps };
        log.events.iter().filter(|event| event.begin < last).for_each(|event| teller.tell(event));
    }
    Trace { logs: threads.into_values().collect() }
}

/// A record that is one of the spec.
struct Record {
    action: &'static str,
    txn: u64,
    end: u64,
    /// The undo head after it.
    head: u64,
    /// Of a change: row, what stood there, what stands there now.
    change: [u64; 3],
}

/// The records by the tickets of their claims.
fn records(logs: &[Log]) -> BTreeMap<u64, Record> {
    let mut records = BTreeMap::new();
    for log in logs {
        let mut reader = Reader { is_opener: log.thread == OPENER, ..Reader::default() };
        log.events.iter().for_each(|event| reader.read(event));
        records.extend(reader.records);
    }
    records
}

/// What a record is shows when the undo head moves, and when the call ends that has made it.
#[derive(Default)]
struct Reader {
    is_opener: bool,
    claim: Option<(u64, u64)>,
    /// The newest transaction, and whether it is being rolled back.
    txn: u64,
    is_aborting: bool,
    /// The claim of the newest group.
    newest: u64,
    records: BTreeMap<u64, Record>,
}

impl Reader {
    fn read(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("Reserve", [_, _, end]) => self.claim = Some((event.begin, *end)),
            ("MoveHead", [txn, head, is_over]) => self.moved(*txn, *head, *is_over == 1),
            ("Abort", _) => self.is_aborting = true,
            ("Change", change) => {
                if let Some(record) = self.records.get_mut(&self.newest) {
                    (record.action, record.change) = (named("Change"), [change[0], change[1], change[2]]);
                }
            }
            ("UndoPart", [txn]) => {
                let claim = self.claim.take().filter(|(begin, _)| *begin > event.begin);
                if let Some((begin, end)) = claim {
                    self.add(begin, Record::new(named("UndoPart"), *txn, end, 0));
                }
            }
            _ => {}
        }
    }

    fn moved(&mut self, txn: u64, head: u64, is_over: bool) {
        if txn != self.txn && !is_over {
            (self.txn, self.is_aborting) = (txn, false);
        }
        let Some((begin, end)) = self.claim.take() else { return };
        if is_over && txn != self.txn && !self.is_opener {
            // It has changed nothing.
            return;
        }
        let action = match is_over {
            false => named("Compensate"),
            true if self.is_opener || self.is_aborting => named("End"),
            true => named("Commit"),
        };
        self.add(begin, Record::new(action, txn, end, head));
    }

    fn add(&mut self, begin: u64, record: Record) {
        self.newest = begin;
        self.records.insert(begin, record);
    }
}

impl Record {
    fn new(action: &'static str, txn: u64, end: u64, head: u64) -> Self {
        Self { action, txn, end, head, change: [0; 3] }
    }
}

/// Numbers of transactions, in the order in which they came.
fn names(records: &BTreeMap<u64, Record>) -> BTreeMap<u64, u64> {
    let mut names = BTreeMap::new();
    for record in records.values() {
        let next = names.len() as u64 + 1;
        names.entry(record.txn).or_insert(next);
    }
    names
}

/// From one crash to the next.
#[derive(Default)]
struct Life {
    begun: u64,
    /// The ticket of the crash.
    ended: u64,
    /// The records by where they end: the tickets of their claims.
    records: BTreeMap<u64, u64>,
    /// What the crash has left of the log, as the next opening found it.
    left: u64,
    /// Those publications that made a record durable, by their tickets: up to how many.
    flushes: BTreeMap<u64, u64>,
}

impl Life {
    /// The last one is that before the first crash of which nobody has seen what it left.
    fn all(logs: &[Log], records: &BTreeMap<u64, Record>) -> Vec<Self> {
        let mut events: Vec<_> = logs.iter().flat_map(|log| &log.events).collect();
        events.sort_by_key(|event| event.begin);
        let crashes = events.iter().filter(|event| matches!(event.action, "Die" | "PowerCut"));
        let mut lives: Vec<Self> = Vec::new();
        for ended in crashes.map(|crash| crash.begin).chain([NEVER]) {
            let mut life = lives.last().map(Self::next).unwrap_or_default();
            life.ended = ended;
            let found = life.records.len() as u64;
            let own = records.range(life.begun..ended);
            life.records.extend(own.map(|(claim, record)| (record.end, *claim)));
            life.find_flushes(&events, found);
            // The lowest that the next openings found, up to the one that has begun to write: what only lay in the
            // system's cache the first of them may have seen and a later one not.
            let mut later = events.iter().filter(|event| event.begin > ended);
            let begun =
                later.clone().find(|event| event.action == "Recover").map_or(NEVER, |event| event.begin);
            let opens = later.by_ref().filter(|event| event.action == "Open" && event.begin < begun);
            let left = opens.map(|event| event.values[0]).min();
            life.left = left.unwrap_or(0);
            lives.push(life);
            if left.is_none() {
                break;
            }
        }
        lives
    }

    /// Begins with what the crash has left.
    fn next(&self) -> Self {
        let records = self.records.range(..=self.left).map(|(end, claim)| (*end, *claim)).collect();
        Self { begun: self.ended, records, ..Self::default() }
    }

    fn find_flushes(&mut self, events: &[&Event], mut durable: u64) {
        for event in events.iter().filter(|event| self.begun < event.begin && event.begin < self.ended) {
            if event.action == "Publish" && self.count(event.values[1]) > durable {
                durable = self.count(event.values[1]);
                self.flushes.insert(event.begin, durable);
            }
        }
    }

    /// How many records lie below a position.
    fn count(&self, position: u64) -> u64 {
        self.records.range(..=position).count() as u64
    }
}

/// Tells what one thread did.
struct Teller<'a> {
    lives: &'a [Life],
    records: &'a BTreeMap<u64, Record>,
    names: &'a BTreeMap<u64, u64>,
    /// The transaction at work.
    txn: u64,
    steps: &'a mut Vec<Step>,
}

impl<'a> Teller<'a> {
    /// In which life it was; a crash is the end of one.
    fn life(&self, event: &Event) -> Option<&'a Life> {
        self.lives.get(self.lives.partition_point(|life| life.ended < event.begin))
    }

    fn tell(&mut self, event: &Event) {
        let Some(life) = self.life(event) else { return };
        match event.action {
            "Reserve" => {
                if let Some(record) = self.records.get(&event.begin) {
                    self.record(event, life, record);
                }
            }
            "Savepoint" | "RollBackTo" | "GoOn" | "Abort" => self.own(event),
            "Ack" if event.values.is_empty() => self.own(event),
            "Publish" => {
                if let Some(count) = life.flushes.get(&event.begin) {
                    self.step(&Event { action: named("Flush"), ..event.clone() }, 0, vec![*count]);
                }
            }
            // That of the disk says when it happened, not what it has left.
            "Crash" if !event.values.is_empty() => self.step(event, 0, event.values.clone()),
            "Die" | "PowerCut" => {
                let left = life.count(life.left);
                self.step(&Event { action: named("Crash"), ..event.clone() }, 0, vec![left]);
            }
            _ => {}
        }
    }

    fn record(&mut self, event: &Event, life: &Life, record: &Record) {
        self.txn = self.names.get(&record.txn).copied().unwrap_or(0);
        let place = life.count(record.end);
        let values = match record.action {
            "Change" => {
                let [row, before, _] = record.change;
                vec![place, row, self.place(life, |other| before > 0 && other.change[2] == before)]
            }
            "Compensate" => {
                let is_head = |other: &Record| {
                    other.txn == record.txn && other.change[0] > 0 && other.head == record.head
                };
                vec![place, self.place(life, is_head)]
            }
            _ => vec![place],
        };
        self.step(&Event { action: record.action, ..event.clone() }, self.txn, values);
    }

    /// The place of the newest record that is so; 0 without one.
    fn place(&self, life: &Life, is_it: impl Fn(&Record) -> bool) -> u64 {
        let mut newest = life.records.iter().rev();
        let found = newest.find(|(_, claim)| self.records.get(*claim).is_some_and(&is_it));
        found.map_or(0, |(end, _)| life.count(*end))
    }

    fn own(&mut self, event: &Event) {
        self.step(event, self.txn, Vec::new());
    }

    fn step(&mut self, event: &Event, actor: u64, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }
}
