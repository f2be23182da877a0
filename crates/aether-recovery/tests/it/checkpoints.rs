//! Checkpoints as the rest of the engine meets them: how much log a restart reads, and what is written for that.

use crate::world::{World, config};
use aether_recovery::StoreConfig;
use aether_sim::OpKind;

fn bounded(streams: usize, max_recovery_bytes: u64) -> StoreConfig {
    StoreConfig { max_recovery_bytes, ..config(streams, 1) }
}

#[test]
fn a_checkpoint_now_leaves_no_log_to_read() {
    let world = World::new(config(2, 1));
    let cells = world.cells(8);
    (0..2000).for_each(|number| _ = world.set(number as u8 % 2, cells[number as usize % 8], number));
    let before = world.store.checkpoint_stats();
    world.store.checkpoint().unwrap();
    let after = world.store.checkpoint_stats();
    assert_eq!(after.checkpoints, before.checkpoints + 1);
    // Its own record, and what fills the block that it stands in.
    assert!(before.log_bytes > 2000 * 16 && after.log_bytes <= 2 * 4096, "{before:?}, {after:?}");
    let again = world.after_cut(config(2, 1)).unwrap();
    assert_eq!((again.report.groups, again.report.pages_redone), (0, 0));
    assert_eq!(again.all(&cells), [1992, 1993, 1994, 1995, 1996, 1997, 1998, 1999]);
}

/// Only what is old is written back: a page that is changed all the time is not written for each checkpoint anew.
#[test]
fn the_newest_half_of_the_log_is_kept() {
    for streams in [1, 2] {
        let bound = 1 << 18;
        let world = World::new(bounded(streams, bound));
        let cells = world.cells(64);
        let mut most = 0;
        for number in 0..20_000 {
            world.set(number as u8 % streams as u8, cells[number as usize % 64], number);
            most = most.max(world.store.checkpoint_stats().log_bytes);
        }
        assert!(most <= bound, "{most} bytes to redo, {streams} streams");
        assert!(most >= bound / 2, "{most} bytes to redo, {streams} streams");
        assert!(world.store.checkpoint_stats().checkpoints > 8);
    }
}

#[test]
fn a_store_that_is_only_read_is_left_as_it_is() {
    let world = World::new(config(1, 1));
    let cell = world.cell();
    world.store.close().unwrap();
    let again = world.after_cut(config(1, 1)).unwrap();
    assert_eq!(again.get(cell).unwrap(), 0);
    let before = again.sim.calls(OpKind::Write);
    again.store.close().unwrap();
    assert_eq!(again.sim.calls(OpKind::Write), before);
}

/// What has been checkpointed is not in the way of the disk.
#[test]
fn log_that_no_restart_needs_is_removed() {
    let world = World::new(bounded(1, 1 << 18));
    let cells = world.cells(4);
    (0..40_000).for_each(|number| _ = world.set(0, cells[number as usize % 4], number));
    let log = world.store.log().unwrap();
    let bytes = log.positions().get(crate::world::stream(0)).get();
    assert!(bytes > 1 << 20, "{bytes}");
    assert!(world.sim.used_bytes() < 1 << 20, "{} bytes of files", world.sim.used_bytes());
}

#[test]
fn the_control_file_forgets_incarnations_that_the_log_outlived() {
    let mut world = World::new(bounded(1, 1 << 18));
    let cell = world.cell();
    for number in 0..400 {
        world.set(0, cell, number);
        world.store.checkpoint().unwrap();
        world = world.after_cut(bounded(1, 1 << 18)).unwrap();
        assert_eq!(world.get(cell).unwrap(), number);
    }
}
