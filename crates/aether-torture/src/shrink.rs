//! Makes a failing script small: steps are dropped, then calls within them, then values are shortened, as long as it
//! fails in the same way.
//!
//! A script that lacks steps makes other calls, so the numbers of the cut or of the failing call move. The step in which
//! it happened is therefore never dropped, and every place in it is tried. Steps after a power cut go first: nobody has
//! played them.

use crate::faults::{self, Plan, Trouble};
use crate::model::{Bytes, Op};
use crate::oracle::Verdict;
use crate::player::{self, AfterError};
use crate::report::Failure;
use crate::script::{Conversion, Script, Side, Step, tagged};
use crate::study::{Study, guarded};
use crate::world::{Cut, World};
use aether_sim::{Fault, OpKind};
use aether_sync::Arc;
use core::ops::Range;
use std::time::Instant;

/// Operations of a recovery that are tried for a second cut.
const RECOVERY_OPERATIONS: u64 = 60;

/// Operations tried before and after the place where the cut was in the step.
const WINDOW: u64 = 8;

/// A value that is as short as it may be and still tells its tag.
const SHORT_BYTES: usize = 8;

/// A smaller failure of the same kind; the one given, if none is found until then. Blocks.
pub fn shrink(failure: &Failure, until: Instant) -> Failure {
    match Shrinker::new(failure, until) {
        Some(mut shrinker) => {
            shrinker.work();
            shrinker.best
        }
        None => failure.clone(),
    }
}

/// The steps of the failing script.
fn steps_of(failure: &Failure) -> Vec<Step> {
    failure.settings.script().steps
}

struct Shrinker {
    best: Failure,
    steps: Vec<Step>,
    /// The step that must stay.
    pinned: Option<usize>,
    /// Where the first cut is, counted from the end of that step.
    from_end: u64,
    trouble: Option<Trouble>,
    class: String,
    until: Instant,
}

impl Shrinker {
    fn new(failure: &Failure, until: Instant) -> Option<Self> {
        if failure.thread_run.is_some() {
            return None;
        }
        let steps = steps_of(failure);
        let mut shrinker = Self {
            best: failure.clone(),
            steps,
            pinned: None,
            from_end: 0,
            trouble: None,
            class: class(&failure.what),
            until,
        };
        if !failure.trail.is_empty() || failure.fault.is_some() {
            let study = Study::new(failure.settings.clone()).ok()?;
            shrinker.locate(&study)?;
        }
        Some(shrinker)
    }

    /// Finds the step in which it happened.
    fn locate(&mut self, study: &Study) -> Option<()> {
        if let Some(nth) = self.best.fault {
            let trouble = Plan::new(study).ok()?.trouble(u64::from(nth))?.clone();
            self.pinned = struck_step(study, &trouble);
            self.trouble = Some(trouble);
        } else if let Some(first) = self.best.trail.first() {
            let (_, run) = guarded(|| study.run_until(first.op)).ok()?;
            let pinned = run.step.saturating_sub(1);
            let calls = calls_of_step(study, pinned, OpKind::Any)?;
            (self.pinned, self.from_end) = (Some(pinned), calls.end.saturating_sub(first.op));
        }
        Some(())
    }

    fn work(&mut self) {
        let end = self.pinned.map_or(self.steps.len(), |pinned| pinned + 1);
        self.attempt(self.steps[..end].to_vec(), self.pinned);
        self.drop_steps();
        for at in 0..self.steps.len() {
            self.drop_calls(at);
        }
        self.drop_steps();
        self.shorten_values();
    }

