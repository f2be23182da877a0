//! The adversary itself: it keeps every promise of the contract, breaks everything else, and is caught lying.
#![allow(clippy::unwrap_used)]

use aether_sim::Sim;
use aether_vfs::conformance;

#[test]
fn the_simulation_conforms() {
    conformance::run(|| (Sim::new(7).env().vfs, "/".into()));
}
