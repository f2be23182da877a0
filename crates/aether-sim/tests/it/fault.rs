//! Each fault does what its name says.

use super::{durable, open, read};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::ErrorKind;
use aether_vfs::{Clock, Create, Mode, OpenOptions};
use std::path::Path;
use std::time::Duration;

fn fail(nth: u64, kind: OpKind, error: Errno, sticky: bool) -> Fault {
    Fault::FailOp { nth, kind, error, sticky }
}

#[test]
fn the_nth_call_fails_and_only_it() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"....");
    sim.inject(fail(1, OpKind::Write, Errno::Eio, false));
    let writes: Vec<bool> = (0..3).map(|at| file.write_at(at, b"x").is_ok()).collect();
    assert_eq!(writes, [true, false, true]);
    assert_eq!(read(&sim, "f").unwrap(), b"x.x.");
}

#[test]
fn a_sticky_failure_stays_until_healed() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"....");
    sim.inject(fail(1, OpKind::Sync, Errno::Enospc, true));
    file.sync().unwrap();
    for _ in 0..2 {
        assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Full);
    }
    sim.heal();
    file.sync().unwrap();
}

#[test]
fn every_kind_can_fail_and_does_nothing() {
    use OpKind::*;
    for kind in [Write, Sync, SetSize, Create, Remove, Rename, CreateDir, SyncDir, Open, Read, Any] {
        let sim = Sim::new(1);
        let file = durable(&sim, "f", b"kept");
        let vfs = sim.env().vfs;
        sim.inject(fail(0, kind, Errno::Eio, true));
        let results = [
            (Write, file.write_at(0, b"x").is_err()),
            (SetSize, file.set_size(1).is_err()),
            (Sync, file.sync().is_err()),
            (Read, file.read_at(0, &mut [0]).is_err()),
            (Open, vfs.open(Path::new("f"), OpenOptions::read()).is_err()),
            (Create, vfs.open(Path::new("n"), OpenOptions::write(aether_vfs::Create::New)).is_err()),
            (CreateDir, vfs.create_dir(Path::new("d")).is_err()),
            (Rename, vfs.rename(Path::new("f"), Path::new("g")).is_err()),
            (SyncDir, vfs.sync_dir(Path::new("/")).is_err()),
            (Remove, vfs.remove(Path::new("g")).is_err()),
        ];
        for (of, failed) in results {
            let expected = of == kind
                || kind == Any && of.is_counted()
                || kind == Open && of == Create
                || of == Remove && kind == Rename;
            assert_eq!(failed, expected, "{of:?} under a failing {kind:?}");
        }
        sim.heal();
        if kind == Any {
            assert_eq!(read(&sim, "f").unwrap(), b"kept");
        }
    }
}

#[test]
fn too_many_open_files_is_an_io_error() {
    let sim = Sim::new(1);
    sim.inject(fail(0, OpKind::Open, Errno::Emfile, false));
    let error = sim.env().vfs.open(Path::new("f"), OpenOptions::write(Create::New)).err().unwrap();
    assert!(error.kind() == ErrorKind::Io && error.place().path.is_some(), "{error}");
}

#[test]
fn a_failed_sync_drops_what_the_next_one_seems_to_save() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"old");
    file.write_at(0, b"new").unwrap();
    sim.inject(Fault::FailSyncDropsDirty { nth: 0 });
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Io);
    file.sync().unwrap();
    assert_eq!(read(&sim, "f").unwrap(), b"new");
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f").unwrap(), b"old");
    file.write_at(2, b"!").unwrap();
    file.sync().unwrap();
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f").unwrap(), b"ol!");
}

