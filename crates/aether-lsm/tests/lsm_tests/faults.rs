//! Flushes and merges on disks that fail and fill up, at every call: an error of the right kind, nothing lost, and where the log
//! is not to blame it goes on once the trouble is over.

use crate::rng::Rng;
use crate::world::{Model, Shape, World};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::{Error, ErrorKind, Result};

/// Three runs, and rows in memory that are not in any.
fn filled(sim: &Sim) -> (World, Model) {
    let world = World::open(sim, Shape::of_streams(1)).unwrap();
    let (mut model, mut rng) = (Model::new(), Rng(11));
    for round in 0..4u8 {
        for _ in 0..12 {
            let key = vec![b'k', rng.below(20) as u8];
            if rng.below(4) == 0 {
                assert_eq!(world.delete(&key), model.remove(&key).is_some());
            } else {
                let bytes = [60, 60, 400, 6000][rng.below(4) as usize];
                world.put(&key, &vec![round; bytes]);
                model.insert(key, vec![round; bytes]);
            }
        }
        world.sync();
        if round < 3 {
            world.tree.flush().unwrap();
        }
    }
    (world, model)
}

/// A flush and all merges.
fn work(world: &World) -> Result<()> {
    world.tree.flush()?;
    world.tree.merge_all()?;
    world.manager.collect()
}

/// Nothing is lost, now and after a restart of either kind; true if the store still takes changes.
fn judge(sim: &Sim, world: &World, model: &Model, failed: &Error) -> bool {
    assert_eq!(world.rows(), *model, "after {failed}");
    sim.heal();
    let goes_on = world.store.check_healthy().is_ok();
    if goes_on {
        work(world).unwrap_or_else(|error| panic!("after {failed}: {error}"));
        assert_eq!(world.rows(), *model);
        assert_eq!(world.problems(), Vec::<String>::new());
    }
    for image in [sim.kill_image(), sim.crash_image(CrashPolicy::LoseAll)] {
        let again = World::open(&image, Shape::of_streams(1)).unwrap();
        assert_eq!(again.rows(), *model, "a restart after {failed}");
        assert_eq!(again.problems(), Vec::<String>::new());
        work(&again).unwrap();
        let (there, named) = again.run_files().unwrap();
        assert!(there.is_subset(&named), "{there:?} are there, {named:?} are named");
    }
    goes_on
}

#[test]
fn every_call_of_a_flush_and_of_merges_may_fail() {
    let (mut went_on, mut ended) = (0, 0);
    for kind in [OpKind::Open, OpKind::Write, OpKind::Sync, OpKind::SyncDir] {
        for nth in 0.. {
            for (error, wanted) in [(Errno::Eio, ErrorKind::Io), (Errno::Enospc, ErrorKind::Full)] {
                let sim = Sim::new(1);
                let (world, model) = filled(&sim);
                sim.inject(Fault::FailOp { nth, kind, error, sticky: false });
                match work(&world) {
                    Ok(()) => continue,
                    Err(failed) => {
                        let known = [wanted, ErrorKind::Poisoned, ErrorKind::InDoubt];
                        assert!(known.contains(&failed.kind()), "{kind:?} {nth}: {failed}");
                        let count =
                            if judge(&sim, &world, &model, &failed) { &mut went_on } else { &mut ended };
                        *count += 1;
                    }
                }
            }
            let sim = Sim::new(1);
            let (world, _) = filled(&sim);
            let before = sim.calls(kind);
            work(&world).unwrap();
            if before + nth >= sim.calls(kind) {
                break;
            }
        }
    }
    assert!(went_on > 20 && ended > 1, "{went_on} went on, {ended} ended writing");
}

#[test]
fn a_full_disk_is_told_and_it_goes_on_once_there_is_room() {
    let mut full = 0;
    for bytes_left in (0..120_000).step_by(4096) {
        let sim = Sim::new(1);
        let (world, model) = filled(&sim);
        sim.inject(Fault::DiskFull { bytes_left });
        if let Err(failed) = work(&world) {
            full += 1;
            assert_eq!(failed.kind(), ErrorKind::Full, "{failed}");
            assert!(judge(&sim, &world, &model, &failed), "a full disk ends nothing: {failed}");
        }
    }
    assert!(full > 2, "{full} disks were full");
}
