//! What a run of several streams has told, in the words of `tla/stream_cut/StreamCut.tla`.
//!
//! There a position is the number of records before it. So each life of the store gets a list of its records: those that
//! the crash before has left, then its own.

use super::STREAMS;
use crate::home::Segments;
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::{BTreeMap, BTreeSet};

/// Later than any ticket.
const NEVER: u64 = 2_000_000_000;

pub(crate) fn translate(logs: Vec<Log>, segments: &Segments) -> Trace {
    let events: Vec<_> = logs.iter().flat_map(|log| &log.events).collect();
    let lives = Life::all(&events);
    let mut threads: BTreeMap<(u64, usize), Teller<'_>> = BTreeMap::new();
    for (index, log) in logs.iter().enumerate() {
        // Workers of the same number live one after the other; those without one may live side by side.
        let key = (log.thread, if log.thread == 0 { index } else { 0 });
        let teller = threads.entry(key).or_insert_with(|| Teller {
            lives: &lives,
            segments,
            waits: None,
            steps: Vec::new(),
        });
        log.events.iter().for_each(|event| teller.tell(event));
    }
    Trace { logs: threads.into_values().map(|teller| teller.steps).collect() }
}

/// From an opening to the crash after it.
#[derive(Default)]
struct Life {
    opened: u64,
    /// The ticket of the crash.
    ended: u64,
    /// What the crash has left, as the next opening found it.
    left: Option<[u64; STREAMS]>,
    /// The ends of the records in each stream.
    records: [Vec<u64>; STREAMS],
    /// The tickets of those publications that made a record durable.
    flushes: BTreeSet<u64>,
}

impl Life {
    fn all(events: &[&Event]) -> Vec<Self> {
        let of = |names: &[&str]| {
            let mut found: Vec<_> = events.iter().copied().filter(|event| names.contains(&event.action)).collect();
            found.sort_by_key(|event| event.begin);
            found
        };
        let (opens, crashes) = (of(&["Open"]), of(&["Die", "PowerCut"]));
        let (claims, publications) = (of(&["Change", "Commit", "Compensate"]), of(&["Publish"]));
        let mut lives: Vec<Self> = Vec::new();
        for (index, open) in opens.iter().enumerate() {
            let mut life = lives.last().map(Self::next).unwrap_or_default();
            life.opened = open.begin;
            life.ended = crashes.iter().find(|crash| crash.begin > open.begin).map_or(NEVER, |crash| crash.begin);
            life.left = opens.get(index + 1).and_then(|next| next.values[..STREAMS].try_into().ok());
            let within = |event: &&&Event| life.opened < event.begin && event.begin < life.ended;
            let own: Vec<_> = claims.iter().filter(within).map(|claim| (claim.values[5], claim.values[6])).collect();
            let published: Vec<_> = publications.iter().filter(within).copied().collect();
            life.add(own, &published);
            lives.push(life);
        }
        lives
    }

    /// Begins with what the crash has left.
    fn next(&self) -> Self {
        let left = self.left.unwrap_or_default();
        let kept = |stream: usize| self.records[stream].iter().copied().filter(|end| *end <= left[stream]).collect();
        Self { records: core::array::from_fn(kept), ..Self::default() }
    }

    fn add(&mut self, mut own: Vec<(u64, u64)>, published: &[&Event]) {
        own.sort_unstable();
        let mut durable: [usize; STREAMS] = core::array::from_fn(|stream| self.records[stream].len());
        own.into_iter().for_each(|(stream, end)| self.records[stream as usize].push(end));
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
    fn count(&self, stream: usize, position: u64) -> usize {
        self.records[stream].partition_point(|end| *end <= position)
    }

    fn counts(&self, positions: &[u64]) -> Vec<u64> {
        positions.iter().enumerate().map(|(stream, at)| self.count(stream, *at) as u64).collect()
    }
}

/// Tells what one thread did.
struct Teller<'a> {
    lives: &'a [Life],
    segments: &'a Segments,
    /// The newest commit and its vector.
    waits: Option<(u64, Vec<u64>)>,
    steps: Vec<Step>,
}

