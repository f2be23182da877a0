//! The simulated machine as the suite for indexes wants a disk.

use aether_index::conformance::Disk;
use aether_sim::{CrashPolicy, Sim};
use aether_vfs::Env;

pub(crate) struct Simulated(pub(crate) Sim);

impl Disk for Simulated {
    fn env(&self) -> Env {
        self.0.env()
    }

    fn op_count(&self) -> u64 {
        self.0.op_count()
    }

    fn cut_power_at(&self, op: u64) {
        self.0.cut_power_at(op);
    }

    fn after_crash(&self, seed: u64) -> Self {
        let policies = CrashPolicy::all(seed);
        Self(self.0.crash_image(policies[seed as usize % policies.len()]))
    }
}