    /// Takes `steps` if they fail in the same way.
    fn attempt(&mut self, steps: Vec<Step>, pinned: Option<usize>) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        let seed = self.best.settings.seed;
        let pinned = pinned.map(|at| Script::of(seed, steps[..=at].to_vec()).steps.len().saturating_sub(1));
        let script = Arc::new(Script::of(seed, steps));
        match self.same_failure(&script, pinned) {
            Some(failure) => {
                self.best = failure;
                self.steps = script.steps.clone();
                self.pinned = pinned;
                true
            }
            None => false,
        }
    }

    fn same_failure(&self, script: &Arc<Script>, pinned: Option<usize>) -> Option<Failure> {
        let mut settings = self.best.settings.clone();
        settings.script = Some(script.clone());
        let study = match Study::new(settings) {
            Ok(study) => study,
            Err(failure) => {
                let at_once = self.best.trail.is_empty() && self.best.fault.is_none();
                return Some(failure).filter(|failure| at_once && class(&failure.what) == self.class);
            }
        };
        match &self.trouble {
            Some(trouble) => self.same_trouble(&study, trouble, pinned),
            None => self.same_cut(&study, pinned?),
        }
    }

    fn same_cut(&self, study: &Study, pinned: usize) -> Option<Failure> {
        let (first, rest) = self.best.trail.split_first()?;
        let calls = calls_of_step(study, pinned, OpKind::Any)?;
        let trails = self.nearest(calls).into_iter().flat_map(|op| second_cuts(Cut { op, ..*first }, rest));
        self.first_failure(trails, |trail| study.replay(&trail).map(drop))
    }

    /// The operations at about the same distance from the end of the step as in the best failure, nearest first.
    fn nearest(&self, calls: Range<u64>) -> Vec<u64> {
        let expected = calls.end.saturating_sub(self.from_end);
        let mut operations: Vec<_> = calls.filter(|op| op.abs_diff(expected) <= WINDOW).collect();
        operations.sort_by_key(|op| op.abs_diff(expected));
        operations
    }

    fn same_trouble(&self, study: &Study, trouble: &Trouble, pinned: Option<usize>) -> Option<Failure> {
        let plan = Plan::new(study).ok()?;
        let calls = match (pinned, call(trouble)) {
            (Some(pinned), Some((kind, _))) => calls_of_step(study, pinned, kind)?,
            _ => 0..u64::MAX,
        };
        let alike = |nth: &u64| {
            plan.trouble(*nth).is_some_and(|other| {
                is_alike(other, trouble) && call(other).is_none_or(|(_, call)| calls.contains(&call))
            })
        };
        let numbers = (0..plan.count()).filter(alike);
        self.first_failure(numbers, |nth| faults::visit(study, &plan, nth, &|| ()).map(drop))
    }

    /// The first of the cases that fails in the same way.
    fn first_failure<T>(
        &self,
        cases: impl Iterator<Item = T>,
        test: impl Fn(T) -> Result<(), Failure>,
    ) -> Option<Failure> {
        let in_time = cases.take_while(|_| Instant::now() < self.until);
        in_time.filter_map(|case| test(case).err()).find(|failure| class(&failure.what) == self.class)
    }

    /// Drops halves, quarters and so on of the steps, down to single ones.
    fn drop_steps(&mut self) {
        let mut size = self.steps.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < self.steps.len() {
                if !self.drop_some(at, size) {
                    at += size;
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn drop_some(&mut self, at: usize, size: usize) -> bool {
        let gone = at..(at + size).min(self.steps.len());
        if self.pinned.is_some_and(|pinned| gone.contains(&pinned)) {
            return size > 1 && self.drop_around(gone);
        }
        let pinned = self.pinned.map(|pinned| if pinned >= gone.end { pinned - gone.len() } else { pinned });
        let mut steps = self.steps.clone();
        steps.drain(gone);
        self.attempt(steps, pinned)
    }

    /// Drops what stands beside the pinned step.
    fn drop_around(&mut self, gone: Range<usize>) -> bool {
        let Some(pinned) = self.pinned else { return false };
        let stays = |index: &usize| !gone.contains(index) || *index == pinned;
        let kept: Vec<_> = (0..self.steps.len()).filter(stays).collect();
        let place = kept.iter().position(|index| *index == pinned);
        self.attempt(kept.iter().map(|index| self.steps[*index].clone()).collect(), place)
    }

    fn drop_calls(&mut self, at: usize) {
        let mut size = self.ops(at).len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.ops(at).len() {
                let mut ops = self.ops(at);
                ops.drain(from..(from + size).min(ops.len()));
                if !self.attempt_ops(at, ops) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// The calls of a step; an attempt may have shortened the list of steps.
    fn ops(&self, at: usize) -> Vec<Op> {
        match self.steps.get(at) {
            Some(Step::Txn(txn) | Step::Convert(Conversion { during: txn, .. })) => txn.ops.clone(),
            Some(Step::Side(Side::Calls(ops))) => ops.clone(),
            _ => Vec::new(),
        }
    }

    fn attempt_ops(&mut self, at: usize, ops: Vec<Op>) -> bool {
        let mut steps = self.steps.clone();
        set_ops(&mut steps[at], ops);
        self.attempt(steps, self.pinned)
    }

    /// All values at once, or those of one step.
    fn shorten_values(&mut self) {
        let mut steps = self.steps.clone();
        for (at, step) in steps.iter_mut().enumerate() {
            set_ops(step, self.ops(at).into_iter().map(shortened).collect());
        }
        if self.attempt(steps, self.pinned) {
            return;
        }
        for at in 0..self.steps.len() {
            let ops: Vec<_> = self.ops(at).into_iter().map(shortened).collect();
            if ops != self.ops(at) {
                self.attempt_ops(at, ops);
            }
        }
    }
}

fn set_ops(step: &mut Step, new: Vec<Op>) {
    match step {
        Step::Txn(txn) | Step::Convert(Conversion { during: txn, .. }) => txn.ops = new,
        Step::Side(Side::Calls(ops)) => *ops = new,
        _ => {}
    }
}

fn shortened(op: Op) -> Op {
    match op {
        Op::Put(space, key, value) => Op::Put(space, key, short(value)),
        Op::Ingest(space, rows) => {
            Op::Ingest(space, rows.iter().map(|(key, value)| (key.clone(), short(value.clone()))).collect())
        }
        op => op,
    }
}

fn short(value: Bytes) -> Bytes {
    if value.len() <= SHORT_BYTES {
        return value;
    }
    let tag = value.first_chunk().map_or(0, |tag| u32::from_le_bytes(*tag));
    tagged(tag, SHORT_BYTES)
}

/// What is wrong, without numbers and names, so that two failures can be told alike.
fn class(what: &str) -> String {
    let what =
        if what.starts_with("under ") { what.split_once("}: ").map_or(what, |(_, rest)| rest) } else { what };
    let what = match what.split_once(": ") {
        Some((prefix, rest)) if prefix.starts_with("then ") || prefix == "second look" => rest,
        _ => what,
    };
    what.chars().take_while(|letter| !letter.is_ascii_digit() && !"(\"".contains(*letter)).collect()
}

/// The trail with each operation of the recovery that is worth a try; other cuts stay where they were.
fn second_cuts(first: Cut, rest: &[Cut]) -> Vec<Vec<Cut>> {
    let Some((second, deeper)) = rest.split_first() else { return vec![vec![first]] };
    let trail = |op| [&[first, Cut { op, ..*second }], deeper].concat();
    (0..=RECOVERY_OPERATIONS.max(second.op)).map(trail).collect()
}

/// The kind and number of the call that a trouble is about.
fn call(trouble: &Trouble) -> Option<(OpKind, u64)> {
    let Trouble::Calls { faults, .. } = trouble else { return None };
    match faults.first()? {
        Fault::FailOp { nth, kind, .. } => Some((*kind, *nth)),
        Fault::FailSyncDropsDirty { nth } => Some((OpKind::Sync, *nth)),
        Fault::ShortWrite { nth } => Some((OpKind::Write, *nth)),
        _ => None,
    }
}

/// True if two troubles differ in numbers only.
fn is_alike(one: &Trouble, other: &Trouble) -> bool {
    let letters = |trouble: &Trouble| {
        let text = format!("{trouble:?}");
        text.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>()
    };
    letters(one) == letters(other)
}

/// The step in which the first call failed.
fn struck_step(study: &Study, trouble: &Trouble) -> Option<usize> {
    let Trouble::Calls { faults, .. } = trouble else { return None };
    call(trouble)?;
    let world = study.world();
    faults.iter().for_each(|fault| world.sim.inject(fault.clone()));
    let mut sound = 0;
    player::play(&world, study.script(), AfterError::GoOn, |_, _| {
        sound += usize::from(world.sim.strikes().is_empty());
    });
    (sound < study.script().steps.len()).then_some(sound)
}

/// The calls of this kind that a step makes; opening the store belongs to the first.
fn calls_of_step(study: &Study, step: usize, kind: OpKind) -> Option<Range<u64>> {
    let marks = guarded(|| marks(&study.world(), study, kind)).ok()?;
    let start = step.checked_sub(1).map_or(Some(0), |before| marks.get(before).copied())?;
    Some(start..*marks.get(step)?)
}

/// How many calls there were after each step.
fn marks(world: &World, study: &Study, kind: OpKind) -> Verdict<Vec<u64>> {
    let mut marks = Vec::new();
    player::play(world, study.script(), AfterError::Stop, |_, _| marks.push(world.sim.calls(kind)));
    Ok(marks)
}
