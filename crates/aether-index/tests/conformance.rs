//! The suite for indexes, over those of this crate.

use aether_index::conformance::{Disk, Effort, all};
use aether_index::rows::RowsFactory;
use aether_index::{IndexFactory, ResidentFactory, TablesConfig, Tree, rax};
use aether_sim::{CrashPolicy, Sim};
use aether_sync::Arc;
use aether_vfs::Env;

struct Simulated(Sim);

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

fn conforms(factory: impl IndexFactory) {
    all(Arc::new(factory), Effort::default(), |seed| Simulated(Sim::new(seed)));
}

#[test]
fn a_btree_conforms() {
    conforms(RowsFactory::<Tree>::new("btree"));
}

#[test]
fn a_table_in_memory_conforms() {
    conforms(ResidentFactory::new(TablesConfig { slice_bytes: 2000, ..TablesConfig::new(7) }));
}

#[test]
fn a_paged_rax_conforms() {
    conforms(rax::paged::FACTORY);
}
