//! What prepared transactions have told, in the words of `tla/two_phase_commit/TwoPhaseCommit.tla`.
//!
//! A record there is the group, or the last of a few groups, that the code appends. Of what was under way when the power went,
//! a record has happened if the crash has left it, anything else if it was over.

use super::lives::Lives;
use super::{FORGET, ROLL_BACK, ROWS};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

/// The spec's streams.
const OWN: u64 = 1;
const OTHER: u64 = 2;

pub(crate) fn translate(logs: &[Log]) -> Trace {
    let lives = Lives::new(logs);
    let ids = ids(logs);
    let tell = |log: &Log| {
        let mut teller = Teller { ids: Some(&ids), ..Teller::default() };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.told
    };
    let mut told: Vec<Vec<Told>> = logs.iter().map(tell).collect();
    told.iter_mut().flatten().for_each(|told| told.clip(&lives));
    told.iter_mut().for_each(|told| told.retain(|told| told.has_happened));
    name_losers(&mut told, &lives);
    drop_vain_unmarks(&mut told, &lives);
    let counts = Counts::new(&told, &lives);
    let mut steps: Vec<Vec<Step>> =
        told.into_iter().map(|told| told.into_iter().flat_map(|told| counts.steps(told)).collect()).collect();
    steps.push(counts.crashes(&lives));
    Trace { logs: steps }
}

/// The tags of transactions by the engine's numbers, as far as those who ran them told both.
fn ids(logs: &[Log]) -> BTreeMap<u64, u64> {
    let mut ids = BTreeMap::new();
    for action in ["Prepare", "Undo"] {
        for log in logs {
            let mut own = None;
            for event in &log.events {
                match own {
                    _ if event.action == "Change" => own = Some(event.values[0]),
                    Some(tag) if event.action == action && is_ours(event) => {
                        ids.entry(event.values[0]).or_insert(tag);
                    }
                    _ => {}
                }
            }
        }
    }
    ids
}

/// False for the undo of what is not a row of the run.
fn is_ours(event: &Event) -> bool {
    event.action != "Undo" || (1..=ROWS).contains(&event.values[1])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Appended to a stream of the spec, up to a position of the code's.
    Record(u64, u64),
    /// Goes with a record that ends there.
    Beside(u64),
    /// Durable up to a position.
    Flush(u64),
    Point,
}

struct Told {
    step: Step,
    kind: Kind,
    /// The engine's number of who takes it.
    id: u64,
    has_happened: bool,
}

impl Told {
    /// Was it done before the power went?
    fn clip(&mut self, lives: &Lives) {
        let (begin, end) = &mut self.step.interval;
        let Some(life) = lives.of(*begin).map(|index| &lives.0[index]) else {
            self.has_happened = false;
            return;
        };
        let Some(crash) = life.end.as_ref().filter(|crash| *end > crash.crash.0) else { return };
        self.has_happened = match self.kind {
            Kind::Record(_, at) | Kind::Beside(at) => at <= crash.cut,
            Kind::Flush(_) => true,
            Kind::Point => false,
        };
        *end = crash.crash.0;
    }
}

