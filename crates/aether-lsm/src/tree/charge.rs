//! The merge policy in charge: by call, or by what the tree is used for. Its last switches are in the manifest.

use super::Inner;
use super::working::Working;
use crate::policy::{Adaptive, MergePolicy, Mix, Plan, PolicyKind, Shape, Switch};
use aether_index::txn::Durability;
use aether_types::{Error, Reader, Result, Writer};
use std::collections::VecDeque;
use std::time::Duration;

/// The time over which the use of a tree is looked at.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// Switches of the policy that are remembered.
const SWITCHES: usize = 16;
const VERSION: u8 = 1;

/// The policy in charge, and what it has changed.
pub(super) struct Policy {
    pub(super) kind: PolicyKind,
    pub(super) policy: Adaptive,
    switches: VecDeque<Switch>,
    /// The use when the policy was told last.
    told: Mix,
    /// When, on the store's clock.
    told_at: Duration,
}

impl Policy {
    /// `switches`: those before; where the use decides, the last of them is in charge still.
    pub(super) fn new(kind: PolicyKind, level_runs: Option<usize>, switches: Vec<Switch>) -> Self {
        let mut policy = Adaptive::of(kind, level_runs);
        if let Some(last) = switches.last() {
            policy.go_on_with(last.to);
        }
        Self { kind, policy, switches: switches.into(), told: Mix::default(), told_at: Duration::ZERO }
    }

    pub(super) fn pick(&self, shape: &Shape) -> Option<Plan> {
        self.policy.pick(shape)
    }

    /// The last switches, the oldest first.
    pub(super) fn switches(&self) -> Vec<Switch> {
        self.switches.iter().copied().collect()
    }

    fn choose(&mut self, kind: PolicyKind) {
        self.kind = kind;
        let switch = self.policy.choose(kind);
        self.note(switch);
    }

    /// Tells the policy what the tree has been used for up to `now`, if that is long enough after the last time; true if it has switched. Uses
    /// that were told already count for nothing.
    fn observe(&mut self, clock: Duration, now: Mix) -> bool {
        if clock.saturating_sub(self.told_at) < OBSERVE_EVERY {
            return false;
        }
        self.told_at = clock;
        let told = core::mem::replace(&mut self.told, now);
        let switch = self.policy.observe(Mix {
            gets: now.gets.saturating_sub(told.gets),
            scans: now.scans.saturating_sub(told.scans),
            puts: now.puts.saturating_sub(told.puts),
        });
        self.note(switch);
        switch.is_some()
    }

    fn note(&mut self, switch: Option<Switch>) {
        self.switches.extend(switch);
        if self.switches.len() > SWITCHES {
            self.switches.pop_front();
        }
    }
}

impl Inner {
    /// Puts `kind` in charge, and logs that. Blocks for edits of the manifest and for the log.
    ///
    /// # Errors
    /// As [`Runs::change`](super::runs::Runs::change).
    pub(super) fn put_in_charge(&self, kind: PolicyKind) -> Result<()> {
        let _now = Working::begin();
        self.runs.change(Durability::Sync, |manifest, txn| {
            manifest.put_policy(txn, kind)?;
            let switches = {
                let mut policy = self.policy.lock();
                policy.choose(kind);
                policy.switches()
            };
            manifest.put_switches(txn, &switches)
        })
    }

    /// Tells the policy what the tree was used for since the last time, if that was long enough ago. Blocks if it switches.
    pub(super) fn observe(&self) {
        let has_switched = {
            let mut policy = self.policy.lock();
            // Under the lock: of two who look, the later one has no older time and no fewer uses.
            let clock = self.txns.store().env().clock.now();
            let now = Mix { gets: self.gets.get(), scans: self.scans.get(), puts: self.puts.get() };
            policy.observe(clock, now)
        };
        if has_switched {
            self.merges.look_again();
            self.reckon();
            // It is in charge already; who writes meets what is wrong with the log.
            let _ = self.log_switches();
        }
    }

