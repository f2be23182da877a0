//! The power switch, forks, process death, history.

use super::{durable, names, open, read};
use aether_sim::{CrashPolicy, OpKind, Sim};
use aether_types::{ErrorKind, Result};
use aether_vfs::{Clock, Create, Env, Mode, OpenOptions, write_file_durably};
use std::path::Path;
use std::time::Duration;

#[test]
fn every_operation_counts_once_and_is_logged() {
    let sim = Sim::new(1);
    let vfs = sim.env().vfs;
    vfs.create_dir(Path::new("d")).unwrap();
    let file = open(&sim, "d/f");
    open(&sim, "d/f");
    file.write_at(9, b"xyz").unwrap();
    file.set_size(4).unwrap();
    file.sync().unwrap();
    file.read_at(0, &mut [0; 4]).unwrap();
    vfs.rename(Path::new("d/f"), Path::new("d/g")).unwrap();
    vfs.sync_dir(Path::new("d")).unwrap();
    vfs.remove(Path::new("d/g")).unwrap();
    assert!(vfs.remove(Path::new("d/g")).is_err());
    use OpKind::*;
    let kinds: Vec<_> = sim.log().iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [CreateDir, Create, Write, SetSize, Sync, Rename, SyncDir, Remove]);
    assert_eq!(sim.op_count(), kinds.len() as u64);
    assert_eq!(sim.log()[2].to_string(), "     2 Write d/f 9+3");
}

#[test]
fn after_the_cut_nothing_works() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"safe");
    sim.cut_power_at(sim.op_count() + 1);
    file.write_at(0, b"done").unwrap();
    let error = file.write_at(0, b"more").unwrap_err();
    assert!(sim.is_off() && error.kind() == ErrorKind::Io && error.what() == "power is off");
    assert!(file.sync().is_err() && file.read_at(0, &mut [0]).is_err() && file.size().is_err());
    assert!(file.lock("x").is_err() && sim.env().vfs.list(Path::new("/")).is_err());
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"safe");
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f").unwrap(), b"more");
}

#[test]
fn a_cut_in_the_past_is_now() {
    let sim = Sim::new(1);
    durable(&sim, "f", b"safe");
    sim.cut_power_at(0);
    assert!(sim.is_off());
    assert!(sim.env().vfs.remove(Path::new("f")).is_err());
}

#[test]
fn an_operation_in_flight_may_survive_and_a_sync_in_flight_may_not() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"old");
    file.write_at(0, b"new").unwrap();
    sim.cut_power_at(sim.op_count());
    assert!(file.sync().is_err());
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"old");
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f").unwrap(), b"new");
}

#[test]
fn durable_writes_last_when_they_return_and_tear_when_they_do_not() {
    let sim = Sim::new(1);
    durable(&sim, "f", &[1; 1024]);
    let options = OpenOptions::write(Create::No).with_mode(Mode::DirectDurable);
    let file = sim.env().vfs.open(Path::new("f"), options).unwrap();
    open(&sim, "f").write_at(0, &[9; 1024]).unwrap();
    file.write_at(512, &[2; 1024]).unwrap();
    let expected = [[1; 512], [2; 512], [2; 512]].concat();
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), expected);
    sim.cut_power_at(sim.op_count());
    assert!(file.write_at(512, &[3; 1024]).is_err());
    let torn = |seed| read(&sim.crash_image(CrashPolicy::LastTorn { seed }), "f").unwrap();
    assert!((0..64).map(torn).any(|image| image[512] == 2 && image[1024] == 3));
}

#[test]
fn process_death_keeps_what_was_written_and_frees_locks() {
    let sim = Sim::new(1);
    let file = open(&sim, "f");
    file.lock("first").unwrap();
    open(&sim, "g").write_at(0, b"cached").unwrap();
    let after = sim.kill_image();
    assert_eq!(read(&after, "g").unwrap(), b"cached");
    open(&after, "f").lock("second").unwrap();
    assert!(names(&after.crash_image(CrashPolicy::LoseAll)).is_empty());
}

#[test]
fn a_fork_is_apart_and_still_unsynced() {
    let sim = Sim::new(1);
    durable(&sim, "f", b"one").write_at(0, b"two").unwrap();
    let fork = sim.fork();
    assert_eq!((fork.op_count(), read(&fork, "f").unwrap()), (0, b"two".to_vec()));
    open(&fork, "f").write_at(0, b"six").unwrap();
    assert_eq!(read(&sim, "f").unwrap(), b"two");
    assert_eq!(read(&fork.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"one");
}

#[test]
fn an_image_is_a_machine_that_can_crash_again() {
    let sim = Sim::new(1);
    durable(&sim, "f", b"one").write_at(0, b"two").unwrap();
    sim.clock().advance(Duration::from_secs(1));
    let image = sim.crash_image(CrashPolicy::KeepAll);
    assert!(image.env().clock.now() == sim.clock().now() && image.op_count() == 0 && !image.is_off());
    open(&image, "f").write_at(0, b"six").unwrap();
    assert_eq!(read(&image.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"two");
}

#[test]
fn entropy_follows_from_the_seed_and_changes_after_a_restart() {
    let draw = |sim: &Sim| {
        let mut bytes = [0; 16];
        sim.env().entropy.fill(&mut bytes);
        bytes
    };
    assert_eq!(draw(&Sim::new(5)), draw(&Sim::new(5)));
    assert_ne!(draw(&Sim::new(5)), draw(&Sim::new(6)));
    assert_ne!(draw(&Sim::new(5)), draw(&Sim::new(5).crash_image(CrashPolicy::KeepAll)));
}

/// Runs a program with the power cut at every operation and judges every image; the number of bad ones.
fn bad_images(run: impl Fn(&Env) -> Result<()>, is_good: impl Fn(&Sim, bool) -> bool) -> usize {
    let mut bad = 0;
    for cut in 0.. {
        let sim = Sim::new(1);
        durable(&sim, "control", b"old");
        sim.cut_power_at(sim.op_count() + cut);
        let done = run(&sim.env()).is_ok();
        let images = CrashPolicy::all(cut).into_iter().map(|policy| sim.crash_image(policy));
        bad += images.filter(|image| !is_good(image, done)).count();
        if !sim.is_off() {
            return bad;
        }
    }
    bad
}

fn holds_old_or_new(image: &Sim, done: bool) -> bool {
    match read(image, "control").as_deref() {
        Some(b"new!") => true,
        Some(b"old") => !done,
        _ => false,
    }
}

#[test]
fn the_durable_replacement_survives_every_cut_and_worse_recipes_do_not() {
    let path = Path::new("control");
    let right = |env: &Env| write_file_durably(&*env.vfs, path, b"new!");
    assert_eq!(bad_images(right, holds_old_or_new), 0);

    let in_place = |env: &Env| {
        let file = env.vfs.open(path, OpenOptions::write(Create::No))?;
        file.write_at(0, b"new!")?;
        file.sync()
    };
    assert!(bad_images(in_place, holds_old_or_new) > 0);

    let without = |skip_sync: bool| {
        move |env: &Env| {
            let file = env.vfs.open(Path::new("t"), OpenOptions::write(Create::IfMissing))?;
            file.write_at(0, b"new!")?;
            if !skip_sync {
                file.sync()?;
            }
            env.vfs.rename(Path::new("t"), path)?;
            if skip_sync { env.vfs.sync_dir(Path::new("/")) } else { Ok(()) }
        }
    };
    assert!(bad_images(without(true), holds_old_or_new) > 0, "no sync of the file");
    assert!(bad_images(without(false), holds_old_or_new) > 0, "no sync of the directory");
}
