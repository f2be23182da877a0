//! One of the others at a time: by call, or by what the tree is used for.
//!
//! As every policy takes every shape, a switch rewrites nothing: what is there stays where it is, until the new policy's own rules
//! want it merged. Lazy leveling serves all work well, so it is left only when the use is lopsided for a while, and come back to when it is
//! clearly not so any more: thresholds to leave and to come back lie apart, and one window more or less decides nothing.

use super::shape::Shape;
use super::{Fast, MergePolicy, Plan, PolicyKind, Predictable};

/// What a tree was used for in a window of time.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Mix {
    /// Look-ups of one key.
    pub gets: u64,
    /// Scans.
    pub scans: u64,
    /// Changes, removals included.
    pub puts: u64,
}

impl Mix {
    fn all(self) -> u64 {
        self.gets.saturating_add(self.scans).saturating_add(self.puts)
    }

    /// Of all uses those that are changes, in thousandths.
    fn puts_of_thousand(self) -> u64 {
        (u128::from(self.puts) * 1000 / u128::from(self.all().max(1))) as u64
    }

    /// Half of what was before, and half of what is new, in millionths of the window.
    fn blend(self, new: Self) -> Self {
        let all = u128::from(new.all().max(1));
        let half = |old: u64, new: u64| (u128::from(old) / 2 + u128::from(new) * 500_000 / all) as u64;
        Self {
            gets: half(self.gets, new.gets),
            scans: half(self.scans, new.scans),
            puts: half(self.puts, new.puts),
        }
    }
}

/// A change of the policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    /// The one before.
    pub from: PolicyKind,
    /// The one from now on.
    pub to: PolicyKind,
    /// Changes among a thousand uses when it was decided; none if it was a call.
    pub puts_of_thousand: Option<u64>,
}

/// Uses in a window below which it says nothing.
const USES_MIN: u64 = 256;
/// Windows in a row that must want the same.
const PATIENCE: u32 = 3;
/// Changes among a thousand uses: at or above them tiers, until they fall below the second.
const TIERED_ABOVE: u64 = 950;
const TIERED_UNTIL: u64 = 850;
/// At or below them leveling, until they rise above the second.
const LEVELED_BELOW: u64 = 50;
const LEVELED_UNTIL: u64 = 150;

/// Moves between policies.
#[derive(Debug)]
pub struct Adaptive {
    now: Box<dyn MergePolicy>,
    /// The use of late.
    mix: Mix,
    /// What the last windows wanted, and how many of them.
    wanted: (PolicyKind, u32),
    is_fixed: bool,
    /// Runs of a level before they are merged, where a policy has such a number; none: its own.
    level_runs: Option<usize>,
}

impl Default for Adaptive {
    fn default() -> Self {
        let now = PolicyKind::Fast;
        Self { now: now.policy(), mix: Mix::default(), wanted: (now, 0), is_fixed: false, level_runs: None }
    }
}

impl Adaptive {
    /// With `kind` in charge, and so many runs of a level before they are merged, where a policy has such a number.
    pub fn of(kind: PolicyKind, level_runs: Option<usize>) -> Self {
        let mut this = Self { level_runs, is_fixed: kind != PolicyKind::Adaptive, ..Self::default() };
        let _ = this.switch(kind, None);
        this
    }

    /// Goes on with `kind`, which the use had put in charge before, until it says otherwise. Nothing where a call decides.
    pub fn go_on_with(&mut self, kind: PolicyKind) {
        if !self.is_fixed {
            let _ = self.switch(kind, None);
        }
    }

    /// The policy in charge.
    pub fn current(&self) -> PolicyKind {
        self.now.kind()
    }

    /// Puts `kind` in charge until the next call; [`PolicyKind::Adaptive`] lets the use decide again. None if it was so already.
    pub fn choose(&mut self, kind: PolicyKind) -> Option<Switch> {
        self.is_fixed = kind != PolicyKind::Adaptive;
        self.wanted = (self.current(), 0);
        if !self.is_fixed {
            return None;
        }
        self.switch(kind, None)
    }

    fn switch(&mut self, to: PolicyKind, puts_of_thousand: Option<u64>) -> Option<Switch> {
        let from = self.current();
        let next: Box<dyn MergePolicy> = match (to, self.level_runs) {
            (PolicyKind::Fast | PolicyKind::Adaptive, Some(runs)) => Box::new(Fast::new(runs)),
            (PolicyKind::Predictable, Some(runs)) => Box::new(Predictable::new(runs)),
            (PolicyKind::Adaptive, None) => PolicyKind::Fast.policy(),
            (kind, _) => kind.policy(),
        };
        self.now = next;
        self.wanted = (self.current(), 0);
        (from != self.current()).then(|| Switch { from, to: self.current(), puts_of_thousand })
    }

    /// What suits the use of late, given what is in charge.
    fn suits(&self) -> PolicyKind {
        let puts = self.mix.puts_of_thousand();
        match self.current() {
            PolicyKind::Predictable if puts >= TIERED_UNTIL => PolicyKind::Predictable,
            PolicyKind::Leveled if puts <= LEVELED_UNTIL => PolicyKind::Leveled,
            _ if puts >= TIERED_ABOVE => PolicyKind::Predictable,
            _ if puts <= LEVELED_BELOW => PolicyKind::Leveled,
            _ => PolicyKind::Fast,
        }
    }
}

impl MergePolicy for Adaptive {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Adaptive
    }

    fn pick(&self, shape: &Shape) -> Option<Plan> {
        self.now.pick(shape)
    }

    fn price(&self, shape: &Shape) -> u64 {
        self.now.price(shape)
    }

    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        self.now.level_for(shape, bytes)
    }

    fn observe(&mut self, mix: Mix) -> Option<Switch> {
        if self.is_fixed || mix.all() < USES_MIN {
            return None;
        }
        self.mix = self.mix.blend(mix);
        let suits = self.suits();
        let before = if self.wanted.0 == suits { self.wanted.1 } else { 0 };
        self.wanted = (suits, before + 1);
        let is_time = suits != self.current() && self.wanted.1 >= PATIENCE;
        is_time.then(|| self.switch(suits, Some(self.mix.puts_of_thousand()))).flatten()
    }
}
