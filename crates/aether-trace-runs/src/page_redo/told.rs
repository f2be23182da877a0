//! What a page's lives have told, in the words of `tla/page_redo/PageRedo.tla`.
//!
//! There a position is the number of the page's records before it. So each life of the store gets a list of its records:
//! those that the crash before has left, then its own.

use super::{OPENER, PAGE_BYTES, Places};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

/// Later than any ticket.
const NEVER: u64 = 2_000_000_000;

pub(crate) fn translate(logs: Vec<Log>, places: &Places) -> Trace {
    let lives = Life::all(&logs);
    let mut threads: BTreeMap<u64, Teller<'_>> = BTreeMap::new();
    for log in &logs {
        // Threads of the same number live one after the other.
        let new =
            || Teller { lives: &lives, places, batch: Batch::default(), claim: None, steps: Vec::new() };
        let teller = threads.entry(log.thread).or_insert_with(new);
        teller.batch = Batch::default();
        let is_opener = log.thread == OPENER;
        let kept = log.events.iter().filter(|event| event.begin < lives[lives.len() - 1].ended);
        kept.for_each(|event| if is_opener { teller.tell_opener(event) } else { teller.tell(event) });
    }
    Trace { logs: threads.into_values().map(|teller| teller.steps).collect() }
}

/// From the end of an opening, or of one that was cut short, to the next crash.
#[derive(Default)]
struct Life {
    begun: u64,
    /// The ticket of the crash.
    ended: u64,
    /// Where the page's records end.
    records: Vec<u64>,
    /// What the crash has left of the log, as the next opening found it.
    left: u64,
    /// Where the next redo began.
    redo_start: u64,
    /// Those publications that made a record durable, and those checkpoints that moved the redo start, by their tickets:
    /// up to how many records.
    rises: BTreeMap<u64, u64>,
    /// How many records the newest checkpoint was above that has told so.
    installed: u64,
}

impl Life {
    /// The last one is that before the first crash of which nobody has seen what it left.
    fn all(logs: &[Log]) -> Vec<Self> {
        let mut events: Vec<_> = logs.iter().flat_map(|log| &log.events).collect();
        events.sort_by_key(|event| event.begin);
        let crashes = events.iter().filter(|event| matches!(event.action, "Die" | "PowerCut"));
        let mut lives: Vec<Self> = Vec::new();
        for ended in crashes.map(|crash| crash.begin).chain([NEVER]) {
            let mut life = lives.last().map(Self::next).unwrap_or_default();
            life.ended = ended;
            let after = |action: &str, values: usize| {
                let is_it = |event: &&&Event| event.action == action && event.values.len() == values;
                events.iter().find(|event| event.begin > ended && is_it(event)).map(|event| &event.values)
            };
            // The lowest that the next openings found, up to the one that has begun to write: what only lay in the
            // system's cache the first of them may have seen and a later one not.
            let mut later = events.iter().filter(|event| event.begin > ended);
            let begun =
                later.clone().find(|event| event.action == "Recover").map_or(NEVER, |event| event.begin);
            let opens = later.by_ref().filter(|event| event.action == "Open" && event.begin < begun);
            let left = opens.map(|event| event.values[0]).min();
            life.redo_start = after("Redo", 4).map_or(0, |values| values[0]);
            let found = life.records.len() as u64;
            life.records.extend(own_records(logs, life.begun, ended));
            life.find_rises(&events, "Publish", 1, found);
            life.installed = life.find_rises(&events, "Install", 0, life.installed);
            // An opening that failed on a sound disk is told too.
            let is_last = left.is_none() && after("Redo", 2).is_none();
            life.left = left.unwrap_or(0);
            lives.push(life);
            if is_last {
                break;
            }
        }
        lives
    }

    /// Begins with what the crash has left.
    fn next(&self) -> Self {
        let records = self.records.iter().copied().filter(|end| *end <= self.left).collect();
        Self { begun: self.ended, records, installed: self.count(self.redo_start), ..Self::default() }
    }

    /// Notes which of the events `action` have a position above all before; returns the count of the highest.
    fn find_rises(&mut self, events: &[&Event], action: &str, at: usize, mut highest: u64) -> u64 {
        for event in events.iter().filter(|event| self.begun < event.begin && event.begin < self.ended) {
            if event.action == action && self.count(event.values[at]) > highest {
                highest = self.count(event.values[at]);
                self.rises.insert(event.begin, highest);
            }
        }
        highest
    }

    /// How many records lie below a position.
    fn count(&self, position: u64) -> u64 {
        self.records.partition_point(|end| *end <= position) as u64
    }
}

