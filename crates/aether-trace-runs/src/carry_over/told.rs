//! What rows in memory, their transactions and checkpoints have told, in the words of `tla/carry_over/CarryOver.tla`.
//!
//! There a position is the number of records before it in its stream: those of changes of rows, commits and slices. A transaction has a number
//! that says its stream, and whether it deletes. A row that is not in memory is gathered between its neighbours, and leaves no event.

use super::{FIRST, ROWS, STREAMS};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

/// The first number of one that deletes, as in `trace.cfg`.
const DELETES_FROM: u64 = 17;
/// No transaction has this number.
const NOBODY: u64 = 99;

pub(crate) fn translate(logs: Vec<Log>, stripes: &[u64]) -> Trace {
    let history = History::new(&logs, stripes);
    let tell = |log: &Log| {
        let mut teller = Teller::new(&history, &log.events);
        (0..log.events.len()).for_each(|at| teller.tell(at));
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// Before the crash.
struct History<'a> {
    stripes: &'a [u64],
    crash: u64,
    /// Where the records of each stream end.
    ends: [Vec<u64>; STREAMS],
    /// The claims that are the spec's: of rows, commits and slices, by their tickets.
    claims: BTreeMap<u64, &'static str>,
    /// The numbers of transactions by what they write.
    numbers: BTreeMap<u64, u64>,
    /// The number of each row's stripe at first.
    bases: Vec<u64>,
}

impl<'a> History<'a> {
    fn new(logs: &[Log], stripes: &'a [u64]) -> Self {
        let all = || logs.iter().flat_map(|log| &log.events);
        let is_crash = |event: &&Event| matches!(event.action, "Die" | "PowerCut");
        let crash = all().filter(is_crash).map(|event| event.begin).min().unwrap_or(u64::MAX);
        let (ends, claims) = (Default::default(), BTreeMap::new());
        let mut history = Self { stripes, crash, ends, claims, numbers: BTreeMap::new(), bases: Vec::new() };
        logs.iter().for_each(|log| history.read(&log.events));
        history.ends.iter_mut().for_each(|ends| ends.sort_unstable());
        history.number(logs);
        history.bases = (1..=ROWS).map(|row| history.base(row, all())).collect();
        history
    }

    fn row(&self, stripe: u64) -> Option<u64> {
        self.stripes.iter().position(|own| *own == stripe).map(|at| at as u64 + 1)
    }

    /// Finds the claims of a thread that are the spec's. Who has changed nothing may commit all the same.
    fn read(&mut self, events: &[Event]) {
        let (mut is_marked, mut is_slice, mut has_changed, mut newest) = (false, false, false, None);
        let crash = self.crash;
        for event in events.iter().filter(|event| event.begin < crash) {
            match event.action {
                "Mark" => is_marked = true,
                "BeginSlice" => is_slice = true,
                "Written" => is_slice = false,
                "Change" | "Undo" => has_changed = event.action == "Change",
                "Reserve" => {
                    newest = Some(event);
                    if std::mem::take(&mut is_marked) {
                        self.claim(event, named("Claim"));
                    }
                }
                "AppendCommit" if is_slice || std::mem::take(&mut has_changed) => {
                    if let Some(claim) = newest.filter(|claim| claim.begin > event.begin) {
                        self.claim(claim, if is_slice { named("Put") } else { named("Commit") });
                    }
                }
                _ => {}
            }
        }
    }

    fn claim(&mut self, claim: &Event, action: &'static str) {
        self.ends[claim.values[0] as usize].push(claim.values[2]);
        self.claims.insert(claim.begin, action);
    }

    /// Numbers transactions in the order in which they came; odd ones belong to the first stream.
    fn number(&mut self, logs: &[Log]) {
        let mut found = BTreeMap::new();
        for log in logs {
            let mut stream = 0;
            for event in log.events.iter().filter(|event| event.begin < self.crash) {
                match (event.action, &event.values[..]) {
                    ("Mark", [_, _, of]) => stream = *of,
                    ("Change", [_, tag, deletes]) => drop(found.entry(*tag).or_insert((stream, *deletes))),
                    _ => {}
                }
            }
        }
        self.numbers.insert(FIRST, 1);
        let mut next = [[3, 2], [DELETES_FROM, DELETES_FROM + 1]];
        for (tag, (stream, deletes)) in found {
            let number = &mut next[deletes as usize][stream as usize];
            self.numbers.insert(tag, *number);
            *number += 2;
        }
    }

    /// The number of a stripe before its first change.
    fn base<'e>(&self, row: u64, events: impl Iterator<Item = &'e Event>) -> u64 {
        let own = events.filter(|event| event.begin < self.crash);
        let of_row = own.filter_map(|event| match (event.action, &event.values[..]) {
            ("Mark", [stripe, psn, _]) if self.row(*stripe) == Some(row) => Some(psn - 1),
            ("ReadKnown", [stripe, psn]) if self.row(*stripe) == Some(row) => Some(*psn),
            _ => None,
        });
        of_row.min().unwrap_or(0)
    }

    /// How many records of a stream lie below a position.
    fn count(&self, stream: usize, position: u64) -> u64 {
        self.ends[stream].partition_point(|end| *end <= position) as u64
    }

    fn counts(&self, positions: &[u64]) -> Vec<u64> {
        (0..STREAMS).map(|stream| self.count(stream, positions[stream])).collect()
    }

    /// A number of a row's stripe as the spec counts.
    fn psn(&self, row: u64, psn: u64) -> u64 {
        psn - self.bases[row as usize - 1]
    }

    fn txn(&self, tag: u64) -> u64 {
        if tag == 0 { 0 } else { self.numbers.get(&tag).copied().unwrap_or(NOBODY) }
    }
}

