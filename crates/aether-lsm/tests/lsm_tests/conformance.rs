//! The suite for indexes, with memtables of a few rows.

use crate::simulated::Simulated;
use aether_lsm::index::conformance::{Effort, all};
use aether_lsm::index::{ResidentFactory, TablesConfig};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{LsmConfig, LsmFactory};
use aether_sim::Sim;
use aether_sync::Arc;

/// For the policies other than the default: what differs is which runs are merged.
const LESS: Effort = Effort { scripts: 4, operations: 300, cuts: 8 };

fn conforms(policy: PolicyKind, effort: Effort) {
    let rows = Arc::new(ResidentFactory::new(TablesConfig::new(7)));
    let config = LsmConfig {
        memtable_bytes: 8 << 10,
        policy,
        separate_bytes: 600,
        threads: 0,
        ..LsmConfig::default()
    };
    all(Arc::new(LsmFactory::alone(rows, config)), effort, |seed| Simulated(Sim::new(seed)));
}

#[test]
fn an_lsm_tree_conforms_by_default() {
    conforms(PolicyKind::Fast, Effort::default());
}

#[test]
fn it_conforms_with_hanoi() {
    conforms(PolicyKind::Hanoi, LESS);
}

#[test]
fn it_conforms_tiered() {
    conforms(PolicyKind::Predictable, LESS);
}

#[test]
fn it_conforms_leveled() {
    conforms(PolicyKind::Leveled, LESS);
}

#[test]
fn it_conforms_adaptive() {
    conforms(PolicyKind::Adaptive, LESS);
}