#[test]
fn a_full_disk_takes_what_fits_and_overwrites() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", &[1; 4096]);
    sim.inject(Fault::DiskFull { bytes_left: 4096 });
    file.write_at(0, &[2; 8192]).unwrap();
    let error = file.write_at(8000, &[3; 1000]).unwrap_err();
    assert_eq!((error.kind(), error.place().offset), (ErrorKind::Full, Some(8000)));
    assert_eq!(file.size().unwrap(), 8192);
    file.write_at(100, &[4; 5000]).unwrap();
    file.set_size(1 << 20).unwrap();
    assert!(file.write_at(1 << 19, &[5]).is_err());
    file.set_size(4096).unwrap();
    file.write_at(1 << 19, &[5]).unwrap();
    assert!(open(&sim, "g").write_at(0, &[6]).is_err());
    sim.env().vfs.remove(Path::new("f")).unwrap();
    open(&sim, "g").write_at(0, &[6; 8192]).unwrap();
    sim.heal();
    open(&sim, "g").write_at(0, &[6; 65_536]).unwrap();
}

#[test]
fn space_on_an_image_is_what_the_survivors_leave() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", &[1; 4096]);
    sim.inject(Fault::DiskFull { bytes_left: 4096 });
    file.write_at(4096, &[1; 4096]).unwrap();
    assert!(open(&sim.crash_image(CrashPolicy::KeepAll), "g").write_at(0, &[1]).is_err());
    open(&sim.crash_image(CrashPolicy::LoseAll), "g").write_at(0, &[1]).unwrap();
}

#[test]
fn reads_fail_once() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"1234");
    sim.inject(Fault::FailRead { nth: 1 });
    let reads: Vec<bool> = (0..3).map(|at| file.read_at(at, &mut [0]).is_ok()).collect();
    assert_eq!(reads, [true, false, true]);
}

#[test]
fn a_short_write_leaves_its_first_half() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"........");
    sim.inject(Fault::ShortWrite { nth: 0 });
    assert_eq!(file.write_at(2, b"abcd").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(read(&sim, "f").unwrap(), b"..ab....");
}

#[test]
fn a_misdirected_write_lands_beside_its_place() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"aabbcc");
    sim.inject(Fault::Misdirect { nth: 0 });
    file.write_at(4, b"XX").unwrap();
    sim.inject(Fault::Misdirect { nth: 0 });
    file.write_at(0, b"YY").unwrap();
    assert_eq!(read(&sim, "f").unwrap(), b"aaYYcc");
}

#[test]
fn a_lost_write_is_acknowledged_and_gone() {
    let sim = Sim::new(1);
    durable(&sim, "f", b"old");
    let options = OpenOptions::write(Create::No).with_mode(Mode::DirectDurable);
    let file = sim.env().vfs.open(Path::new("f"), options).unwrap();
    sim.inject(Fault::LoseWrite { nth: 0 });
    file.write_at(0, b"newer").unwrap();
    file.sync().unwrap();
    assert_eq!(read(&sim, "f").unwrap(), b"old\0\0");
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f").unwrap(), b"old\0\0");
}

#[test]
fn a_flipped_bit_is_stored() {
    let sim = Sim::new(1);
    durable(&sim, "f", &[0; 10]);
    sim.inject(Fault::FlipBit { path: "f".into(), byte: 9, bit: 3 });
    sim.inject(Fault::FlipBit { path: "f".into(), byte: 10, bit: 3 });
    sim.inject(Fault::FlipBit { path: "none".into(), byte: 0, bit: 0 });
    for machine in [sim.clone(), sim.crash_image(CrashPolicy::LoseAll)] {
        assert_eq!(read(&machine, "f").unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
    }
}

#[test]
fn slow_operations_take_simulated_time() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"");
    sim.inject(Fault::SlowOps { pause: Duration::from_millis(20) });
    file.write_at(0, b"x").unwrap();
    file.sync().unwrap();
    assert_eq!(sim.clock().now(), Duration::from_millis(40));
}

