//! What writers, readers and the collector have told, in the words of `tla/version_gc/VersionGc.tla`.
//!
//! A reader there is a snapshot, also that of a transaction which writes. A version is the number of the change that made
//! it. Transactions that changed other rows are none of the spec, but for their snapshots.

use crate::step::named;
use crate::{Step, Trace};
use aether_index::txn::recovery::wal::buffer::page::UndoPtr;
use aether_trace::{Event, Log};
use std::collections::{BTreeMap, BTreeSet};

/// A value that nobody has read.
const UNREAD: u64 = 999;

pub(crate) fn translate(logs: Vec<Log>, clock: u64) -> Trace {
    let mut history = History::new(&logs);
    history.find_advances(&logs, clock);
    history.find_trims(&logs);
    let mut first = 1;
    let tell = |log: &Log| {
        let mut teller =
            Teller { history: &history, clock, claim: None, txn: 0, reader: first - 1, steps: Vec::new() };
        first += log.events.iter().filter(|event| event.action == "DrawSnapshot").count() as u64;
        for (at, event) in log.events.iter().enumerate() {
            teller.tell(event, &log.events[at + 1..]);
        }
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// A change of the row.
struct Change {
    txn: u64,
    tag: u64,
    /// Where its undo record stands.
    undo: u64,
}

#[derive(Default)]
struct History {
    /// By the tickets of their claims, which come in the order of the log.
    changes: BTreeMap<u64, Change>,
    /// By the ticket: how far what is durable was raised.
    advances: BTreeMap<u64, u64>,
    /// By the ticket: the writers whose records went with the pages that were freed.
    trims: BTreeMap<u64, Vec<u64>>,
}

impl History {
    /// What a group is shows when the call ends that has made it.
    fn new(logs: &[Log]) -> Self {
        let mut found: Vec<(u64, u64, Change)> = Vec::new();
        for log in logs {
            let (mut claim, mut moved) = (None, None);
            for event in &log.events {
                match (event.action, &event.values[..]) {
                    ("Reserve", [_, _, end]) => claim = Some((*end, event.begin)),
                    ("MoveHead", [txn, undo, 0]) => moved = claim.map(|claim| (claim, *txn, *undo)),
                    ("Change", [tag]) => {
                        let change = moved.take();
                        found.extend(
                            change.map(|((end, begin), txn, undo)| {
                                (end, begin, Change { txn, tag: *tag, undo })
                            }),
                        );
                    }
                    _ => {}
                }
            }
        }
        found.sort_by_key(|(end, ..)| *end);
        let changes = found.into_iter().map(|(_, begin, change)| (begin, change)).collect();
        Self { changes, ..Self::default() }
    }

    /// A page that is freed again was used again: those who were there before are told once, whoever freed it.
    fn find_trims(&mut self, logs: &[Log]) {
        let mut all: Vec<_> =
            logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Trim").collect();
        all.sort_by_key(|event| event.begin);
        let mut told = BTreeSet::new();
        for event in all {
            let pages = event.values.iter().filter(|page| **page != 0);
            let writers = pages.flat_map(|page| self.writers_on(*page, event.begin));
            let new = writers.filter(|writer| told.insert(*writer)).collect();
            self.trims.insert(event.begin, new);
        }
    }

    fn find_advances(&mut self, logs: &[Log], clock: u64) {
        let all = logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Advance");
        let mut all: Vec<_> = all.map(|event| (event.values[0], event.begin)).collect();
        all.sort_unstable();
        let mut durable = clock;
        for (to, begin) in all {
            self.advances.insert(begin, to - durable);
            durable = to;
        }
    }

    /// The number of a change.
    fn number(&self, is_it: impl Fn(&Change) -> bool) -> Option<u64> {
        self.changes.values().position(is_it).map(|at| at as u64 + 1)
    }

    /// The writer's; each has one change, and its number.
    fn writer(&self, txn: u64) -> Option<u64> {
        self.number(|change| change.txn == txn)
    }

    /// Those whose undo records stand on the page of an undo pointer, of those that were there before a ticket.
    fn writers_on(&self, page: u64, before: u64) -> impl Iterator<Item = u64> {
        let is_there = move |(begin, change): (&u64, &Change)| {
            *begin < before && UndoPtr::from_word(change.undo).page().get() == page
        };
        self.changes.iter().map(is_there).zip(1..).filter(|(is_there, _)| *is_there).map(|(_, writer)| writer)
    }
}

/// Tells what one thread did.
struct Teller<'a> {
    history: &'a History,
    /// When the run began.
    clock: u64,
    /// The newest claim of a place in the log.
    claim: Option<Event>,
    /// The writer at work.
    txn: u64,
    /// The snapshot in use.
    reader: u64,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event, later: &[Event]) {
        let values = &event.values;
        let writer = || values.first().and_then(|txn| self.history.writer(*txn));
        match event.action {
            "DrawSnapshot" => {
                self.reader += 1;
                self.own(&Event { action: named("Enter"), ..event.clone() }, vec![self.since(values[0])]);
            }
            "Reserve" => self.claimed(event),
            "MoveHead" => self.moved(event),
            "Draw" => {
                let commit = Event { action: named("Commit"), ..event.clone() };
                self.step(&commit, self.txn, vec![self.since(values[0])]);
            }
            "Advance" => {
                let times = self.history.advances.get(&event.begin).copied().unwrap_or(0);
                (0..times).for_each(|_| self.step(event, 0, Vec::new()));
            }
            "ReadRow" => {
                let behind = if values[0] == 0 { 0 } else { writer().unwrap_or(UNREAD) };
                self.own(event, vec![behind, self.value(later)]);
            }
            "Older" => self.own(event, vec![values[0], self.value(later)]),
            "LetGo" => self.own(event, Vec::new()),
            "End" | "StripRow" => {
                writer().into_iter().for_each(|writer| self.step(event, writer, Vec::new()))
            }
            "Strip" => {
                let forget = Event { action: named("Forget"), ..event.clone() };
                writer().into_iter().for_each(|writer| self.step(&forget, writer, Vec::new()));
            }
            "Expire" | "GcDurable" | "GcOldest" => self.step(event, 0, vec![self.since(values[0])]),
            "GcEnd" => self.step(event, 0, Vec::new()),
            "Trim" => self.trim(event),
            _ => {}
        }
    }

    fn claimed(&mut self, event: &Event) {
        self.claim = Some(event.clone());
        if let Some(change) = self.history.changes.get(&event.begin) {
            let number = self.history.writer(change.txn).unwrap_or(0);
            self.txn = number;
            self.step(&Event { action: named("Change"), ..event.clone() }, number, vec![number]);
        }
    }

    /// The second group of a writer undoes the first.
    fn moved(&mut self, event: &Event) {
        let [txn, undo, 0] = event.values[..] else { return };
        let changes = &self.history.changes;
        let is_own = changes.values().any(|change| change.txn == txn && change.undo != undo);
        if let (true, Some(writer), Some(claim)) = (is_own, self.history.writer(txn), self.claim.take()) {
            self.step(&Event { action: named("Undo"), ..claim }, writer, Vec::new());
        }
    }

    fn trim(&mut self, event: &Event) {
        let writers = self.history.trims.get(&event.begin).into_iter().flatten();
        writers.for_each(|writer| self.step(event, *writer, Vec::new()));
    }

    /// What the reading has shown in the end; the number of the change.
    fn value(&self, later: &[Event]) -> u64 {
        let mut rest = later.iter().take_while(|event| event.action != "LetGo");
        match rest.find(|event| event.action == "Read").map(|read| read.values[0]) {
            None => UNREAD,
            Some(0) => 0,
            Some(tag) => self.history.number(|change| change.tag == tag).unwrap_or(UNREAD - 1),
        }
    }

    /// A timestamp in the spec.
    fn since(&self, timestamp: u64) -> u64 {
        timestamp.saturating_sub(self.clock)
    }

    /// A step of the snapshot in use.
    fn own(&mut self, event: &Event, values: Vec<u64>) {
        self.step(event, self.reader, values);
    }

    fn step(&mut self, event: &Event, actor: u64, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &'static str, values: &[u64], begin: u64) -> Event {
        Event { action, values: values.to_vec(), begin, end: begin + 1 }
    }

    #[test]
    fn who_goes_with_a_page_is_told_once_also_if_another_thread_frees_the_page_again() {
        let page = 7;
        let change = |txn: u64, begin: u64| {
            let undo = page | txn << 38;
            assert_eq!(UndoPtr::from_word(undo).page().get(), page);
            let claim = event("Reserve", &[0, begin, begin + 1], begin);
            [claim, event("MoveHead", &[txn, undo, 0], begin + 1), event("Change", &[txn], begin + 2)]
        };
        let one = [change(1, 10).to_vec(), vec![event("Trim", &[page], 20)]].concat();
        let other = [change(2, 30).to_vec(), vec![event("Trim", &[page], 40)]].concat();
        let logs = [one, other].map(|events| Log { thread: 0, events });
        let told = translate(logs.into(), 0);
        let trims = |log: &Vec<Step>| -> Vec<u64> {
            log.iter().filter(|step| step.action == "Trim").map(|step| step.actor).collect()
        };
        assert_eq!(told.logs.iter().map(trims).collect::<Vec<_>>(), [[1], [2]]);
    }
}
