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
    /// What the next openings did, if one came to its end.
    restart: Option<Restart>,
    /// The ends of the records in each stream.
    records: [Vec<u64>; STREAMS],
    /// The tickets of those publications that made a record durable.
    flushes: BTreeSet<u64>,
}

/// From a crash to the end of an opening. Openings that are cut short may have cut streams back already.
#[derive(Default)]
struct Restart {
    /// What the crash has left.
    found: [u64; STREAMS],
    /// What the log is afterwards.
    left: [u64; STREAMS],
    /// The tickets of those cuts that took a record away.
    cuts: BTreeSet<u64>,
}

impl Restart {
    /// `cuts` are those before the end of the opening, oldest first.
    fn new(open: &Event, cuts: &[&Event]) -> Self {
        let mut restart = Self::default();
        for stream in 0..STREAMS {
            let own: Vec<_> = cuts.iter().filter(|event| event.values[0] == stream as u64).collect();
            let scanned = open.values[stream];
            let first = own.first().map_or(scanned, |event| event.values[1]);
            let is_within = |event: &&&Event| event.begin > open.begin;
            let left = own.last().copied().filter(is_within).map_or(scanned, |event| event.values[2]);
            (restart.found[stream], restart.left[stream]) = (first, left);
            let taken = own.iter().find(|event| event.values[2] == left && left < first);
            restart.cuts.extend(taken.map(|event| event.begin));
        }
        restart
    }
}

impl Life {
    fn all(events: &[&Event]) -> Vec<Self> {
        let of = |names: &[&str]| {
            let mut found: Vec<_> =
                events.iter().copied().filter(|event| names.contains(&event.action)).collect();
            found.sort_by_key(|event| event.begin);
            found
        };
        let (opens, crashes) = (of(&["Open"]), of(&["Die", "PowerCut"]));
        let cuts = of(&["CutBack"]);
        let (claims, publications) = (of(&["Change", "Commit", "Compensate"]), of(&["Publish"]));
        let mut lives: Vec<Self> = Vec::new();
        for (index, open) in opens.iter().enumerate() {
            let mut life = lives.last().map(Self::next).unwrap_or_default();
            life.opened = open.begin;
            life.ended =
                crashes.iter().find(|crash| crash.begin > open.begin).map_or(NEVER, |crash| crash.begin);
            life.restart = opens.get(index + 1).map(|next| {
                let between = |cut: &&&Event| life.ended < cut.begin && cut.begin < next.end;
                Restart::new(next, &cuts.iter().filter(between).copied().collect::<Vec<_>>())
            });
            let within = |event: &&&Event| life.opened < event.begin && event.begin < life.ended;
            let own: Vec<_> =
                claims.iter().filter(within).map(|claim| (claim.values[5], claim.values[6])).collect();
            let published: Vec<_> = publications.iter().filter(within).copied().collect();
            life.add(own, &published);
            lives.push(life);
        }
        lives
    }

    /// Begins with what the crash has left.
    fn next(&self) -> Self {
        let left = self.restart.as_ref().map_or([0; STREAMS], |restart| restart.left);
        let kept =
            |stream: usize| self.records[stream].iter().copied().filter(|end| *end <= left[stream]).collect();
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
            "Compensate" => {
                self.step(event, values[0], [vec![values[1], values[3], values[4]], lv()].concat())
            }
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
            "CutBack" => self.cut_back(event),
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
        if let Some(restart) = life.restart.as_ref().filter(|_| event.begin == life.ended) {
            self.step(event, 0, life.counts(&restart.found));
        }
    }

    /// Of a stream that holds more than is kept.
    fn cut_back(&mut self, event: &Event) {
        let ended = |life: &&Life| life.ended < event.begin && life.ended != NEVER;
        let Some(before) = self.lives.iter().rev().find(ended) else { return };
        let [stream, end, cut] = event.values[..] else { return };
        let count = |at: u64| before.count(stream as usize, at) as u64;
        let is_told = before.restart.as_ref().is_some_and(|restart| restart.cuts.contains(&event.begin));
        if is_told && count(cut) < count(end) {
            self.step(event, 0, vec![stream + 1, count(cut)]);
        }
    }

    /// The first one finds nothing.
    fn open(&mut self, event: &Event) {
        let before = self.lives.iter().rev().find(|life| life.opened < event.begin);
        if let Some(before) = before {
            self.step(event, 0, before.counts(&event.values[STREAMS..]));
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
    fn a_restart_that_was_cut_short_has_cut_back() {
        let cut = |begin| event("CutBack", &[0, 180, 150], begin);
        let open = event("Open", &[150, 0, 0, 150, 0, 0], 40);
        let short = Restart::new(&open, &[&cut(30), &event("CutBack", &[0, 150, 150], 45)]);
        assert_eq!((short.found[0], short.left[0]), (180, 150));
        assert_eq!(short.cuts, BTreeSet::from([30]));
        let lost = event("Open", &[180, 0, 0, 150, 0, 0], 40);
        let again = Restart::new(&lost, &[&cut(30), &cut(45)]);
        assert_eq!((again.found[0], again.left[0]), (180, 150));
        let never = Restart::new(&lost, &[&cut(30)]);
        assert_eq!((never.left[0], never.cuts.len()), (180, 0));
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
        assert_eq!(values[3], ("Open", vec![1, 0, 0]));
        assert_eq!(values[4].1[4], 2, "the record that was lost is not counted");
    }
}