#[test]
fn a_stale_read_shows_what_was_replaced_and_only_once() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"aabbcc");
    sim.inject(Fault::StaleRead { nth: 1 });
    file.write_at(2, b"XX").unwrap();
    file.sync().unwrap();
    let look = || {
        let mut bytes = [0; 6];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    assert_eq!([look(), look(), look()], [*b"aaXXcc", *b"aabbcc", *b"aaXXcc"]);
}

#[test]
fn a_stale_read_of_a_part_shows_that_part() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"aabbcc");
    sim.inject(Fault::StaleRead { nth: 0 });
    file.write_at(1, b"XYZ").unwrap();
    let mut bytes = [0; 3];
    file.read_at(3, &mut bytes).unwrap();
    assert_eq!(&bytes, b"bcc");
}

#[test]
fn handles_run_out_and_come_back() {
    let sim = Sim::new(1);
    sim.inject(Fault::FewHandles { most: 2 });
    let (first, _second) = (open(&sim, "f"), open(&sim, "g"));
    let third = || sim.env().vfs.open(Path::new("h"), OpenOptions::write(Create::IfMissing));
    let error = third().err().unwrap();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("open files"), "{error}");
    assert_eq!((sim.struck(OpKind::Open), read(&sim.fork(), "h")), (1, None));
    assert_eq!(sim.handles(), 2);
    drop(first);
    assert_eq!(sim.handles(), 1);
    third().unwrap();
    sim.heal();
    let _many: Vec<_> = (0..9).map(|_| open(&sim, "f")).collect();
}

#[test]
fn space_can_be_given_back() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", &[1; 4096]);
    sim.inject(Fault::DiskFull { bytes_left: 0 });
    assert!(file.write_at(4096, &[2]).is_err());
    sim.give_space(4096);
    file.write_at(4096, &[2]).unwrap();
    assert!(file.write_at(8192, &[2]).is_err());
    assert_eq!(sim.used_bytes(), 8192);
}

#[test]
fn calls_and_strikes_are_counted() {
    let sim = Sim::new(1);
    let file = open(&sim, "f");
    sim.inject(fail(1, OpKind::Write, Errno::Eio, false));
    let _ = (0..3).map(|_| file.write_at(0, b"x").is_ok()).collect::<Vec<_>>();
    let _ = file.read_at(0, &mut [0]);
    assert_eq!((sim.calls(OpKind::Write), sim.struck(OpKind::Write), sim.struck(OpKind::Sync)), (3, 1, 0));
    assert_eq!((sim.calls(OpKind::Read), sim.calls(OpKind::Any)), (1, sim.op_count()));
}

#[test]
fn listing_a_directory_can_fail() {
    let sim = Sim::new(1);
    sim.inject(fail(0, OpKind::List, Errno::Eio, false));
    assert!(sim.env().vfs.list(Path::new("/")).is_err());
    assert!(sim.env().vfs.list(Path::new("/")).is_ok());
}

/// Starts `call` in a thread and waits until it is stuck.
fn start_stuck<T: Send + 'static>(
    sim: &Sim,
    call: impl FnOnce() -> T + Send + 'static,
) -> aether_sync::thread::JoinHandle<T> {
    let thread = aether_sync::thread::spawn("stuck", call);
    while sim.stuck() == 0 {
        aether_sync::thread::yield_now();
    }
    thread
}

#[test]
fn a_stuck_sync_holds_up_nobody_else() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"old");
    file.write_at(0, b"new").unwrap();
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Sync });
    let stuck = start_stuck(&sim, move || file.sync().is_ok());
    let other = durable(&sim, "g", b"other");
    other.sync().unwrap();
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"old");
    sim.release();
    assert!(stuck.join().unwrap());
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), b"new");
}

#[test]
fn a_power_cut_frees_who_is_stuck() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", b"text");
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Read });
    let stuck = start_stuck(&sim, move || file.read_at(0, &mut [0]).is_err());
    sim.cut_power_at(sim.op_count());
    assert!(sim.env().vfs.sync_dir(Path::new("/")).is_err());
    assert!(stuck.join().unwrap());
}
