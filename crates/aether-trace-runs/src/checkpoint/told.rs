//! What checkpoints and those beside them have told, in the words of `tla/checkpoint/Checkpoint.tla`.
//!
//! There a position is the number of records of transactions before it in its stream, and the transactions of a worker are
//! one. What ends a rollback changes nothing there and is left out.

use super::{STREAMS, WORKERS};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::{BTreeMap, BTreeSet};

/// `pages` has each worker's page and its number when the run began.
pub(crate) fn translate(logs: Vec<Log>, pages: &Vec<(u64, u64)>) -> Trace {
    let history = History::new(&logs);
    let tell = |log: &Log| {
        let mut teller = Teller {
            worker: log.thread,
            history: &history,
            pages,
            unread: BTreeSet::from_iter(1..=WORKERS),
            steps: Vec::new(),
        };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// A record that is one of the spec.
struct Record {
    action: &'static str,
    stream: usize,
    end: u64,
    worker: u64,
    /// The undo head after it.
    head: u64,
}

#[derive(Default)]
struct History {
    /// By the tickets of their claims.
    records: BTreeMap<u64, Record>,
    /// The tickets of those moves of a head that end a step of the spec.
    moves: BTreeSet<u64>,
    /// The worker of each transaction.
    workers: BTreeMap<u64, u64>,
    /// Where the records of each stream end.
    ends: [Vec<u64>; STREAMS as usize],
    /// The tickets of those publications that made a record durable.
    flushes: BTreeSet<u64>,
}

impl History {
    fn new(logs: &[Log]) -> Self {
        let mut history = Self::default();
        logs.iter().for_each(|log| history.read(log));
        for record in history.records.values() {
            history.ends[record.stream].push(record.end);
        }
        history.ends.iter_mut().for_each(|ends| ends.sort_unstable());
        history.find_flushes(logs);
        history
    }

    /// What a record is shows when the undo head moves.
    fn read(&mut self, log: &Log) {
        let (mut claim, mut chain) = (None, Vec::new());
        for event in &log.events {
            match (event.action, &event.values[..]) {
                ("Reserve", _) => claim = Some(event),
                ("MoveHead", [txn, head, is_over]) => {
                    self.workers.insert(*txn, log.thread);
                    let action = follow(&mut chain, *head, *is_over == 1);
                    if let (Some(action), Some(claim)) = (action, claim.take()) {
                        self.moves.insert(event.begin);
                        let (stream, end) = (claim.values[0] as usize, claim.values[2]);
                        let record = Record { action, stream, end, worker: log.thread, head: *head };
                        self.records.insert(claim.begin, record);
                    }
                }
                _ => {}
            }
        }
    }

    fn find_flushes(&mut self, logs: &[Log]) {
        let all = logs.iter().flat_map(|log| &log.events);
        let mut published: Vec<_> = all.filter(|event| event.action == "Publish").collect();
        published.sort_by_key(|event| event.begin);
        let mut durable = [0; STREAMS as usize];
        for event in published {
            let stream = event.values[0] as usize;
            let count = self.count(stream, event.values[1]);
            if count > durable[stream] {
                durable[stream] = count;
                self.flushes.insert(event.begin);
            }
        }
    }

    /// How many records of a stream lie below a position.
    fn count(&self, stream: usize, position: u64) -> u64 {
        self.ends[stream].partition_point(|end| *end <= position) as u64
    }

    fn counts(&self, positions: &[u64]) -> Vec<u64> {
        (0..STREAMS as usize).map(|stream| self.count(stream, positions[stream])).collect()
    }

    fn place(&self, record: &Record) -> u64 {
        self.count(record.stream, record.end)
    }

    /// The place of the change that an undo head names.
    fn head(&self, head: u64) -> u64 {
        let mut changes = self.records.values().filter(|record| record.action == named("Change"));
        changes.find(|record| record.head == head).map_or(0, |record| self.place(record))
    }

    /// The place of the record that gave a worker's page its `nth` number.
    fn of_page(&self, worker: u64, nth: u64) -> u64 {
        let own = self.records.values().filter(|record| record.worker == worker);
        let mut groups = own.filter(|record| record.action != named("Commit"));
        nth.checked_sub(1).and_then(|nth| groups.nth(nth as usize)).map_or(0, |record| self.place(record))
    }
}

/// What was done to the undo heads of a transaction; `chain` has those that are left.
fn follow(chain: &mut Vec<u64>, head: u64, is_over: bool) -> Option<&'static str> {
    if is_over {
        return (!std::mem::take(chain).is_empty()).then_some(named("Commit"));
    }
    let left = chain.len().saturating_sub(1);
    if !chain.is_empty() && head == chain[..left].last().copied().unwrap_or(0) {
        chain.truncate(left);
        return Some(named("Compensate"));
    }
    chain.push(head);
    Some(named("Change"))
}

/// Tells what one thread did.
struct Teller<'a> {
    worker: u64,
    history: &'a History,
    pages: &'a Vec<(u64, u64)>,
    /// Those whose heads the checkpoint under way has not read.
    unread: BTreeSet<u64>,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("Reserve", _) => {
                if let Some(record) = self.history.records.get(&event.begin) {
                    let claim = Event { action: record.action, ..event.clone() };
                    self.step(&claim, self.worker, vec![self.history.place(record)]);
                }
            }
            ("MoveHead", [_, head, _]) if self.history.moves.contains(&event.begin) => {
                self.step(event, self.worker, vec![self.history.head(*head)]);
            }
            ("Publish", [stream, to]) if self.history.flushes.contains(&event.begin) => {
                let count = self.history.count(*stream as usize, *to);
                self.step(&Event { action: named("Flush"), ..event.clone() }, 0, vec![stream + 1, count]);
            }
            ("Clean", [page, psn]) => self.clean(event, *page, *psn),
            ("ReadList", [txn, head]) => self.read_list(event, *txn, *head),
            ("ReadList", _) => self.read_rest(event),
            ("ReadPositions" | "ReadVectors", _) => self.step(event, 0, Vec::new()),
            ("ReadFrames" | "Install", starts) => self.step(event, 0, self.history.counts(starts)),
            _ => {}
        }
    }

    /// Pages of nobody are not the spec's.
    fn clean(&mut self, event: &Event, page: u64, psn: u64) {
        if let Some(at) = self.pages.iter().position(|(own, _)| *own == page) {
            let worker = at as u64 + 1;
            self.step(event, worker, vec![self.history.of_page(worker, psn - self.pages[at].1)]);
        }
    }

    fn read_list(&mut self, event: &Event, txn: u64, head: u64) {
        if let Some(worker) = self.history.workers.get(&txn) {
            self.unread.remove(worker);
            self.step(event, *worker, vec![self.history.head(head)]);
        }
    }

    /// Who is not in the table has no head.
    fn read_rest(&mut self, event: &Event) {
        for worker in std::mem::replace(&mut self.unread, BTreeSet::from_iter(1..=WORKERS)) {
            self.step(event, worker, vec![0]);
        }
    }

    fn step(&mut self, event: &Event, actor: u64, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }
}
