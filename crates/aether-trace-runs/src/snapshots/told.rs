//! What transactions have told, in the words of `tla/snapshots/Snapshots.tla`.
//!
//! Transactions there have numbers, serializable ones the lower; a timestamp is the number of their commits up to it.

use super::{MISSING, NOT_ASKED};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::{BTreeMap, BTreeSet};

/// As in `trace.cfg`: the last serializable one.
const SERIALIZABLE: u64 = 6;
/// As in `SnapshotsTrace.tla`.
const NOT_ASKED_THERE: u64 = 98;
const UNKNOWN: u64 = 97;

pub(crate) fn translate(logs: &[Log]) -> Trace {
    let tags = numbers(logs);
    let mut tellers: Vec<Teller<'_>> = logs.iter().map(|_| Teller::new(&tags)).collect();
    let prepared: BTreeMap<u64, u64> = logs.iter().flat_map(prepared_in).collect();
    for (teller, log) in tellers.iter_mut().zip(logs) {
        log.events.iter().for_each(|event| teller.tell(event, &prepared));
    }
    let drawn: BTreeSet<u64> = tellers.iter().flat_map(|teller| teller.drawn.iter().copied()).collect();
    let count = |mut step: Step| {
        if let ("Begin" | "Commit" | "CommitPrepared", Some(at)) = (step.action, step.values.first_mut()) {
            *at = drawn.range(..=*at).count() as u64;
        }
        step
    };
    Trace { logs: tellers.into_iter().map(|teller| teller.steps.into_iter().map(count).collect()).collect() }
}

/// The number of each transaction, by the tag that it writes.
fn numbers(logs: &[Log]) -> BTreeMap<u64, u64> {
    let begun = logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Begin");
    let mut next = [SERIALIZABLE + 1, 1];
    let mut number = |event: &Event| {
        let next = &mut next[event.values[1] as usize];
        *next += 1;
        (event.values[0], *next - 1)
    };
    begun.map(&mut number).collect()
}

/// The tags of those that are prepared in a thread, by the engine's numbers.
fn prepared_in(log: &Log) -> Vec<(u64, u64)> {
    let (mut tag, mut found) = (0, Vec::new());
    for event in &log.events {
        match event.action {
            "Begin" => tag = event.values[0],
            "Prepare" => found.push((event.values[0], tag)),
            _ => {}
        }
    }
    found
}

/// Tells what one thread did.
struct Teller<'a> {
    tags: &'a BTreeMap<u64, u64>,
    /// The tag of the transaction at work.
    own: Option<u64>,
    /// The newest snapshot.
    snapshot: u64,
    /// Who draws the next timestamp, by the engine's number.
    drawing: u64,
    drawn: Vec<u64>,
    steps: Vec<Step>,
}

impl<'a> Teller<'a> {
    fn new(tags: &'a BTreeMap<u64, u64>) -> Self {
        Self { tags, own: None, snapshot: 0, drawing: 0, drawn: Vec::new(), steps: Vec::new() }
    }

    fn tell(&mut self, event: &Event, prepared: &BTreeMap<u64, u64>) {
        let values = &event.values;
        match event.action {
            "DrawSnapshot" => self.snapshot = values[0],
            "Begin" => {
                self.own = Some(values[0]);
                self.step(event, self.own, vec![self.snapshot]);
            }
            "Read" => self.step(event, self.own, values.iter().map(|tag| self.version(*tag)).collect()),
            // That of a tree says only whether a row was changed.
            "Write" if values.len() == 2 => self.step(event, self.own, values[1..].to_vec()),
            "Bound" => self.drawing = values[0],
            "Draw" => self.draw(event, prepared.get(&self.drawing).copied()),
            "Commit" => {
                let own = self.own.take();
                self.step(event, own, Vec::new());
            }
            "Prepare" => {
                // The engine's own transactions, which come next, are none of the spec's.
                let own = self.own.take();
                self.step(event, own, Vec::new());
            }
            "Abort" => {
                self.own = self.own.filter(|own| *own != values[0]);
                self.step(event, Some(values[0]), Vec::new());
            }
            _ => {}
        }
    }

    fn draw(&mut self, event: &Event, prepared: Option<u64>) {
        let (action, tag) = match prepared {
            Some(tag) => (named("CommitPrepared"), Some(tag)),
            None => (named("Commit"), self.own.take()),
        };
        if tag.is_some() {
            self.drawn.push(event.values[0]);
            self.step(&Event { action, ..event.clone() }, tag, event.values.clone());
        }
    }

    fn version(&self, tag: u64) -> u64 {
        match tag {
            NOT_ASKED => NOT_ASKED_THERE,
            MISSING => 0,
            tag => self.tags.get(&tag).copied().unwrap_or(UNKNOWN),
        }
    }

    fn step(&mut self, event: &Event, tag: Option<u64>, values: Vec<u64>) {
        let actor = tag.and_then(|tag| self.tags.get(&tag)).copied().unwrap_or(UNKNOWN);
        self.steps.push(Step { action: event.action, actor, values, interval: (event.begin, event.end) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &'static str, values: &[u64], begin: u64) -> Event {
        Event { action, values: values.to_vec(), begin, end: begin + 1 }
    }

    /// The engine's own transaction, which says that another is prepared, is none of the spec's.
    #[test]
    fn timestamps_count_the_commits_of_the_run() {
        let events = vec![
            event("DrawSnapshot", &[7, 0], 1),
            event("Begin", &[10, 1], 2),
            event("Prepare", &[900], 3),
            event("Bound", &[901, 7], 4),
            event("Draw", &[8], 5),
            event("DrawSnapshot", &[8, 0], 6),
            event("Begin", &[11, 0], 7),
            event("Bound", &[900, 8], 8),
            event("Draw", &[9], 9),
            event("Read", &[10, NOT_ASKED, MISSING], 10),
        ];
        let trace = translate(&[Log { thread: 1, events }]);
        let told: Vec<_> =
            trace.logs[0].iter().map(|step| (step.action, step.actor, step.values.clone())).collect();
        let expected = [
            ("Begin", 1, vec![0]),
            ("Prepare", 1, vec![]),
            ("Begin", 7, vec![0]),
            ("CommitPrepared", 1, vec![1]),
            ("Read", 7, vec![1, NOT_ASKED_THERE, 0]),
        ];
        assert_eq!(told, expected);
    }
}
