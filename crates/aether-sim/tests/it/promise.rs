//! Whatever is done, in any order: what the contract promises survives every policy.
//!
//! The oracle here knows the contract only: which bytes were promised by a sync or a durable write and not touched
//! since, and which names by a directory's sync. Every file starts with a tag of its own that is never overwritten.

use aether_sim::{CrashPolicy, Sim};
use aether_vfs::{Create, Mode, OpenOptions, read_file};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const TAG: usize = 512;
const SLOTS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Write { slot: usize, at: usize, len: usize, byte: u8, durable: bool },
    SetSize { slot: usize, size: usize },
    Sync(usize),
    Rename(usize, usize),
    Remove(usize),
    SyncDir(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    let write = (slot.clone(), 0usize..6000, 1usize..3000, any::<u8>(), any::<bool>());
    prop_oneof![
        2 => slot.clone().prop_map(Step::Create),
        4 => write.prop_map(|(slot, at, len, byte, durable)| Step::Write { slot, at: TAG + at, len, byte, durable }),
        1 => (slot.clone(), 0usize..8000).prop_map(|(slot, size)| Step::SetSize { slot, size: TAG + size }),
        2 => slot.clone().prop_map(Step::Sync),
        2 => (slot.clone(), slot.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => slot.prop_map(Step::Remove),
        2 => (0..2usize).prop_map(Step::SyncDir),
    ]
}

/// Slots 0 and 1 lie in the root, the others in a directory.
fn path(slot: usize) -> PathBuf {
    PathBuf::from(["/a", "/b", "/d/a", "/d/b"][slot])
}

#[derive(Default)]
struct Oracle {
    /// Which file each slot leads to.
    slots: BTreeMap<usize, u8>,
    /// The bytes of each file; promised ones as `Some`.
    live: BTreeMap<u8, Vec<u8>>,
    promised: BTreeMap<u8, Vec<Option<u8>>>,
    /// Slots that are as the last sync of their directory saw them.
    settled: BTreeSet<usize>,
    /// Files whose name was durable once and that were never removed or replaced.
    rooted: BTreeSet<u8>,
    next: u8,
}

impl Oracle {
    fn unsettle(&mut self, slot: usize) {
        self.settled.remove(&slot);
    }

    fn drop_file(&mut self, slot: usize) {
        if let Some(file) = self.slots.remove(&slot) {
            self.rooted.remove(&file);
        }
        self.unsettle(slot);
    }

    fn write(&mut self, file: u8, at: usize, bytes: &[u8], durable: bool) {
        let (live, promised) = (self.live.get_mut(&file).unwrap(), self.promised.get_mut(&file).unwrap());
        live.resize(live.len().max(at + bytes.len()), 0);
        live[at..at + bytes.len()].copy_from_slice(bytes);
        promised.resize(live.len().max(promised.len()), None);
        for (promise, byte) in promised[at..at + bytes.len()].iter_mut().zip(bytes) {
            *promise = durable.then_some(*byte);
        }
    }

    fn set_size(&mut self, file: u8, size: usize) {
        self.live.get_mut(&file).unwrap().resize(size, 0);
        self.promised.get_mut(&file).unwrap().truncate(size);
    }

    fn sync(&mut self, file: u8) {
        let promised = self.live[&file].iter().map(|byte| Some(*byte)).collect();
        self.promised.insert(file, promised);
    }

    fn sync_dir(&mut self, slots: &[usize]) {
        self.settled.extend(slots);
        self.rooted.extend(slots.iter().filter_map(|slot| self.slots.get(slot)));
    }
}

struct Run {
    sim: Sim,
    oracle: Oracle,
}

impl Run {
    fn new() -> Self {
        let sim = Sim::new(1);
        sim.env().vfs.create_dir(Path::new("/d")).unwrap();
        sim.env().vfs.sync_dir(Path::new("/")).unwrap();
        Self { sim, oracle: Oracle::default() }
    }

    fn write(&mut self, slot: usize, at: usize, bytes: &[u8], durable: bool) {
        let mode = if durable { Mode::DirectDurable } else { Mode::Direct };
        let options = OpenOptions::write(Create::No).with_mode(mode);
        self.sim.env().vfs.open(&path(slot), options).unwrap().write_at(at as u64, bytes).unwrap();
        self.oracle.write(self.oracle.slots[&slot], at, bytes, durable);
    }

    fn create(&mut self, slot: usize) {
        let file = self.oracle.next;
        self.oracle.next += 1;
        self.sim.env().vfs.open(&path(slot), OpenOptions::write(Create::New)).unwrap();
        self.oracle.slots.insert(slot, file);
        self.oracle.live.insert(file, Vec::new());
        self.oracle.promised.insert(file, Vec::new());
        self.oracle.unsettle(slot);
        self.write(slot, 0, &[file; TAG], true);
    }

    fn apply(&mut self, step: &Step) {
        let vfs = self.sim.env().vfs;
        let has = |slot: &usize| self.oracle.slots.contains_key(slot);
        let open = |slot| vfs.open(&path(slot), OpenOptions::write(Create::No)).unwrap();
        match *step {
            Step::Create(slot) if !has(&slot) => self.create(slot),
            Step::Write { slot, at, len, byte, durable } if has(&slot) => {
                self.write(slot, at, &vec![byte; len], durable);
            }
            Step::SetSize { slot, size } if has(&slot) => {
                open(slot).set_size(size as u64).unwrap();
                self.oracle.set_size(self.oracle.slots[&slot], size);
            }
            Step::Sync(slot) if has(&slot) => {
                open(slot).sync().unwrap();
                self.oracle.sync(self.oracle.slots[&slot]);
            }
            Step::Rename(from, to) if has(&from) && from != to => {
                vfs.rename(&path(from), &path(to)).unwrap();
                self.oracle.drop_file(to);
                let file = self.oracle.slots.remove(&from).unwrap();
                self.oracle.slots.insert(to, file);
                self.oracle.unsettle(from);
            }
            Step::Remove(slot) if has(&slot) => {
                vfs.remove(&path(slot)).unwrap();
                self.oracle.drop_file(slot);
            }
            Step::SyncDir(0) => {
                vfs.sync_dir(Path::new("/")).unwrap();
                self.oracle.sync_dir(&[0, 1]);
            }
            Step::SyncDir(_) => {
                vfs.sync_dir(Path::new("/d")).unwrap();
                self.oracle.sync_dir(&[2, 3]);
            }
            _ => {}
        }
    }

    fn check(&self, policy: CrashPolicy) {
        let image = self.sim.crash_image(policy).env();
        let found: BTreeMap<usize, Vec<u8>> =
            (0..SLOTS).filter_map(|slot| Some((slot, read_file(&*image.vfs, &path(slot)).ok()?))).collect();
        for slot in &self.oracle.settled {
            let tag = found.get(slot).map(|bytes| bytes[0]);
            assert_eq!(tag, self.oracle.slots.get(slot).copied(), "the name {slot} under {policy:?}");
        }
        for file in &self.oracle.rooted {
            let copies = found.values().filter(|bytes| bytes[0] == *file).count();
            assert_eq!(copies, 1, "file {file} under {policy:?}");
        }
        for bytes in found.values() {
            self.check_bytes(bytes, policy);
        }
    }

    fn check_bytes(&self, bytes: &[u8], policy: CrashPolicy) {
        assert!(bytes.len() >= TAG && bytes[..TAG].iter().all(|byte| *byte == bytes[0]));
        for (at, promise) in self.oracle.promised[&bytes[0]].iter().enumerate() {
            if let Some(byte) = promise {
                assert_eq!(bytes.get(at), Some(byte), "byte {at} of file {} under {policy:?}", bytes[0]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn promises_survive_every_policy(steps in proptest::collection::vec(step(), 1..40), seed in any::<u64>()) {
        let mut run = Run::new();
        for (round, step) in steps.iter().enumerate() {
            run.apply(step);
            for policy in CrashPolicy::all(seed ^ round as u64) {
                run.check(policy);
            }
        }
    }
}
