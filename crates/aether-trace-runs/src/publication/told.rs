//! What transactions have told, in the words of `tla/publication/Publication.tla`.
//!
//! A view there is a writer or a reader and has a number; that of a writer says which stream is its home. Positions are
//! numbers of commits.

use super::{ROWS, STREAMS};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::{BTreeMap, BTreeSet};

/// As in `trace.cfg`.
const NUM_WRITERS: u64 = 16;

pub(crate) fn translate(logs: Vec<Log>, clock: u64) -> Trace {
    let names = Names::new(&logs);
    let commits = Commits::new(&logs);
    let tell = |(index, log): (usize, &Log)| {
        let mut teller =
            Teller { log: index, views: 0, clock, names: &names, commits: &commits, steps: Vec::new() };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.steps
    };
    Trace { logs: logs.iter().enumerate().map(tell).collect() }
}

/// A view: the log it is in, and the how many-th there.
type View = (usize, usize);

/// The numbers of views.
#[derive(Default)]
struct Names {
    views: BTreeMap<View, u64>,
    /// By the engine's number of a transaction.
    txns: BTreeMap<u64, u64>,
    /// By what it writes.
    tags: BTreeMap<u64, u64>,
}

/// What is known of a view.
#[derive(Default)]
struct Known {
    is_reader: bool,
    txn: Option<u64>,
    tag: Option<u64>,
    stream: Option<u64>,
}

impl Names {
    fn new(logs: &[Log]) -> Self {
        let views: BTreeMap<View, Known> =
            logs.iter().enumerate().flat_map(|(index, log)| views_of(index, log)).collect();
        let mut names = Self::default();
        let (mut readers, mut next) = (NUM_WRITERS, [1, 2]);
        let name = |names: &mut Self, view: View, known: &Known, number: u64| {
            names.views.insert(view, number);
            names.txns.extend(known.txn.map(|txn| (txn, number)));
            names.tags.extend(known.tag.map(|tag| (tag, number)));
        };
        for (view, known) in views.iter().filter(|(_, known)| known.stream.is_some() || known.is_reader) {
            let number = match known.stream {
                Some(stream) => {
                    next[stream as usize] += STREAMS as u64;
                    next[stream as usize] - STREAMS as u64
                }
                None => {
                    readers += 1;
                    readers
                }
            };
            name(&mut names, *view, known, number);
        }
        // Who did not commit has any number that is left.
        for (view, known) in views.iter().filter(|(_, known)| known.stream.is_none() && !known.is_reader) {
            let stream = usize::from(next[1] < next[0]);
            name(&mut names, *view, known, next[stream]);
            next[stream] += STREAMS as u64;
        }
        names.tags.insert(0, 0);
        names
    }
}

/// The views of a thread, of which one ends before the next begins.
fn views_of(index: usize, log: &Log) -> Vec<(View, Known)> {
    let mut views: Vec<(View, Known)> = Vec::new();
    for event in &log.events {
        if event.action == "DrawSnapshot" {
            let known = Known { is_reader: event.values[1] == 1, ..Known::default() };
            views.push(((index, views.len()), known));
            continue;
        }
        let Some((_, known)) = views.last_mut() else { continue };
        match event.action {
            "Bound" => known.txn = Some(event.values[0]),
            "Update" => known.tag = Some(event.values[1]),
            "AppendCommit" => known.stream = Some(event.values[0]),
            _ => {}
        }
    }
    views
}

/// Where the commits of each stream end, and which publications make one durable.
struct Commits {
    ends: [Vec<u64>; STREAMS],
    flushes: BTreeSet<u64>,
}

impl Commits {
    fn new(logs: &[Log]) -> Self {
        let mut events: Vec<_> = logs.iter().flat_map(|log| &log.events).collect();
        events.sort_by_key(|event| event.begin);
        let mut commits = Self { ends: Default::default(), flushes: BTreeSet::new() };
        for event in events.iter().filter(|event| event.action == "AppendCommit") {
            commits.ends[event.values[0] as usize].push(event.values[1]);
        }
        commits.ends.iter_mut().for_each(|ends| ends.sort_unstable());
        let mut durable = [0; STREAMS];
        for event in events.iter().filter(|event| event.action == "Publish") {
            let (stream, count) = commits.count(event);
            if count > durable[stream] {
                durable[stream] = count;
                commits.flushes.insert(event.begin);
            }
        }
        commits
    }

    /// Of a stream and a position in it: how many commits end there or before.
    fn count(&self, event: &Event) -> (usize, u64) {
        let stream = event.values[0] as usize;
        (stream, self.ends[stream].partition_point(|end| *end <= event.values[1]) as u64)
    }
}

/// Tells what one thread did.
struct Teller<'a> {
    log: usize,
    /// How many views have begun.
    views: usize,
    clock: u64,
    names: &'a Names,
    commits: &'a Commits,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        let tag = |tag: &u64| self.names.tags.get(tag).copied().unwrap_or(u64::from(u16::MAX));
        match event.action {
            "DrawSnapshot" => {
                self.views += 1;
                // In the code this is one step.
                self.own(&Event { action: named("Register"), ..event.clone() }, Vec::new());
                self.own(event, vec![self.since(values[0])]);
            }
            "Read" => self.own(event, vec![values[0], tag(&values[1])]),
            "Update" => self.own(event, vec![values[0]]),
            "Draw" => self.own(event, vec![self.since(values[0])]),
            "Bound" => self.own(event, vec![self.since(values[1])]),
            "AppendCommit" => self.own(event, vec![values[0] + 1, self.commits.count(event).1]),
            "Committing" | "Enqueue" | "Committed" | "Abort" | "Leave" => self.own(event, Vec::new()),
            // That of a vector is the log's.
            "Ack" if values.is_empty() => self.own(event, Vec::new()),
            "Publish" => self.flush(event),
            "Pop" => self.step(event, self.txn(values[0]), Vec::new()),
            "Advance" => self.step(event, 0, vec![self.since(values[0])]),
            "Strip" => (1..=ROWS).for_each(|row| self.step(event, self.txn(values[0]), vec![row])),
            _ => {}
        }
    }

    fn flush(&mut self, event: &Event) {
        if self.commits.flushes.contains(&event.begin) {
            let (stream, count) = self.commits.count(event);
            self.step(&Event { action: named("Flush"), ..event.clone() }, 0, vec![stream as u64 + 1, count]);
        }
    }

    /// A timestamp in the spec.
    fn since(&self, timestamp: u64) -> u64 {
        timestamp.saturating_sub(self.clock)
    }

    fn txn(&self, txn: u64) -> u64 {
        self.names.txns.get(&txn).copied().unwrap_or(0)
    }

    /// A step of the view at work in this thread.
    fn own(&mut self, event: &Event, values: Vec<u64>) {
        let view = self.views.checked_sub(1).and_then(|number| self.names.views.get(&(self.log, number)));
        self.step(event, view.copied().unwrap_or(0), values);
    }

    fn step(&mut self, event: &Event, actor: u64, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }
}
