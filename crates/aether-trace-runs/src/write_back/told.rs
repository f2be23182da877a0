//! What a store has told, in the words of `tla/write_back/WriteBack.tla`.
//!
//! Positions are numbers of the groups of mini-transactions. A mini-transaction there has a number that says which stream is its home.
//! Groups are filled before the pages change, and both is one step there, as the latches are held.

use super::{PAGES, Page, STREAMS};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};

/// The file of pages.
pub(crate) struct Disk {
    pub(crate) file: u64,
    pub(crate) page_bytes: u64,
}

pub(crate) fn translate(logs: Vec<Log>, pages: &[Page], disk: Disk) -> Trace {
    let groups = Groups::new(&logs);
    let tell = |log: &Log| {
        let mut teller = Teller {
            actor: log.thread,
            pages,
            disk: &disk,
            groups: &groups,
            group: None,
            copied: 0,
            synced: None,
            steps: Vec::new(),
        };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// The groups of each stream, by where they begin and end, and which publications make one durable.
struct Groups {
    spans: [Vec<(u64, u64)>; STREAMS],
    flushes: Vec<u64>,
}

impl Groups {
    fn new(logs: &[Log]) -> Self {
        let mut groups = Self { spans: Default::default(), flushes: Vec::new() };
        logs.iter().for_each(|log| groups.collect(log));
        groups.spans.iter_mut().for_each(|spans| spans.sort_unstable());
        let mut published: Vec<_> =
            logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Publish").collect();
        published.sort_by_key(|event| event.begin);
        let mut durable = [0; STREAMS];
        for event in published {
            let (stream, count) =
                (event.values[0] as usize, groups.ended(event.values[0] as usize, event.values[1]));
            if count > durable[stream] {
                durable[stream] = count;
                groups.flushes.push(event.begin);
            }
        }
        groups
    }

    /// A record that is claimed between latching pages and changing them is a group.
    fn collect(&mut self, log: &Log) {
        let mut is_latched = false;
        for event in &log.events {
            match event.action {
                "Latch" if is_of_group(event) => is_latched = true,
                "Reserve" if is_latched => {
                    self.spans[event.values[0] as usize].push((event.values[1], event.values[2]));
                    is_latched = false;
                }
                _ => {}
            }
        }
    }

    /// How many end at `position` or before.
    fn ended(&self, stream: usize, position: u64) -> u64 {
        self.spans[stream].partition_point(|(_, end)| *end <= position) as u64
    }

    /// The number of the first group at or after `position`.
    fn from(&self, stream: usize, position: u64) -> u64 {
        1 + self.spans[stream].partition_point(|(start, _)| *start < position) as u64
    }
}

/// The pool tells of latches too.
fn is_of_group(event: &Event) -> bool {
    event.values.len() > 2
}

/// A mini-transaction at work.
struct Group {
    actor: u64,
    is_claimed: bool,
    filled: Option<u64>,
}

/// Tells what one thread did.
struct Teller<'a> {
    actor: u64,
    pages: &'a [Page],
    disk: &'a Disk,
    groups: &'a Groups,
    group: Option<Group>,
    /// Pages of the batch.
    copied: usize,
    /// The last sync of pages since they were written.
    synced: Option<Event>,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        match event.action {
            "Latch" if is_of_group(event) => self.latch(event),
            "MarkDirty" => self.of_group(event, Vec::new()),
            "Reserve" => self.claim(event),
            "Fill" => self.group.iter_mut().for_each(|group| group.filled = Some(event.begin)),
            "Apply" => self.apply(event),
            "Publish" if self.groups.flushes.contains(&event.begin) => {
                let count = self.groups.ended(values[0] as usize, values[1]);
                self.step(&Event { action: named("Flush"), ..event.clone() }, vec![values[0] + 1, count]);
            }
            "StartWriting" => self.of_page(event, Vec::new()),
            "CopyOut" => self.copy_out(event),
            "LogIsAhead" if self.copied > 0 => {
                self.synced = None;
                self.step(event, Vec::new());
            }
            "WriteOut" => self.write(event),
            "Sync" if values[0] == self.disk.file => self.synced = Some(event.clone()),
            "EndWriting" => self.end_writing(event),
            "ReadFirstDirty" | "ReadWriting" => self.of_page(event, Vec::new()),
            "ReadPositions" => self.step(event, Vec::new()),
            "PublishCheckpoint" => {
                let starts = (0..STREAMS).map(|stream| self.groups.from(stream, values[stream]));
                self.step(event, starts.collect());
            }
            _ => {}
        }
    }

    fn latch(&mut self, event: &Event) {
        let stream = event.values[0];
        let of = event.values[2..]
            .iter()
            .filter_map(|page| self.pages.iter().position(|known| known.0.get() == *page));
        let mut is_in: Vec<u64> = vec![0; PAGES];
        of.for_each(|at| is_in[at] = 1);
        let actor = (self.actor - 1) * STREAMS as u64 + stream + 1;
        self.group = Some(Group { actor, is_claimed: false, filled: None });
        let mut told = vec![self.groups.from(stream as usize, event.values[1])];
        told.append(&mut is_in);
        self.of_group(event, told);
    }

    /// What else is claimed is none of a mini-transaction.
    fn claim(&mut self, event: &Event) {
        let Some(group) = self.group.as_mut().filter(|group| !group.is_claimed) else { return };
        group.is_claimed = true;
        let number = self.groups.from(event.values[0] as usize, event.values[1]);
        self.of_group(&Event { action: named("Claim"), ..event.clone() }, vec![number]);
    }

    fn apply(&mut self, event: &Event) {
        let begin = self.group.as_ref().and_then(|group| group.filled).unwrap_or(event.begin);
        let lv = (0..STREAMS).map(|stream| self.groups.ended(stream, event.values[stream])).collect();
        self.of_group(&Event { begin, ..event.clone() }, lv);
        self.group = None;
    }

    /// The log's `CopyOut` is another: where the page would be, it has a position, which is no page's number.
    fn copy_out(&mut self, event: &Event) {
        let known = self.page(event.values[0]).filter(|(_, page)| page.0.get() == event.values[2]);
        let Some((at, (.., psn))) = known else { return };
        self.copied += 1;
        self.step(event, vec![at, event.values[1] - psn]);
    }

    /// A write of pages side by side.
    fn write(&mut self, event: &Event) {
        let [file, offset, len] = event.values[..] else { return };
        if file != self.disk.file {
            return;
        }
        let (first, end) = (offset / self.disk.page_bytes, (offset + len) / self.disk.page_bytes);
        for (at, (page, ..)) in (1..).zip(self.pages) {
            if (first..end).contains(&page.get()) {
                self.step(&Event { action: named("WritePage"), ..event.clone() }, vec![at]);
            }
        }
    }

    /// Pages of a batch are clean one after the other, after the sync.
    fn end_writing(&mut self, event: &Event) {
        if self.page(event.values[0]).is_none() {
            return;
        }
        if let Some(synced) = self.synced.take() {
            self.step(&Event { action: named("BeginSync"), ..synced }, Vec::new());
        }
        match self.steps.last_mut().filter(|step| step.action == named("EndSync")) {
            Some(step) => step.interval.1 = event.end,
            None => self.step(&Event { action: named("EndSync"), ..event.clone() }, Vec::new()),
        }
        self.copied = 0;
    }

    /// The page in a frame.
    fn page(&self, frame: u64) -> Option<(u64, Page)> {
        (1..).zip(self.pages).find(|(_, page)| u64::from(page.1) == frame).map(|(at, page)| (at, *page))
    }

    fn of_page(&mut self, event: &Event, mut values: Vec<u64>) {
        if let Some((at, _)) = self.page(event.values[0]) {
            values.insert(0, at);
            self.step(event, values);
        }
    }

    fn of_group(&mut self, event: &Event, values: Vec<u64>) {
        let Some(actor) = self.group.as_ref().map(|group| group.actor) else { return };
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor, values, interval });
    }

    fn step(&mut self, event: &Event, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor: 0, values, interval });
    }
}
