//! What the users of a tree have told, in the words of `tla/btree/Btree.tla`.
//!
//! A thread is a reader and a writer there. Told is each descent that led to something: one that had to begin again has left
//! nothing behind, nor has a latch that was let go unused, nor the cleaning of a leaf, which keeps its keys.

use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

pub(crate) fn translate(logs: Vec<Log>, readers: u64) -> Trace {
    let pages = number_pages(&logs);
    let tell = |log: &Log| {
        let mut teller = Teller {
            thread: log.thread,
            readers,
            pages: &pages,
            op: None,
            pending: Vec::new(),
            steps: Vec::new(),
        };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.finish();
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// Pages that splits made, in the order in which they first came; the root is the first of all.
fn number_pages(logs: &[Log]) -> BTreeMap<u64, u64> {
    let mut splits: Vec<_> =
        logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Split").collect();
    splits.sort_by_key(|event| event.begin);
    let mut pages = BTreeMap::new();
    for page in splits.iter().flat_map(|split| &split.values[1..]) {
        let number = pages.len() as u64 + 2;
        pages.entry(*page).or_insert(number);
    }
    pages
}

/// What a thread is about.
struct Op {
    /// 1 a look, 2 a put, 3 a delete.
    kind: u64,
    key: u64,
    /// Its beginning was told.
    is_told: bool,
}

const GET: u64 = 1;
const DELETE: u64 = 3;
/// Of a look: what was seen is not known, or is not asked.
const UNKNOWN: u64 = 2;

/// Tells what one thread did.
struct Teller<'a> {
    thread: u64,
    readers: u64,
    pages: &'a BTreeMap<u64, u64>,
    op: Option<Op>,
    /// The descent under way, and what it has latched.
    pending: Vec<Step>,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        match event.action {
            "Begin" => {
                self.finish();
                self.op = Some(Op { kind: values[0], key: values[1], is_told: false });
            }
            _ if self.op.is_none() => {}
            "FixRoot" => {
                self.pending.clear();
                self.wait(event, Vec::new());
            }
            "FixChild" => {
                self.look(event, UNKNOWN);
                self.wait(event, vec![self.page(values[0])]);
            }
            "Couple" | "LatchChild" => self.wait(event, Vec::new()),
            "Answer" => self.answer(event),
            "Upgrade" => {
                self.look(event, UNKNOWN);
                self.wait(event, Vec::new());
            }
            "Write" => self.write(event),
            "LatchForSplit" if values[0] == 0 => self.latch_for_split(event),
            "Split" => {
                let (first, second) = (self.page(values[1]), self.page(values[2]));
                self.wait(event, vec![values[0], first, second]);
                self.release(event, self.way());
                self.flush();
            }
            "LatchForMerge" if values[0] == 0 => self.latch_for_merge(event),
            "LatchSibling" => self.wait(event, vec![self.page(values[0])]),
            "Merge" => self.merge(event),
            _ => {}
        }
    }

    fn answer(&mut self, event: &Event) {
        self.look(event, event.values[0]);
        self.wait(event, Vec::new());
        self.wait(&Event { action: named("Return"), ..event.clone() }, Vec::new());
        self.flush();
        // Who has to look into the undo may come again.
        self.op.iter_mut().for_each(|op| op.is_told = false);
    }

    fn write(&mut self, event: &Event) {
        let is_done = event.values[0] == 1;
        self.wait(event, vec![event.values[0]]);
        let leaf = self.way().pop();
        self.release(event, leaf.into_iter().collect());
        self.flush();
        if is_done && self.op.as_ref().is_some_and(|op| op.kind != DELETE) {
            self.op = None;
        }
    }

    fn latch_for_split(&mut self, event: &Event) {
        let has_room = event.values[1];
        self.look(event, has_room);
        self.wait(event, Vec::new());
        if has_room == 1 {
            self.flush();
        }
    }

    /// A pair that did not fit has left nothing behind if another is tried.
    fn latch_for_merge(&mut self, event: &Event) {
        let [_, latches, pair] = event.values[..] else { return };
        let begin = self.end();
        match self.pending.iter().position(|step| step.action == named("LatchForMerge")) {
            Some(before) => self.pending.truncate(before),
            None => self.look(event, latches),
        }
        if latches == 1 {
            return self.wait(event, vec![pair]);
        }
        // It was validated before.
        self.wait(&Event { begin, ..event.clone() }, vec![0]);
        self.flush();
        self.op = None;
    }

    fn merge(&mut self, event: &Event) {
        let fits = event.values[0];
        self.wait(event, vec![fits]);
        let siblings = self.pending.iter().filter(|step| step.action == named("LatchSibling"));
        let latched = siblings.map(|step| step.values[0]).chain([1]).collect();
        self.release(event, latched);
        if fits == 1 {
            self.flush();
            self.op = None;
        }
    }

    /// The pages of the descent, downward.
    fn way(&self) -> Vec<u64> {
        let below = self.pending.iter().filter(|step| step.action == named("FixChild"));
        [1].into_iter().chain(below.map(|step| step.values[0])).collect()
    }

    fn page(&self, page: u64) -> u64 {
        self.pages.get(&page).copied().unwrap_or(0)
    }

    /// What was read between the last step and this event.
    fn look(&mut self, event: &Event, seen: u64) {
        let between =
            Event { action: named("Look"), values: Vec::new(), begin: self.end(), end: event.begin };
        self.wait(&between, vec![seen]);
    }

    /// When the last step had ended.
    fn end(&self) -> u64 {
        self.pending.last().map_or(0, |step| step.interval.1)
    }

    fn release(&mut self, event: &Event, pages: Vec<u64>) {
        for page in pages {
            self.wait(&Event { action: named("Release"), ..event.clone() }, vec![page]);
        }
    }

    fn wait(&mut self, event: &Event, values: Vec<u64>) {
        let writer = if self.op.as_ref().is_some_and(|op| op.kind == GET) { 0 } else { self.readers };
        let (action, interval) = (event.action, (event.begin, event.end));
        self.pending.push(Step { action, actor: self.thread + writer, values, interval });
    }

    /// Tells what was pending.
    fn flush(&mut self) {
        let (Some(op), Some(first)) = (&mut self.op, self.pending.first()) else { return };
        if !std::mem::replace(&mut op.is_told, true) {
            self.steps.push(Step { action: named("Begin"), values: vec![op.kind, op.key], ..first.clone() });
        }
        self.steps.append(&mut self.pending);
    }

    /// A merge that did not fit was the last.
    fn finish(&mut self) {
        if self.pending.iter().any(|step| step.action == named("Merge")) {
            self.flush();
        }
        self.pending.clear();
        self.op = None;
    }
}