/// Tells what one thread did.
#[derive(Default)]
struct Teller<'a> {
    ids: Option<&'a BTreeMap<u64, u64>>,
    /// The tag of the transaction that was changing rows last.
    own: Option<u64>,
    /// The record appended last: its end, and its interval.
    last: (u64, (u64, u64)),
    /// Who draws a timestamp, by the engine's number.
    drawing: u64,
    /// Who is being prepared.
    preparing: Option<u64>,
    /// What the thread has asked for last.
    asking: Option<(u64, u64)>,
    /// Who is being undone.
    undoing: Option<u64>,
    told: Vec<Told>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        match event.action {
            "Reserve" => self.last = (values[2], (event.begin, event.end)),
            "Bound" => self.drawing = values[0],
            "Change" => {
                self.own = Some(values[0]);
                self.record("Change", OWN, self.own, vec![values[1]]);
            }
            "Prepare" => self.preparing = self.tag(values[0]),
            "AppendCommit" => self.commit(),
            "Mark" => self.record("Mark", OWN, self.tag(values[0]), Vec::new()),
            "Unmark" => {
                // The spec has one record for all that is undone.
                self.told.retain(|told| told.step.interval.0 < event.begin);
                self.record("Unmark", OWN, self.tag(values[0]), Vec::new());
            }
            "RollBackPrepared" => {
                self.undoing = self.tag(values[0]);
                self.point(event, self.undoing, Vec::new());
            }
            "Undo" if is_ours(event) => self.undo(event),
            "End" => {
                self.record("End", OWN, self.tag(values[0]), Vec::new());
                self.name(values[0]);
            }
            "Ask" => {
                self.asking = Some((values[0], values[1]));
                if values[1] != FORGET {
                    self.point(event, Some(values[0]), vec![values[1]]);
                }
            }
            "Prepared" => self.point(event, Some(values[0]), values[1..].to_vec()),
            // That of a tree says only whether a row is there.
            "Answer" if values.len() == 2 => self.point(event, Some(values[0]), vec![values[1]]),
            "Publish" => {
                self.push(named("Flush"), Kind::Flush(values[1]), (event.begin, event.end), None, Vec::new())
            }
            _ => {}
        }
    }

    fn tag(&self, id: u64) -> Option<u64> {
        self.ids.and_then(|ids| ids.get(&id)).copied()
    }

    /// Whose commit is appended: that of who is prepared or decided, or one beside it that says so.
    fn commit(&mut self) {
        if let Some(tag) = self.preparing.take() {
            self.record(named("Prepare"), OWN, Some(tag), Vec::new());
        } else if let Some(tag) = self.tag(self.drawing) {
            self.record(named("CommitPrepared"), OWN, Some(tag), Vec::new());
        } else if let Some((tag, what)) = self.asking.take() {
            let action = if what == ROLL_BACK { named("DecideRollback") } else { named("Forget") };
            self.record(action, OTHER, Some(tag), Vec::new());
        }
    }

    /// Who undoes what was not prepared has given it up; an opening finds that out itself.
    fn undo(&mut self, event: &Event) {
        let tag = self.tag(event.values[0]);
        if self.own.is_some() && self.undoing != tag {
            self.undoing = tag;
            let (at, interval) = self.last;
            self.push(named("Abort"), Kind::Beside(at), interval, tag, Vec::new());
        }
        self.record("Undo", OWN, tag, vec![event.values[1]]);
        self.name(event.values[0]);
    }

    /// Notes the engine's number of the last step's transaction.
    fn name(&mut self, id: u64) {
        if let Some(told) = self.told.last_mut() {
            told.id = id;
        }
    }

    fn record(&mut self, action: &'static str, stream: u64, tag: Option<u64>, values: Vec<u64>) {
        let (at, interval) = self.last;
        self.push(action, Kind::Record(stream, at), interval, tag, values);
    }

    fn point(&mut self, event: &Event, tag: Option<u64>, values: Vec<u64>) {
        self.push(event.action, Kind::Point, (event.begin, event.end), tag, values);
    }

    fn push(
        &mut self,
        action: &'static str,
        kind: Kind,
        interval: (u64, u64),
        tag: Option<u64>,
        values: Vec<u64>,
    ) {
        let step = Step { action, actor: tag.unwrap_or(0), values, interval };
        self.told.push(Told { step, kind, id: 0, has_happened: true });
    }
}

/// Gives tags to losers that were never prepared: who has changed the row last. The engine's own have none.
fn name_losers(told: &mut [Vec<Told>], lives: &Lives) {
    let all = || told.iter().flatten();
    let changer = |undo: &Told| {
        let changes =
            all().filter(|told| told.step.action == "Change" && told.step.values == undo.step.values);
        let left = changes.filter(|told| is_left(told, lives) && at(told) < at(undo));
        left.max_by_key(|told| at(told)).map(|told| (undo.id, told.step.actor))
    };
    let undone = all().filter(|told| told.step.action == "Undo");
    let found: BTreeMap<u64, u64> =
        undone.clone().filter(|undo| undo.step.actor == 0).filter_map(changer).collect();
    for told in told.iter_mut() {
        told.iter_mut().filter(|told| told.step.actor == 0).for_each(|told| {
            told.step.actor = found.get(&told.id).copied().unwrap_or(0);
        });
        told.retain(|told| told.step.actor != 0 || matches!(told.kind, Kind::Flush(_)));
    }
}

