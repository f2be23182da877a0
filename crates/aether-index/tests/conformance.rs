//! The suite for indexes, over those of this crate.

#[path = "shared/simulated.rs"]
mod simulated;

use aether_index::conformance::{Effort, all};
use aether_index::rows::RowsFactory;
use aether_index::{IndexFactory, ResidentFactory, TablesConfig, Tree, rax};
use aether_sim::Sim;
use aether_sync::Arc;
use simulated::Simulated;

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
