//! What commits that wait have told, in the words of `tla/group_commit/GroupCommit.tla`.
//!
//! A position there is a number of commits, and a commit's number says which stream is its home.

use super::STREAMS;
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

pub(crate) fn translate(logs: &[Log]) -> Trace {
    let commits = Commits::new(logs);
    let tell = |log: &Log| {
        let mut teller = Teller { commits: Some(&commits), ..Teller::default() };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.steps
    };
    Trace { logs: logs.iter().map(tell).collect() }
}

/// The records of commits.
#[derive(Default)]
struct Commits {
    /// The ends of each stream's, in order.
    ends: [Vec<u64>; STREAMS],
    /// By the tag that it writes.
    numbers: BTreeMap<u64, u64>,
}

impl Commits {
    fn new(logs: &[Log]) -> Self {
        let mut commits = Self::default();
        let mut tagged = Vec::new();
        for log in logs {
            let mut tag = 0;
            for event in &log.events {
                match event.action {
                    "Update" => tag = event.values[0],
                    "AppendCommit" => tagged.push((event.values[0] as usize, event.values[1], tag)),
                    _ => {}
                }
            }
        }
        tagged.sort_unstable();
        for (stream, end, tag) in tagged {
            commits.ends[stream].push(end);
            commits.numbers.insert(tag, commits.number(stream, end));
        }
        commits
    }

    /// How many end at or below a position.
    fn count(&self, stream: usize, position: u64) -> u64 {
        self.ends[stream].partition_point(|end| *end <= position) as u64
    }

    /// Of the commit that ends there.
    fn number(&self, stream: usize, end: u64) -> u64 {
        (self.count(stream, end) - 1) * STREAMS as u64 + stream as u64 + 1
    }
}

/// A flush that the thread leads.
struct Led {
    stream: u64,
    /// The ticket at which it had begun to lead.
    since: u64,
    /// The last bytes written durably, and a sync that failed.
    synced: Option<(u64, u64)>,
    failed: Option<(u64, u64)>,
    is_closed: bool,
    is_published: bool,
}

/// Tells what one thread did.
#[derive(Default)]
struct Teller<'a> {
    commits: Option<&'a Commits>,
    own: u64,
    /// The tags that the transaction has read.
    read: Vec<u64>,
    led: Option<Led>,
    /// It waits for an earlier commit, if that turns out not to be durable yet.
    turns_to_earlier: bool,
    /// It has seen that writing has ended.
    doubts: Option<(u64, u64)>,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let (values, interval) = (&event.values, (event.begin, event.end));
        match event.action {
            "Update" => self.turn_to(values[0]),
            "DrawSnapshot" => self.read.clear(),
            "Read" if values[1] != 0 => self.read.push(values[1]),
            "AppendCommit" => self.claim(event),
            "WaitForEarlier" => self.turns_to_earlier = true,
            "LookFurther" => self.look(event),
            "Doubt" => {
                if let Some(looked) = self.doubts.take() {
                    self.step(named("LookFurther"), looked, vec![1]);
                }
                self.step(event.action, interval, Vec::new());
            }
            "Acknowledge" | "Return" | "Wake" => self.step(event.action, interval, Vec::new()),
            "IsLed" => self.step(event.action, interval, vec![values[0] + 1]),
            "Follow" => self.step(event.action, interval, vec![values[0] + 1, values[1]]),
            "Lead" => {
                self.step(event.action, interval, vec![values[0] + 1]);
                let (stream, since) = (values[0], event.end);
                let (synced, failed, is_closed, is_published) = (None, None, false, false);
                self.led = Some(Led { stream, since, synced, failed, is_closed, is_published });
            }
            "FlushBegin" | "Sync" | "FailSync" | "Publish" | "StepDown" => self.flush(event),
            _ => {}
        }
    }

    fn claim(&mut self, event: &Event) {
        let Some(commits) = self.commits else { return };
        let (stream, end) = (event.values[0] as usize, event.values[1]);
        self.own = commits.number(stream, end);
        let below = self.read.iter().filter_map(|tag| commits.numbers.get(tag)).copied();
        let values = [commits.count(stream, end)].into_iter().chain(below).collect();
        self.step(named("Claim"), (event.begin, event.end), values);
    }

    /// Works on, or waits for, the commit that writes `tag`.
    fn turn_to(&mut self, tag: u64) {
        self.own = self.commits.and_then(|commits| commits.numbers.get(&tag)).map_or(0, |own| *own);
        (self.turns_to_earlier, self.doubts) = (false, None);
    }

    /// Who sees the end of writing looks once more; if all is durable by then, the spec has taken no step.
    fn look(&mut self, event: &Event) {
        let interval = (event.begin, event.end);
        if std::mem::take(&mut self.turns_to_earlier) {
            self.step(named("WaitForEarlier"), interval, Vec::new());
        }
        if event.values[0] == 1 {
            self.doubts = Some(interval);
        } else {
            self.step(event.action, interval, vec![0]);
        }
    }

    fn flush(&mut self, event: &Event) {
        let (Some(commits), Some(mut led)) = (self.commits, self.led.take()) else { return };
        let (stream, interval) = (led.stream, (event.begin, event.end));
        let count = |position| commits.count(stream as usize, position);
        match event.action {
            "FlushBegin" if event.values[0] == stream => {
                led.is_closed = true;
                self.step(
                    named("Close"),
                    (led.since, event.end),
                    vec![stream + 1, 1, count(event.values[2])],
                );
            }
            "Sync" if led.is_closed && !led.is_published => led.synced = Some(interval),
            "FailSync" if led.is_closed => led.failed = Some(interval),
            "Publish" if event.values[0] == stream => {
                led.is_published = true;
                if let Some(synced) = led.synced.take() {
                    self.step(named("Sync"), synced, vec![stream + 1]);
                }
                self.step(event.action, interval, vec![stream + 1, count(event.values[1])]);
            }
            "StepDown" if event.values[0] == stream => return self.step_down(&led, event),
            _ => {}
        }
        self.led = Some(led);
    }

    fn step_down(&mut self, led: &Led, event: &Event) {
        let stream = led.stream + 1;
        if !led.is_closed {
            self.step(named("Close"), (led.since, event.begin), vec![stream, 0, 0]);
        }
        if let Some((failed, _)) = led.failed.filter(|_| !led.is_published) {
            // Others learn of it before the leader steps down.
            self.step(named("FailSync"), (failed, event.begin), vec![stream]);
        }
        self.step(event.action, (event.begin, event.end), vec![stream]);
    }

    fn step(&mut self, action: &'static str, interval: (u64, u64), values: Vec<u64>) {
        self.steps.push(Step { action, actor: self.own, values, interval });
    }
}