/// Where the records end that users of the page have claimed between two tickets.
fn own_records(logs: &[Log], from: u64, to: u64) -> Vec<u64> {
    let mut ends = Vec::new();
    for log in logs {
        let mut claim = 0;
        for event in log.events.iter().filter(|event| from < event.begin && event.begin < to) {
            match event.action {
                "Reserve" => claim = event.values[2],
                "Allocate" | "Change" | "Free" => ends.push(claim),
                _ => {}
            }
        }
    }
    ends.sort_unstable();
    ends
}

/// How far a batch is.
#[derive(Default)]
struct Batch {
    /// The page is in it.
    has_page: bool,
    in_area: bool,
    in_place: bool,
}

/// Tells what one thread did.
struct Teller<'a> {
    lives: &'a [Life],
    places: &'a Places,
    batch: Batch,
    /// The newest claim of a place in the log.
    claim: Option<Event>,
    steps: Vec<Step>,
}

impl Teller<'_> {
    /// In which life it was; a crash is the end of one.
    fn life(&self, event: &Event) -> usize {
        self.lives.partition_point(|life| life.ended < event.begin)
    }

    fn tell(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("Reserve", _) => self.claim = Some(event.clone()),
            ("Allocate" | "Change" | "Free", [psn]) => {
                if let Some(claim) = self.claim.take() {
                    self.step(&Event { action: event.action, ..claim }, vec![*psn]);
                }
            }
            ("Publish", _) => self.rise(event, named("Flush")),
            ("Install", _) => self.rise(event, named("Checkpoint")),
            ("CopyOut", [_, psn, page]) if *page == self.places.page => {
                self.batch.has_page = true;
                self.step(event, vec![*psn]);
            }
            ("WriteOut", [file, offset, len, rest @ ..]) => {
                let is_page = self.is_of_page(*file, (*offset, *len));
                self.write(event, *file, is_page, !rest.is_empty());
            }
            ("Sync", [file, ..]) => self.sync(event, *file),
            _ => {}
        }
    }

    fn tell_opener(&mut self, event: &Event) {
        match (event.action, &event.values[..]) {
            ("Die" | "PowerCut", _) => self.crash(event),
            ("WriteOut", [file, offset, len, ..]) if self.is_of_page(*file, (*offset, *len)) => {
                self.step(&Event { action: named("Repair"), ..event.clone() }, vec![1]);
            }
            ("SyncRepair", _) => {
                if self.steps.last().is_none_or(|step| step.action != named("Repair")) {
                    self.step(&Event { action: named("Repair"), ..event.clone() }, vec![0]);
                }
                self.step(event, Vec::new());
            }
            ("Redo", [psn, is_live]) => self.step(event, vec![*psn, *is_live]),
            _ => {}
        }
    }

    fn rise(&mut self, event: &Event, action: &'static str) {
        if let Some(count) = self.lives[self.life(event)].rises.get(&event.begin).copied() {
            self.step(&Event { action, ..event.clone() }, vec![count]);
        }
    }

    /// A batch is in the area when it is durable there, or as far as it came when the power went off.
    fn write(&mut self, event: &Event, file: u64, is_page: bool, in_flight: bool) {
        if file == self.places.area_file && in_flight {
            self.write_area(event);
        }
        let is_awaited = is_page || !self.batch.has_page && self.batch.in_area;
        if file == self.places.pages_file && is_awaited && !self.batch.in_place {
            self.batch.in_place = true;
            self.step(&Event { action: named("WritePlace"), ..event.clone() }, Vec::new());
        }
    }

    fn write_area(&mut self, event: &Event) {
        if !self.batch.has_page {
            self.step(&Event { action: named("CopyOthers"), ..event.clone() }, Vec::new());
        }
        self.batch.in_area = true;
        self.step(&Event { action: named("WriteArea"), ..event.clone() }, Vec::new());
    }

    fn sync(&mut self, event: &Event, file: u64) {
        if file == self.places.area_file {
            self.write_area(event);
        } else if file == self.places.pages_file && self.batch.in_place {
            self.batch = Batch::default();
            self.step(event, Vec::new());
        }
    }

    /// How much is left is known when the log is opened. A checkpoint that did not end may have come into the control
    /// file, as the next redo shows.
    fn crash(&mut self, event: &Event) {
        let Some(life) = self.lives.get(self.life(event)) else { return };
        let started = life.count(life.redo_start);
        if started > life.installed {
            self.step(&Event { action: named("Checkpoint"), ..event.clone() }, vec![started]);
        }
        let is_power = u64::from(event.action == "PowerCut");
        let left = life.count(life.left);
        self.step(&Event { action: named("Crash"), ..event.clone() }, vec![is_power, left]);
    }

    fn is_of_page(&self, file: u64, (offset, len): (u64, u64)) -> bool {
        let at = self.places.page * PAGE_BYTES;
        file == self.places.pages_file && offset <= at && at + PAGE_BYTES <= offset + len
    }

    fn step(&mut self, event: &Event, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor: 0, values, interval });
    }
}