impl<'a> Teller<'a> {
    fn tell(&mut self, event: &Event) {
        let Some(life) = self.lives.iter().rev().find(|life| life.opened <= event.begin) else { return };
        let values = &event.values;
        let lv = || life.counts(&values[7..]);
        match event.action {
            "Change" => self.step(event, values[0], [values[1..5].to_vec(), lv()].concat()),
            "Compensate" => self.step(event, values[0], [vec![values[1], values[3], values[4]], lv()].concat()),
            "Commit" => {
                self.waits = Some((values[0], values[7..].to_vec()));
                self.step(event, values[0], lv());
            }
            "RollBack" => self.step(event, values[0], Vec::new()),
            "WritePage" => self.step(event, 0, vec![values[0] + 1]),
            "Publish" => self.flush(event, life),
            "Ack" => self.answer(event, life),
            "FailSync" => self.fail(event, life),
            "Die" | "PowerCut" => self.crash(event, life),
            "Open" => self.open(event),
            _ => {}
        }
    }

    fn flush(&mut self, event: &Event, life: &Life) {
        if life.flushes.contains(&event.begin) {
            let [stream, to] = [event.values[0], event.values[1]];
            let count = life.count(stream as usize, to) as u64;
            self.step(&Event { action: named("Flush"), ..event.clone() }, 0, vec![stream + 1, count]);
        }
    }

    /// To the owner of a commit, once; everybody else is told what is durable.
    fn answer(&mut self, event: &Event, life: &Life) {
        let asked = &event.values[..STREAMS];
        match self.waits.take_if(|(_, lv)| lv == asked) {
            Some((txn, _)) => self.step(event, txn, Vec::new()),
            None => self.step(event, 0, life.counts(asked)),
        }
    }

    /// What is under way elsewhere may come to its end: the log hears of the failure some time before it dies.
    fn fail(&mut self, event: &Event, life: &Life) {
        if let Some((stream, _)) = self.segments.get(&event.values[0]) {
            let late = Event { end: life.ended, ..event.clone() };
            self.step(&late, 0, vec![stream + 1]);
        }
    }

    /// Of the crash that ends a life; those in the middle of an opening take no more away that anybody could know of.
    fn crash(&mut self, event: &Event, life: &Life) {
        if let Some(left) = life.left.filter(|_| event.begin == life.ended) {
            self.step(event, 0, life.counts(&left));
        }
    }

    /// The first one finds nothing.
    fn open(&mut self, event: &Event) {
        let before = self.lives.iter().rev().find(|life| life.opened < event.begin);
        if let Some(before) = before {
            let [ends, cut] = [&event.values[..STREAMS], &event.values[STREAMS..]];
            self.step(event, 0, [before.counts(ends), before.counts(cut)].concat());
        }
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
    fn positions_become_counts_of_records_through_a_crash() {
        let claim = |end: u64, begin: u64| event("Change", &[1, 1, 0, 0, 1, 0, end, end, 0, 0], begin);
        let main = [
            event("Open", &[0; 6], 1),
            claim(140, 10),
            claim(180, 20),
            event("PowerCut", &[], 30),
            event("Open", &[150, 0, 0, 150, 0, 0], 40),
            claim(5000, 50),
        ];
        let told = translate(vec![Log { thread: 0, events: main.to_vec() }], &Segments::new());
        let values: Vec<_> = told.logs[0].iter().map(|step| (step.action, step.values.clone())).collect();
        assert_eq!(values[0], ("Change", vec![1, 0, 0, 1, 1, 0, 0]));
        assert_eq!(values[1].1[4], 2);
        assert_eq!(values[2], ("PowerCut", vec![1, 0, 0]));
        assert_eq!(values[3], ("Open", vec![1, 0, 0, 1, 0, 0]));
        assert_eq!(values[4].1[4], 2, "the record that was lost is not counted");
    }
}
