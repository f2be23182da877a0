//! The adversary itself: it keeps every promise of the contract, breaks everything else, and lies only when told to.
#![allow(clippy::unwrap_used)]

mod example;
mod fault;
mod machine;
mod policy;
mod promise;

use aether_sim::Sim;
use aether_sync::Arc;
use aether_vfs::{Create, File, OpenOptions, conformance, read_file};
use std::path::Path;

#[test]
fn the_simulation_conforms() {
    conformance::run(|| (Sim::new(7).env().vfs, "/".into()));
}

/// Opens a file for writing, creating it if it is missing.
fn open(sim: &Sim, path: &str) -> Arc<dyn File> {
    sim.env().vfs.open(Path::new(path), OpenOptions::write(Create::IfMissing)).unwrap()
}

/// A file of which everything is durable.
fn durable(sim: &Sim, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = open(sim, path);
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    sim.env().vfs.sync_dir(Path::new("/")).unwrap();
    file
}

/// The bytes of a file; `None` if there is no such file.
fn read(sim: &Sim, path: &str) -> Option<Vec<u8>> {
    read_file(&*sim.env().vfs, Path::new(path)).ok()
}

fn names(sim: &Sim) -> Vec<String> {
    sim.env().vfs.list(Path::new("/")).unwrap().into_iter().map(|entry| entry.name).collect()
}