/// A restart that finds half of an interrupted commit undoes that; the spec has nothing to undo then.
fn drop_vain_unmarks(told: &mut [Vec<Told>], lives: &Lives) {
    let mut marks: Vec<(u64, u64, bool)> = told
        .iter()
        .flatten()
        .filter(|told| is_left(told, lives) && matches!(told.step.action, "Mark" | "Unmark"))
        .map(|told| (at(told), told.step.actor, told.step.action == "Mark"))
        .collect();
    marks.sort_unstable();
    let is_vain = |told: &Told| {
        let before = marks.iter().rev().find(|mark| mark.1 == told.step.actor && mark.0 < at(told));
        told.step.action == "Unmark" && !before.is_some_and(|mark| mark.2)
    };
    told.iter_mut().for_each(|told| told.retain(|told| !is_vain(told)));
}

/// Where a step's record ends.
fn at(told: &Told) -> u64 {
    match told.kind {
        Kind::Record(_, at) | Kind::Beside(at) | Kind::Flush(at) => at,
        Kind::Point => 0,
    }
}

fn is_left(told: &Told, lives: &Lives) -> bool {
    lives.is_left(told.step.interval.0, at(told))
}

/// The numbers of records in the spec's streams.
#[derive(Default)]
struct Counts {
    /// For each: stream, end, life, whether the crash has left it.
    records: Vec<(u64, u64, usize, bool)>,
    /// By its ticket, what a flush makes durable.
    flushes: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Counts {
    fn new(told: &[Vec<Told>], lives: &Lives) -> Self {
        let mut counts = Self::default();
        let (mut flushes, life) = (Vec::new(), |told: &Told| lives.of(told.step.interval.0).unwrap_or(0));
        for told in told.iter().flatten() {
            match told.kind {
                Kind::Record(stream, at) => {
                    counts.records.push((stream, at, life(told), is_left(told, lives)))
                }
                Kind::Flush(to) => flushes.push((life(told), to, told.step.interval.0)),
                _ => {}
            }
        }
        flushes.sort_unstable();
        let mut durable = (0, [0; 2]);
        for (life, to, ticket) in flushes {
            if durable.0 != life {
                let left = |stream| counts.left(stream, life);
                durable = (life, [left(OWN), left(OTHER)]);
            }
            let raised = [OWN, OTHER].map(|stream| counts.below(stream, life, to));
            let rising = (0..2).filter(|&at| raised[at] > durable.1[at]);
            counts.flushes.insert(ticket, rising.map(|at| (at as u64 + 1, raised[at])).collect());
            durable.1 = [durable.1[0].max(raised[0]), durable.1[1].max(raised[1])];
        }
        counts
    }

    /// What earlier lives have left.
    fn left(&self, stream: u64, life: usize) -> u64 {
        let earlier = |record: &&(u64, u64, usize, bool)| record.0 == stream && record.2 < life && record.3;
        self.records.iter().filter(earlier).count() as u64
    }

    /// How many lie below a position in a life.
    fn below(&self, stream: u64, life: usize, to: u64) -> u64 {
        let own =
            |record: &&(u64, u64, usize, bool)| record.0 == stream && record.2 == life && record.1 <= to;
        self.left(stream, life) + self.records.iter().filter(own).count() as u64
    }

    /// A flush is one for each of the spec's streams.
    fn steps(&self, told: Told) -> Vec<Step> {
        let Some(raised) =
            self.flushes.get(&told.step.interval.0).filter(|_| matches!(told.kind, Kind::Flush(_)))
        else {
            return vec![told.step];
        };
        raised.iter().map(|(stream, to)| Step { values: vec![*stream, *to], ..told.step.clone() }).collect()
    }

    /// Crashes and what comes after each.
    fn crashes(&self, lives: &Lives) -> Vec<Step> {
        let ends = lives.0.iter().map(|life| life.end.as_ref()).enumerate();
        let seen = ends.filter_map(|(life, end)| Some((life, end.filter(|end| end.restart.0 != u64::MAX)?)));
        seen.flat_map(|(life, end)| {
            let left = vec![self.left(OWN, life + 1), self.left(OTHER, life + 1)];
            let step = |action, values, interval| Step { action, actor: 0, values, interval };
            [step(named("Crash"), left, end.crash), step(named("Restart"), Vec::new(), end.restart)]
        })
        .collect()
    }
}
