//! What a restart makes of the log: every change of every page, whoever logged it and whoever redoes it.

use crate::world::{HOME, World, config, stream};
use aether_recovery::Opening;
use aether_sim::{Fault, OpKind};
use aether_types::ErrorKind;
use std::path::Path;

/// Numbers that follow from a seed.
fn draws(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    }
}

#[test]
fn any_number_of_threads_redoes_all_streams() {
    for threads in [1, 2, 4] {
        let mut world = World::new(config(3, threads));
        let cells = world.cells(60);
        let (mut numbers, mut draw) = (vec![0; cells.len()], draws(threads as u64));
        for round in 0..3 {
            for number in 1..300 {
                let at = draw(60) as usize;
                numbers[at] = round * 1000 + number;
                world.set(draw(3) as u8, cells[at], numbers[at]);
            }
            world.sync();
            world = world.after_cut(config(3, threads)).unwrap();
            assert_eq!(world.all(&cells), numbers, "{threads} threads, round {round}");
            assert_eq!((world.report.redo_threads, world.report.clean), (threads, false));
            assert!(world.report.groups >= 299 && world.report.pages_redone >= 299);
            assert!(world.report.log_bytes > 299 * 16);
        }
    }
}

#[test]
fn what_the_file_has_is_not_done_again() {
    let world = World::new(config(1, 1));
    let cell = world.cell();
    world.set(0, cell, 1);
    world.store.pool().flush_all().unwrap();
    world.set(0, cell, 2);
    world.sync();
    let again = world.after_kill(config(1, 1)).unwrap();
    assert_eq!(again.get(cell).unwrap(), 2);
    // The cell twice, and the space map once, are there; the last change is not.
    assert_eq!((again.report.pages_skipped, again.report.pages_redone), (3, 1));
    assert_eq!(again.report.pages_waited, 0);
}

/// Sixteen neighbours that need their old bytes are loaded in one read.
#[test]
fn neighbours_are_read_together() {
    let world = World::new(config(1, 1));
    let cells = world.cells(64);
    world.store.checkpoint().unwrap();
    cells.iter().for_each(|cell| _ = world.set(0, *cell, 5));
    world.sync();
    let sim = world.sim.kill_image();
    let scanned = Opening::begin(sim.env(), Path::new(HOME), config(1, 1), true).unwrap().scan().unwrap();
    let before = sim.calls(OpKind::Read);
    let (_, _, report) = scanned.redo().unwrap().into_parts();
    assert_eq!(report.pages_redone, 64);
    let reads = sim.calls(OpKind::Read) - before;
    assert!(reads < 40, "{reads} reads for 64 neighbours");
}

/// Their old bytes are not in the file at all.
#[test]
fn pages_that_begin_a_life_are_not_read() {
    let world = World::new(config(1, 1));
    let cells = world.cells(64);
    world.sync();
    let again = world.after_kill(config(1, 1)).unwrap();
    // The space map is.
    let loads = again.store.pool().stats().loads;
    assert!(loads <= 2, "{loads} pages loaded");
    assert_eq!(again.all(&cells), [0; 64]);
}

/// A change that finds its page unreadable for the moment is no missing change.
#[test]
fn reads_that_fail_are_no_damage() {
    let world = World::new(config(1, 1));
    let cells = world.cells(3);
    world.store.checkpoint().unwrap();
    cells.iter().for_each(|cell| _ = world.set(0, *cell, 5));
    world.sync();
    let mut failed = 0;
    for (first, count) in (0..30_u64).flat_map(|first| [1, 2, 3, u64::MAX].map(|count| (first, count))) {
        let sim = world.sim.kill_image();
        let opening = Opening::begin(sim.env(), Path::new(HOME), config(1, 1), true).unwrap();
        let scanned = opening.scan().unwrap();
        (first..first.saturating_add(count).min(100)).for_each(|nth| sim.inject(Fault::FailRead { nth }));
        if let Err(error) = scanned.redo().map(drop) {
            assert_eq!(error.kind(), ErrorKind::Io, "{count} reads from {first} on: {error}");
            failed += 1;
        }
    }
    assert!(failed > 10);
}

#[test]
fn a_store_with_fewer_streams_redoes_those_of_before() {
    let world = World::new(config(3, 1));
    let cells = world.cells(3);
    for (through, cell) in cells.iter().enumerate() {
        world.set(through as u8, *cell, 7);
    }
    world.sync();
    let mut world = world.after_cut(config(1, 1)).unwrap();
    assert_eq!(world.all(&cells), [7; 3]);
    assert_eq!((world.store.streams(), world.losers.len()), (1, 0));
    assert_eq!(world.store.stream_in_use(stream(2)), stream(0));
    // The pages of stream 2 hold its log, until they are written.
    world.set(0, cells[0], 8);
    world.sync();
    world = world.after_cut(config(1, 1)).unwrap();
    assert_eq!(world.all(&cells), [8, 7, 7]);
}

#[test]
fn a_clean_end_leaves_nothing_to_redo() {
    let world = World::new(config(2, 2));
    let cells = world.cells(5);
    world.set(1, cells[4], 9);
    world.store.close().unwrap();
    let again = world.after_cut(config(2, 2)).unwrap();
    assert_eq!(again.all(&cells), [0, 0, 0, 0, 9]);
    assert!(again.report.clean && again.report.log_bytes == 0 && again.report.redo_threads == 0);
}
