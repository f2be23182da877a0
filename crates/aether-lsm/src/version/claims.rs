//! Who merges which runs. No run takes part in two merges; of each level one merge begins at most, so that there are no more than levels;
//! and those under way agree, whichever comes to its end first.

use super::VersionSet;
use crate::policy::{Plan, Shape};
use crate::rank;
use aether_sync::{Arc, Mutex};
use aether_types::{FileId, Timestamp};
use std::collections::BTreeSet;

/// The merges under way, and what no merge may take. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claims(Arc<Mutex<State>>);

#[derive(Default, Debug)]
struct State {
    merges: Vec<Plan>,
    held: BTreeSet<FileId>,
}

impl State {
    fn has(&self, id: FileId) -> bool {
        self.held.contains(&id) || self.merges.iter().any(|plan| plan.inputs.contains(&id))
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(rank::CLAIMS, State::default())))
    }
}

/// A merge that is the caller's; its runs are free again when this is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    plan: Plan,
    level: usize,
}

impl Claims {
    /// Lets `pick` choose a merge of runs of the newest version that are free, and claims them in the same step; none also if it must wait
    /// for a merge under way.
    pub fn claim<F>(
        &self,
        set: &VersionSet<F>,
        unit_bytes: u64,
        oldest_snapshot: Timestamp,
        pick: impl FnOnce(&Shape) -> Option<Plan>,
    ) -> Option<Claim> {
        let mut state = self.0.lock();
        let shape = set.current().shape(unit_bytes, oldest_snapshot, |id| state.has(id));
        let plan = pick(&shape)?;
        let level = shape.first_level(&plan)?;
        // One whose runs are gone is installed, and not in the way.
        let may_stand = |other: &Plan| {
            let begins = shape.first_level(other);
            begins.is_none() || begins != Some(level) && shape.agree(other, &plan)
        };
        if !state.merges.iter().all(may_stand) {
            return None;
        }
        state.merges.push(plan.clone());
        Some(Claim { claims: self.clone(), plan, level })
    }

    /// Keeps a run from being merged until [`Claims::release`]; before it is installed.
    pub fn hold(&self, run: FileId) {
        self.0.lock().held.insert(run);
    }

    /// Lets a run be merged that was held.
    pub fn release(&self, run: FileId) {
        self.0.lock().held.remove(&run);
    }

    /// The shape of the newest version, with the runs that are being merged marked.
    pub fn shape<F>(&self, set: &VersionSet<F>, unit_bytes: u64, oldest_snapshot: Timestamp) -> Shape {
        let state = self.0.lock();
        set.current().shape(unit_bytes, oldest_snapshot, |id| state.has(id))
    }

    /// What that shape will be once the merges under way are done.
    pub fn shape_ahead<F>(&self, set: &VersionSet<F>, unit_bytes: u64, oldest_snapshot: Timestamp) -> Shape {
        let state = self.0.lock();
        let now = set.current().shape(unit_bytes, oldest_snapshot, |id| state.held.contains(&id));
        state.merges.iter().fold(now, |shape, plan| shape.after(plan))
    }
}

impl Claim {
    /// What is to be merged.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The level of the newest run of it.
    pub fn level(&self) -> usize {
        self.level
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // No two have a run in common.
        self.claims.0.lock().merges.retain(|plan| plan.inputs != self.plan.inputs);
    }
}