    fn log_switches(&self) -> Result<()> {
        let _now = Working::begin();
        self.runs.change(Durability::None, |manifest, txn| {
            let (kind, switches) = {
                let policy = self.policy.lock();
                (policy.kind, policy.switches())
            };
            // A conflict as long as who made the tree has not committed.
            manifest.put_policy(txn, kind)?;
            manifest.put_switches(txn, &switches)
        })
    }
}

/// Switches as the manifest has them.
pub(super) fn encode(switches: &[Switch]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_varint(switches.len() as u64);
    for Switch { from, to, puts_of_thousand } in switches {
        out.put_u8(from.code());
        out.put_u8(to.code());
        out.put_varint(puts_of_thousand.map_or(0, |puts| puts + 1));
    }
    out
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// `Corruption`.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Switch>> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(reader.bad(format!("switches of version {version}")));
    }
    let count = reader.varint_below(SWITCHES as u64 + 1)?;
    let switch = |_| {
        let (from, to) = (kind(reader.u8()?)?, kind(reader.u8()?)?);
        Ok(Switch { from, to, puts_of_thousand: reader.varint_below(1002)?.checked_sub(1) })
    };
    let switches = (0..count).map(switch).collect::<Result<_>>()?;
    reader.finish()?;
    Ok(switches)
}

/// The policy with that code.
///
/// # Errors
/// `Corruption`.
pub(super) fn kind(code: u8) -> Result<PolicyKind> {
    let unknown = || Error::corruption(format!("a merge policy of unknown code {code}"));
    PolicyKind::of_code(code).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_use_has_put_in_charge_stays_so_over_a_restart() {
        let last = Switch { from: PolicyKind::Fast, to: PolicyKind::Leveled, puts_of_thousand: Some(3) };
        let current = |kind| Policy::new(kind, None, vec![last]).policy.current();
        assert_eq!(current(PolicyKind::Adaptive), PolicyKind::Leveled);
        assert_eq!(current(PolicyKind::Hanoi), PolicyKind::Hanoi);
        assert_eq!(Policy::new(PolicyKind::Adaptive, None, Vec::new()).policy.current(), PolicyKind::Fast);
    }

    /// Who comes with counts of a moment ago, behind one who was faster.
    #[test]
    fn uses_that_were_told_already_count_for_nothing() {
        let mut policy = Policy::new(PolicyKind::Adaptive, None, Vec::new());
        let mix = |uses| Mix { gets: uses, scans: uses, puts: uses };
        assert!(!policy.observe(OBSERVE_EVERY, mix(1000)));
        assert!(!policy.observe(2 * OBSERVE_EVERY, mix(900)));
        assert!(!policy.observe(3 * OBSERVE_EVERY, mix(1900)));
        assert_eq!((policy.told_at, policy.told), (3 * OBSERVE_EVERY, mix(1900)));
    }

    #[test]
    fn switches_round_trip_and_hostile_ones_are_refused() {
        let mut policy = Policy::new(PolicyKind::Fast, None, Vec::new());
        for round in 0..20 {
            policy.choose([PolicyKind::Leveled, PolicyKind::Hanoi][round % 2]);
        }
        let mut switches = policy.switches();
        assert_eq!((switches.len(), switches[15].to), (SWITCHES, PolicyKind::Hanoi));
        switches[3].puts_of_thousand = Some(1000);
        let bytes = encode(&switches);
        assert_eq!(decode(&bytes).unwrap(), switches);
        assert_eq!(decode(&encode(&[])).unwrap(), []);
        assert!((0..bytes.len()).all(|end| decode(&bytes[..end]).is_err()));
        for (at, byte) in [(0, 2), (1, 17), (2, 9)] {
            let mut hostile = bytes.clone();
            hostile[at] = byte;
            assert!(decode(&hostile).is_err(), "{byte} at {at}");
        }
    }
}
