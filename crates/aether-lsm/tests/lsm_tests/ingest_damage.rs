//! An ingested run that is damaged: an error for those who see it, and for nobody else.

use crate::ingest::ingest;
use crate::world::{HOME, Shape, World, try_rows};
use aether_lsm::index::Index;
use aether_lsm::run::{Codec, RunHome};
use aether_lsm::tree::LsmConfig;
use aether_sim::Sim;
use aether_types::{ErrorKind, FileId};
use aether_vfs::{Create, OpenOptions};
use std::path::Path;

fn shape() -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { codec: Codec::Plain, ..shape.lsm }, ..shape }
}

/// Changes a byte of the first block of a run.
fn damage(world: &World, sim: &Sim, file: FileId) {
    let path = RunHome::of(world.manager.store()).path(file);
    assert!(path.starts_with(Path::new(HOME)));
    let opened = sim.env().vfs.open(&path, OpenOptions::write(Create::No)).unwrap();
    let mut byte = [0];
    opened.read_at(4196, &mut byte).unwrap();
    opened.write_at(4196, &[byte[0] ^ 16]).unwrap();
}

#[test]
fn a_damaged_run_is_nothing_to_those_who_do_not_see_it() {
    let sim = Sim::new(1);
    let world = World::open(&sim, shape()).unwrap();
    world.put(&[5], b"old");
    world.sync();
    world.tree.flush().unwrap();
    let mut before = world.manager.begin();
    let files = world.tree.files();
    let mut txn = world.manager.begin();
    let rows: Vec<_> = (0..20u8).map(|number| (vec![number], vec![number; 50])).collect();
    ingest(&world.tree, &mut txn, &rows).unwrap();
    let new = world.tree.files();
    let file = new.difference(&files).next().copied().unwrap();
    damage(&world, &sim, file);

    let (mut value, other) = (Vec::new(), world.manager.begin());
    for view in [before.view(), other.view()] {
        assert_eq!(world.get(view, &[5]), Some(b"old".to_vec()));
        assert_eq!(world.get(view, &[6]), None);
        assert_eq!(try_rows(&world.tree, view).unwrap().len(), 1);
    }
    let told = Index::get_into(&world.tree, txn.view(), &[5], &mut value).unwrap_err();
    assert_eq!((told.kind(), told.place().file), (ErrorKind::Corruption, Some(file)));
    txn.commit().unwrap();
    assert_eq!(world.get(before.view(), &[5]), Some(b"old".to_vec()));
    assert!(world.tree.get_into(world.manager.begin().view(), &[5], &mut value).is_err());
    // Who began before must know whether the run has a row that it changes.
    let told = world.tree.put(&mut before, &[5], b"late").unwrap_err();
    assert_eq!((told.kind(), told.place().file), (ErrorKind::Corruption, Some(file)));
}

/// What was rolled back is no matter of writers either, though its run is still listed.
#[test]
fn a_damaged_run_that_came_to_nothing_is_in_no_writers_way() {
    let sim = Sim::new(2);
    let world = World::open(&sim, shape()).unwrap();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &[(vec![5], vec![1; 50]), (vec![7], vec![1; 50])]).unwrap();
    let file = world.tree.files().into_iter().next().unwrap();
    damage(&world, &sim, file);
    txn.abort().unwrap();
    assert_eq!(world.tree.files().len(), 1, "it is still there");
    let mut late = world.manager.begin();
    world.tree.put(&mut late, &[5], b"late").unwrap();
    assert!(!world.tree.delete(&mut late, &[7]).unwrap());
    late.commit().unwrap();
    world.sync();
    world.tree.flush().unwrap();
    assert_eq!(world.rows().len(), 1);
}
