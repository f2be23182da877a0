//! The conformance suite over the two file systems of this crate, and what only the real one has.

#![allow(clippy::unwrap_used)]

use aether_sync::{Arc, thread};
use aether_vfs::{
    AlignedBuf, Create, Env, MemoryVfs, Mode, OpenOptions, RealVfs, Vfs, conformance, read_file,
};
use proptest::prelude::*;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn the_memory_file_system_conforms() {
    conformance::run(|| (Arc::new(MemoryVfs::new()), PathBuf::from("/")));
}

fn real_conforms_in(base: &Path) {
    let dir = tempfile::tempdir_in(base).unwrap();
    let count = Cell::new(0);
    conformance::run(|| {
        let place = dir.path().join(count.replace(count.get() + 1).to_string());
        RealVfs::new().create_dir(&place).unwrap();
        (Arc::new(RealVfs::new()), place)
    });
}

#[test]
fn the_real_file_system_conforms() {
    real_conforms_in(&std::env::temp_dir());
}

#[test]
fn the_real_file_system_conforms_where_direct_transfer_may_be_refused() {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() {
        real_conforms_in(shared_memory);
    }
}

#[test]
fn environments_are_complete() {
    for env in [Env::real(), Env::memory()] {
        let mut bytes = [0; 16];
        env.entropy.fill(&mut bytes);
        assert_ne!(bytes, [0; 16]);
        assert!(env.clock.now() <= env.clock.now());
        assert!(env.vfs.list(Path::new("/")).is_ok());
    }
}

#[test]
fn a_lock_is_free_after_a_killed_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let holder = Command::new("flock").arg("--no-fork").arg(&path).args(["sleep", "60"]).spawn();
    let Ok(mut holder) = holder else { return };
    let becomes = |free: bool| {
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            let file = RealVfs::new().open(&path, OpenOptions::write(Create::IfMissing)).unwrap();
            file.lock("me").is_ok() == free
        })
    };
    let was_held = becomes(false);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(was_held && becomes(true));
}

#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, len: usize, byte: u8 },
    SetSize(u64),
    Read { at: u64, len: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let at = (0u64..6).prop_map(|block| block * 4096).boxed().prop_union((0u64..20_000).boxed());
    let len = prop_oneof![Just(4096usize), Just(8192), 0usize..5000];
    prop_oneof![
        3 => (at.clone(), len.clone(), any::<u8>()).prop_map(|(at, len, byte)| Step::Write { at, len, byte }),
        1 => (0u64..30_000).prop_map(Step::SetSize),
        2 => (at, len).prop_map(|(at, len)| Step::Read { at, len }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_mode_equals_memory(steps in proptest::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryVfs::new();
        for mode in [Mode::Buffered, Mode::Direct, Mode::DirectDurable] {
            let name = format!("{mode:?}");
            let options = OpenOptions::write(Create::New).with_mode(mode);
            let real = RealVfs::new().open(&dir.path().join(&name), options).unwrap();
            let model = memory.open(Path::new(&name), options).unwrap();
            let mut buf = AlignedBuf::new(8192);
            for step in &steps {
                match *step {
                    Step::Write { at, len, byte } => {
                        buf.fill(byte);
                        real.write_at(at, &buf[..len]).unwrap();
                        model.write_at(at, &buf[..len]).unwrap();
                    }
                    Step::SetSize(size) => {
                        real.set_size(size).unwrap();
                        model.set_size(size).unwrap();
                    }
                    Step::Read { at, len } => {
                        let mut other = AlignedBuf::new(8192);
                        let read = real.read_at(at, &mut buf[..len]).unwrap();
                        prop_assert_eq!(read, model.read_at(at, &mut other[..len]).unwrap());
                        prop_assert_eq!(&buf[..read], &other[..read]);
                    }
                }
                prop_assert_eq!(real.size().unwrap(), model.size().unwrap());
            }
            let whole = read_file(&RealVfs::new(), &dir.path().join(&name)).unwrap();
            prop_assert_eq!(whole, read_file(&memory, Path::new(&name)).unwrap());
        }
    }
}
