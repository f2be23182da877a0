//! Who merges which runs: no run takes part in two merges.

use super::VersionSet;
use crate::policy::{Plan, Shape};
use crate::rank;
use aether_sync::{Arc, Mutex};
use aether_types::{FileId, Timestamp};
use std::collections::BTreeSet;

/// The runs that take part in merges. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claims(Arc<Mutex<BTreeSet<FileId>>>);

impl Default for Claims {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(rank::CLAIMS, BTreeSet::new())))
    }
}

/// A merge that is the caller's; its runs are free again when this is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    plan: Plan,
}

impl Claims {
    /// Lets `pick` choose a merge of runs of the newest version that are free, and claims them in the same step.
    pub fn claim<F>(
        &self,
        set: &VersionSet<F>,
        unit_bytes: u64,
        oldest_snapshot: Timestamp,
        pick: impl FnOnce(&Shape) -> Option<Plan>,
    ) -> Option<Claim> {
        let mut merging = self.0.lock();
        let shape = set.current().shape(unit_bytes, oldest_snapshot, |id| merging.contains(&id));
        let plan = pick(&shape)?;
        merging.extend(&plan.inputs);
        Some(Claim { claims: self.clone(), plan })
    }

    /// Keeps a run from being merged until [`Claims::release`]; before it is installed.
    pub fn hold(&self, run: FileId) {
        self.0.lock().insert(run);
    }

    /// Lets a run be merged that was held.
    pub fn release(&self, run: FileId) {
        self.0.lock().remove(&run);
    }

    /// The shape of the newest version, with the runs that are being merged marked.
    pub fn shape<F>(&self, set: &VersionSet<F>, unit_bytes: u64, oldest_snapshot: Timestamp) -> Shape {
        let merging = self.0.lock();
        set.current().shape(unit_bytes, oldest_snapshot, |id| merging.contains(&id))
    }
}

impl Claim {
    /// What is to be merged.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut merging = self.claims.0.lock();
        self.plan.inputs.iter().for_each(|id| {
            merging.remove(id);
        });
    }
}