/// Tells what one thread did.
struct Teller<'a> {
    history: &'a History<'a>,
    events: &'a [Event],
    /// The transaction at work.
    txn: u64,
    /// The row that is being changed.
    row: Option<u64>,
    is_slice: bool,
    /// Rows that the slice has still to gather, and since when.
    rest: Vec<u64>,
    since: u64,
    /// What a restart has kept.
    kept: Vec<u64>,
    steps: Vec<Step>,
}

impl<'a> Teller<'a> {
    fn new(history: &'a History<'a>, events: &'a [Event]) -> Self {
        let (rest, kept, steps) = (Vec::new(), Vec::new(), Vec::new());
        Self { history, events, txn: 0, row: None, is_slice: false, rest, since: 0, kept, steps }
    }

    fn tell(&mut self, at: usize) {
        let event = &self.events[at];
        if event.begin > self.history.crash {
            return self.tell_restart(event);
        }
        match (event.action, &event.values[..]) {
            ("Mark", [stripe, psn, stream]) => self.mark(at, *stripe, *psn, *stream),
            ("Reserve", [stream, _, end]) => self.claim(event, at, *stream, *end),
            ("Apply", _) => {
                if let Some(row) = self.row.take() {
                    self.step(event, 0, vec![row]);
                }
            }
            ("Publish", [stream, to]) => {
                let count = self.history.count(*stream as usize, *to);
                self.step(&Event { action: named("Flush"), ..event.clone() }, 0, vec![stream + 1, count]);
            }
            ("Purge", [stripe]) => {
                if let Some(row) = self.history.row(*stripe) {
                    self.step(event, 0, vec![row]);
                }
            }
            ("ReadPositions" | "ReadVectors", _) => self.step(event, 0, Vec::new()),
            ("ReadFloors" | "Install", starts) => self.step(event, 0, self.history.counts(starts)),
            _ => self.tell_slice(event),
        }
    }

    fn tell_slice(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("BeginSlice", _) => {
                (self.is_slice, self.rest) = (true, (1..=ROWS).collect());
                self.step(event, 0, Vec::new());
            }
            ("ReadKnown", [stripe, psn]) if self.is_slice => {
                self.since = event.end;
                if let Some(row) = self.history.row(*stripe) {
                    self.step(event, 0, vec![row, self.history.psn(row, *psn)]);
                }
            }
            ("Gather", [stripe, psn]) if self.is_slice => {
                let Some(row) = self.history.row(*stripe) else { return };
                self.gather_rest(row, event.begin);
                self.rest.retain(|left| *left != row);
                let psn = if *psn == 0 { 0 } else { self.history.psn(row, *psn) };
                self.step(event, 0, vec![row, psn]);
                self.since = event.end;
            }
            ("WaitForStreams", _) if self.is_slice => {
                self.gather_rest(ROWS + 1, event.begin);
                self.step(event, 0, Vec::new());
            }
            ("Written", _) => {
                self.is_slice = false;
                self.step(event, 0, Vec::new());
            }
            _ => {}
        }
    }

    /// Rows below `row` that are to be gathered are not in memory.
    fn gather_rest(&mut self, row: u64, until: u64) {
        let gone: Vec<_> = self.rest.iter().copied().filter(|left| *left < row).collect();
        self.rest.retain(|left| *left >= row);
        for row in gone {
            let (action, values) = (named("Gather"), vec![row, 0]);
            self.steps.push(Step { action, actor: 0, values, interval: (self.since, until) });
        }
    }

    /// What a change is shows what comes after it.
    fn mark(&mut self, at: usize, stripe: u64, psn: u64, stream: u64) {
        let event = &self.events[at];
        let Some(row) = self.history.row(stripe) else { return };
        self.row = Some(row);
        if self.is_slice {
            self.gather_rest(ROWS + 1, event.begin);
            return self.step(&Event { action: named("Copy"), ..event.clone() }, 0, vec![row, stream + 1]);
        }
        let mut later = self.events[at..].iter();
        let Some(whole) = later.find(|later| matches!(later.action, "Change" | "Undo")) else { return };
        if whole.action == "Change" {
            self.txn = self.history.txn(whole.values[1]);
        }
        let values = vec![row, self.history.psn(row, psn)];
        self.step(&Event { action: whole.action, ..event.clone() }, self.txn, values);
    }

    fn claim(&mut self, event: &Event, at: usize, stream: u64, end: u64) {
        if self.is_slice {
            let is_put = self.history.claims.get(&self.events[at].begin) == Some(&named("Put"));
            self.gather_rest(if is_put { ROWS + 1 } else { 0 }, event.begin);
        }
        let Some(action) = self.history.claims.get(&event.begin) else { return };
        let place = self.history.count(stream as usize, end);
        let (actor, first) = match *action {
            "Commit" => (self.txn, stream + 1),
            "Put" => (0, stream + 1),
            _ => (0, self.row.unwrap_or(0)),
        };
        self.step(&Event { action, ..event.clone() }, actor, vec![first, place]);
    }

    fn tell_restart(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("Open", cut) if self.kept.is_empty() => self.kept = self.history.counts(cut),
            ("Restart", found) => {
                let found = found.iter().map(|tag| self.history.txn(*tag));
                let values = self.kept.iter().copied().chain(found).collect();
                self.step(event, 0, values);
            }
            _ => {}
        }
    }

    fn step(&mut self, event: &Event, actor: u64, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }
}
