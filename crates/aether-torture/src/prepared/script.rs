//! Scripts of prepared transactions, and the states that they lead to.

use crate::model::{Bytes, Rows, rows_difference};
use crate::rng::Rng;
use std::collections::BTreeMap;

/// Rows that transactions change.
const ROWS: usize = 60;

/// The most transactions that are prepared at a time.
const PREPARED_MAX: usize = 4;

/// A global transaction id.
pub(super) type Gtid = Vec<u8>;

/// Puts, and deletes where the value is none.
pub(super) type Changes = Vec<(Bytes, Option<Bytes>)>;

/// One step; each happens whole or not at all.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Commit(Changes),
    Prepare { gtid: Gtid, changes: Changes, reads: Option<Bytes> },
    Decide { gtid: Gtid, commits: bool },
    Forget(Gtid),
    Checkpoint,
}

/// A prepared transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) changes: Changes,
    /// What it has read, if it is serializable.
    pub(super) reads: Option<Bytes>,
}

/// What a store holds after some steps.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) rows: Rows,
    pub(super) prepared: BTreeMap<Gtid, Prepared>,
    /// Whether those that are decided and not forgotten were committed.
    pub(super) ended: BTreeMap<Gtid, bool>,
    /// Every id that was ever prepared; no part of what a store shows.
    pub(super) known: BTreeMap<Gtid, Prepared>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        (&self.rows, &self.prepared, &self.ended) == (&other.rows, &other.prepared, &other.ended)
    }
}

impl State {
    /// The state after another step.
    pub(super) fn after(&self, step: &Step) -> Self {
        let mut next = self.clone();
        match step {
            Step::Commit(changes) => next.apply(changes),
            Step::Prepare { gtid, changes, reads } => {
                let prepared = Prepared { changes: changes.clone(), reads: reads.clone() };
                next.known.insert(gtid.clone(), prepared.clone());
                next.prepared.insert(gtid.clone(), prepared);
            }
            Step::Decide { gtid, commits } => {
                if let Some(prepared) = next.prepared.remove(gtid) {
                    next.ended.insert(gtid.clone(), *commits);
                    if *commits {
                        next.apply(&prepared.changes);
                    }
                }
            }
            Step::Forget(gtid) => drop(next.ended.remove(gtid)),
            Step::Checkpoint => {}
        }
        next
    }

    fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.rows.insert(key.clone(), value.clone())),
                None => drop(self.rows.remove(key)),
            }
        }
    }

    /// What differs, in words.
    pub(super) fn difference(&self, other: &Self) -> String {
        if self.prepared != other.prepared {
            let ids = |state: &Self| {
                state.prepared.keys().map(|id| String::from_utf8_lossy(id).into_owned()).collect::<Vec<_>>()
            };
            return format!("prepared are {:?}, expected {:?}", ids(self), ids(other));
        }
        if self.ended != other.ended {
            return format!("ends are {:?}, expected {:?}", self.ended, other.ended);
        }
        rows_difference(&self.rows, &other.rows).unwrap_or_else(|| "nothing differs".into())
    }

    /// Rows that no prepared transaction has changed or read.
    fn is_free(&self, key: &Bytes) -> bool {
        let holds = |prepared: &Prepared| {
            prepared.reads.as_ref() == Some(key) || prepared.changes.iter().any(|(changed, _)| changed == key)
        };
        !self.prepared.values().any(holds)
    }
}

/// Steps, and what each leads to.
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// One more than steps.
    states: Vec<State>,
}

impl Script {
    /// The script of a seed.
    pub(super) fn new(seed: u64, steps: usize) -> Self {
        let mut rng = Rng::new(seed);
        let mut script = Self { steps: Vec::new(), states: vec![State::default()] };
        let first = (0..ROWS / 2).map(|number| (row(number), Some(value(&mut rng)))).collect();
        script.push(Step::Commit(first));
        for number in 1..steps {
            let step = script.next(number, &mut rng);
            script.push(step);
        }
        script
    }

    /// The states that a restart may show when so many steps were acknowledged and the next, if any, was cut.
    pub(super) fn states_from(&self, done: usize) -> Vec<State> {
        let last = &self.states[(done + 1).min(self.steps.len())];
        // Both know every id that may be met.
        let first = State { known: last.known.clone(), ..self.states[done].clone() };
        vec![first, last.clone()]
    }

    fn push(&mut self, step: Step) {
        let next = self.newest().after(&step);
        self.steps.push(step);
        self.states.push(next);
    }

    fn newest(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    fn next(&self, number: usize, rng: &mut Rng) -> Step {
        let state = self.newest();
        let any =
            |map: Vec<&Gtid>, rng: &mut Rng| (!map.is_empty()).then(|| map[rng.below(map.len())].clone());
        match rng.below(10) {
            0..4 if state.prepared.len() < PREPARED_MAX => self.prepare(number, rng),
            4..7 => match any(state.prepared.keys().collect(), rng) {
                Some(gtid) => Step::Decide { gtid, commits: rng.chance(50) },
                None => self.prepare(number, rng),
            },
            7 => match any(state.ended.keys().collect(), rng) {
                Some(gtid) => Step::Forget(gtid),
                None => Step::Checkpoint,
            },
            8 => Step::Checkpoint,
            _ => Step::Commit(self.changes(rng, 4)),
        }
    }

    fn prepare(&self, number: usize, rng: &mut Rng) -> Step {
        let most = if rng.chance(20) { ROWS } else { 4 };
        let changes = self.changes(rng, most);
        let reads = rng.chance(40).then(|| row(rng.below(ROWS)));
        // What it reads nobody has changed, itself included.
        let reads = reads
            .filter(|key| self.newest().is_free(key) && !changes.iter().any(|(changed, _)| changed == key));
        Step::Prepare { gtid: format!("g{number}").into_bytes(), changes, reads }
    }

    /// Changes of rows that no prepared transaction holds.
    fn changes(&self, rng: &mut Rng, most: usize) -> Changes {
        let mut changes = BTreeMap::new();
        for _ in 0..rng.between(1, most) {
            let key = row(rng.below(ROWS));
            if self.newest().is_free(&key) {
                // To delete what is not there changes nothing and locks nothing.
                let is_there = self.newest().rows.contains_key(&key);
                let value = (!is_there || !rng.chance(25)).then(|| value(rng));
                changes.insert(key, value);
            }
        }
        changes.into_iter().collect()
    }
}

fn row(number: usize) -> Bytes {
    format!("row-{number:03}").into_bytes().into()
}

/// Mostly small; now and then larger than a page.
fn value(rng: &mut Rng) -> Bytes {
    let length = if rng.chance(5) { 9_000 } else { rng.below(300) };
    rng.bytes(length).into()
}
