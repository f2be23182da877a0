//! What is rare in a script: rows in bulk, ranges that go, and conversions.
//!
//! They are dealt by a chance of their own, after the rest is written: without them a script is what it was.

use super::draw::{end, new_key, old_key, tagged, value};
use super::plan::Planner;
use super::{Conversion, PASSING, SPACES, Script, Step, TxnScript};
use crate::kind::Kind;
use crate::model::{Bytes, Op, Range, Rows, State};
use crate::rng::{Rng, derive};
use aether_sync::Arc;
use aether_types::IndexKind;
use core::ops::Bound;

/// Transactions for each with rows in bulk, and for each conversion.
const TRANSACTIONS_PER_BULK: usize = 15;
const TRANSACTIONS_PER_CONVERSION: usize = 30;

/// Puts the rare calls and steps into a script.
pub(super) fn add(script: Script) -> Script {
    let seed = script.seed;
    let planner = Planner::default();
    let mut dealer = Dealer { rng: Rng::new(derive(seed, 4)), planner, steps: Vec::new() };
    let count = script.transactions().count();
    let bulk = dealer.places(&script, 1 + count / TRANSACTIONS_PER_BULK);
    let conversions = dealer.places(&script, 1 + count / TRANSACTIONS_PER_CONVERSION);
    for (at, step) in script.steps.into_iter().enumerate() {
        dealer.step(step, bulk.contains(&at));
        if conversions.contains(&at) {
            let conversion = dealer.conversion();
            dealer.take(conversion);
        }
    }
    Script { seed, steps: dealer.steps }
}

struct Dealer {
    rng: Rng,
    planner: Planner,
    steps: Vec<Step>,
}

impl Dealer {
    /// Some of the transactions, but for the first, beside which no other is open.
    fn places(&mut self, script: &Script, count: usize) -> Vec<usize> {
        let (mut planner, mut places) = (Planner::default(), Vec::new());
        for (at, step) in script.steps.iter().enumerate() {
            if at > 0 && matches!(step, Step::Txn(_)) && planner.side.is_empty() {
                places.push(at);
            }
            planner.plan(step.clone());
        }
        while places.len() > count {
            places.swap_remove(self.rng.below(places.len()));
        }
        places
    }

    fn take(&mut self, step: Option<Step>) {
        self.steps.extend(step.and_then(|step| self.planner.plan(step)));
    }

    fn step(&mut self, mut step: Step, has_bulk: bool) {
        if let Step::Txn(txn) = &mut step
            && has_bulk
        {
            let ops = self.bulk();
            let at = self.rng.below(txn.ops.len() + 1);
            txn.ops.splice(at..at, ops);
        }
        self.take(Some(step));
    }

    fn state(&self) -> &State {
        &self.planner.state
    }

    /// One call, or two of which the second meets what the first has done.
    fn bulk(&mut self) -> Vec<Op> {
        let space = self.space();
        let mut ops = vec![self.one(space)];
        if self.rng.chance(40) {
            ops.push(self.one(space));
        }
        ops
    }

    fn one(&mut self, space: &'static str) -> Op {
        if self.rng.chance(50) { self.ingest(space) } else { self.delete_range(space) }
    }

    /// One of the two that stay, of an LSM tree if there is one.
    fn space(&mut self) -> &'static str {
        let is_lsm = |space: &&str| self.planner.state.kinds.get(*space) == Some(&IndexKind::LSM);
        let trees: Vec<_> = SPACES.into_iter().filter(is_lsm).collect();
        let among = if trees.is_empty() || self.rng.chance(15) { &SPACES[..] } else { &trees };
        among[self.rng.below(among.len())]
    }

    /// New rows and others in the place of old ones.
    fn ingest(&mut self, space: &'static str) -> Op {
        let mut rows = Rows::new();
        for _ in 0..self.rng.between(1, 12) {
            let old = if self.rng.chance(35) { self.old_key(space) } else { None };
            let key = old.unwrap_or_else(|| new_key(&mut self.rng));
            let value = match self.rng.below(20) {
                0 => tagged(self.rng.word() as u32, 20_000),
                1..5 => tagged(self.rng.word() as u32, 60),
                _ => value(&mut self.rng),
            };
            rows.insert(key, value);
        }
        Op::Ingest(space, rows.into_iter().collect())
    }

    fn delete_range(&mut self, space: &'static str) -> Op {
        let first = self.old_key(space).unwrap_or_else(|| new_key(&mut self.rng));
        let count = self.rng.below(14);
        let rows = self.state().rows(space);
        let mut following = rows.into_iter().flat_map(|rows| rows.range(first.clone()..));
        let last = following.nth(count).map(|(key, _)| key.clone());
        Op::DeleteRange(space, Range { from: self.from(first), to: self.to(last) })
    }

    fn from(&mut self, key: Bytes) -> Bound<Bytes> {
        if self.rng.chance(70) { Bound::Included(key) } else { Bound::Excluded(key) }
    }

    fn to(&mut self, key: Option<Bytes>) -> Bound<Bytes> {
        match key {
            Some(key) if self.rng.chance(50) => Bound::Included(key),
            Some(key) => Bound::Excluded(key),
            None => Bound::Unbounded,
        }
    }

    fn old_key(&mut self, space: &str) -> Option<Bytes> {
        old_key(&mut self.rng, &self.planner.state, space)
    }

    fn conversion(&mut self) -> Option<Step> {
        let spaces: Vec<_> = self.spaces().collect();
        let space = *spaces.get(self.rng.below(spaces.len().max(1)))?;
        let kind = self.state().kinds.get(space).copied();
        let to = Kind::draw(&mut self.rng, kind);
        let is_broken_off = self.rng.chance(15);
        let during = TxnScript { ops: self.during(), end: end(&mut self.rng), after: Arc::default() };
        Some(Step::Convert(Conversion { space, to, is_broken_off, during }))
    }

    fn spaces(&self) -> impl Iterator<Item = &'static str> {
        let all = SPACES.into_iter().chain([PASSING]);
        all.filter(|space| self.state().rows(space).is_some())
    }

    /// Changes while rows are copied; few, as all of them are copied again.
    fn during(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..self.rng.below(6) {
            let space = SPACES[self.rng.below(SPACES.len())];
            match (self.rng.below(3), self.old_key(space)) {
                (0, Some(key)) => ops.push(Op::Delete(space, key)),
                (1, Some(key)) => ops.push(Op::Put(space, key, value(&mut self.rng))),
                _ => ops.push(Op::Put(space, new_key(&mut self.rng), value(&mut self.rng))),
            }
        }
        if self.rng.chance(30) {
            ops.extend(self.bulk());
        }
        ops
    }
}
