//! A small append-only store, and how its author tests it: cut the power at every operation, open every image.
//!
//! The store is one file of records, each with a checksum, and a promise: an appended record lasts once `append` has
//! returned. [`Mistake`] lists what authors get wrong. `cargo run -p aether-sim --example append_only_store` shows that
//! the store without a mistake keeps its promise in every image, and how many images betray each mistake.

use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_sync::Arc;
use aether_types::{Error, ErrorKind, Result, checksum};
use aether_vfs::{Create, Env, File, OpenOptions, read_file, write_file_durably};
use std::path::Path;

const HOME: &str = "/store";
const PATH: &str = "/store/records";
/// Length of the text (4), checksum (8).
const HEAD_BYTES: usize = 12;

/// What the author forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// To sync the file.
    NoSync,
    /// To sync the directory after creating the file.
    NoDirectorySync,
    /// To look at the checksum.
    NoChecksum,
    /// To write over what a crash has torn: the next record goes behind it, where no reader gets to.
    AppendBehindTorn,
    /// To stop after a sync has failed: the next sync succeeds, with the bytes gone.
    RetrySync,
    /// To write what was found to a new file: after a failed sync and a restart it may be in the system's cache only.
    /// Writing it again in place would endanger it: a power cut may zero what is being written.
    TrustCache,
}

/// The store.
pub struct Store {
    file: Arc<dyn File>,
    end: u64,
    records: Vec<Vec<u8>>,
    mistake: Option<Mistake>,
    is_broken: bool,
}

impl Store {
    /// Opens the store, or creates it; reads every record and forgets what a crash has torn. What it shows, lasts.
    pub fn open(env: &Env, mistake: Option<Mistake>) -> Result<Self> {
        match env.vfs.create_dir(Path::new(HOME)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = Path::new(PATH);
        let found = match read_file(&*env.vfs, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (records, whole) = parse(&found, mistake != Some(Mistake::NoChecksum));
        let end = if mistake == Some(Mistake::AppendBehindTorn) { found.len() } else { whole };
        if !found.is_empty() && mistake != Some(Mistake::TrustCache) {
            write_file_durably(&*env.vfs, path, &found[..end])?;
        }
        let file = env.vfs.open(path, OpenOptions::write(Create::IfMissing))?;
        if mistake != Some(Mistake::NoDirectorySync) {
            env.vfs.sync_dir(Path::new(HOME))?;
            env.vfs.sync_dir(Path::new("/"))?;
        }
        Ok(Self { file, end: end as u64, records, mistake, is_broken: false })
    }

    /// Appends a record. When this returns, the record lasts. After an error the store is to be opened again.
    pub fn append(&mut self, text: &[u8]) -> Result<()> {
        if self.is_broken && self.mistake != Some(Mistake::RetrySync) {
            return Err(Error::new(ErrorKind::Poisoned, "an earlier append has failed"));
        }
        self.is_broken = true;
        self.try_append(text)?;
        self.is_broken = false;
        self.records.push(text.to_vec());
        Ok(())
    }

    fn try_append(&mut self, text: &[u8]) -> Result<()> {
        let length = (text.len() as u32).to_le_bytes();
        let sum = checksum(self.end, &[&length, text].concat()).to_le_bytes();
        let record = [&length[..], &sum, text].concat();
        self.file.write_at(self.end, &record)?;
        if self.mistake == Some(Mistake::RetrySync) {
            self.file.sync().or_else(|_| self.file.sync())?;
        } else if self.mistake != Some(Mistake::NoSync) {
            self.file.sync()?;
        }
        self.end += record.len() as u64;
        Ok(())
    }

    /// The texts of all records.
    pub fn records(&self) -> &[Vec<u8>] {
        &self.records
    }
}

/// The records up to the first that is not whole, and where that is. The seed of a checksum is its place: a record
/// that is found elsewhere is none.
fn parse(bytes: &[u8], checked: bool) -> (Vec<Vec<u8>>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((text, length)) = record(&bytes[at..], at as u64, checked) {
        records.push(text);
        at += length;
    }
    (records, at)
}

fn record(bytes: &[u8], at: u64, checked: bool) -> Option<(Vec<u8>, usize)> {
    let length = bytes.get(..4)?;
    let sum = bytes.get(4..HEAD_BYTES)?;
    let end = HEAD_BYTES + u32::from_le_bytes(length.try_into().ok()?) as usize;
    let text = bytes.get(HEAD_BYTES..end)?;
    let is_right = !text.is_empty() && sum == checksum(at, &[length, text].concat()).to_le_bytes();
    (is_right || !checked && !text.is_empty()).then(|| (text.to_vec(), end))
}

/// Opens the store twice and appends; the records that are to last. None if the store breaks its promise already.
fn work(sim: &Sim, mistake: Option<Mistake>) -> Option<Vec<Vec<u8>>> {
    let mut promised = Vec::new();
    for round in 0..2 {
        let Ok(mut store) = Store::open(&sim.env(), mistake) else { break };
        if !is_right(store.records(), &promised) {
            return None;
        }
        promised = store.records().to_vec();
        for number in 0..4 {
            let text = format!("record {round}.{number} {}", "x".repeat(700)).into_bytes();
            if store.append(&text).is_ok() {
                promised.push(text);
            }
        }
    }
    Some(promised)
}

/// Everything promised, and at most the record that was under way.
fn is_right(found: &[Vec<u8>], promised: &[Vec<u8>]) -> bool {
    let known = |text: &Vec<u8>| text.starts_with(b"record ") && text.ends_with(b"xxx");
    found.starts_with(promised) && found.len() <= promised.len() + 1 && found.iter().all(known)
}

/// True if the store opens on `image`, shows what was promised, at most one record more, takes another, and shows that
/// one as well when it is opened again.
fn is_good(image: &Sim, promised: Option<&[Vec<u8>]>, mistake: Option<Mistake>) -> bool {
    let Some(promised) = promised else { return false };
    let look = || -> Result<bool> {
        let mut store = Store::open(&image.env(), mistake)?;
        let found = store.records().to_vec();
        store.append(b"one more")?;
        let again = Store::open(&image.env(), mistake)?;
        let kept = again.records().starts_with(&found) && again.records()[found.len()..] == [b"one more"];
        Ok(kept && is_right(&found, promised))
    };
    look().unwrap_or(false)
}

/// Cuts the power at every operation; how many images there were and how many of them are bad.
pub fn power_cuts(mistake: Option<Mistake>) -> (usize, usize) {
    let (mut images, mut bad) = (0, 0);
    for cut in 0.. {
        let sim = Sim::new(1);
        sim.cut_power_at(cut);
        let promised = work(&sim, mistake);
        for policy in CrashPolicy::all(cut) {
            images += 1;
            bad += usize::from(!is_good(&sim.crash_image(policy), promised.as_deref(), mistake));
        }
        if !sim.is_off() {
            break;
        }
    }
    (images, bad)
}

/// Lets every operation fail once, as syncs fail on Linux and otherwise with EIO, and cuts the power at the end.
pub fn failures(mistake: Option<Mistake>) -> (usize, usize) {
    let (mut images, mut bad) = (0, 0);
    let any = |nth| Fault::FailOp { nth, kind: OpKind::Any, error: Errno::Eio, sticky: false };
    for fault in (0..30).flat_map(|nth| [any(nth), Fault::FailSyncDropsDirty { nth }]) {
        let sim = Sim::new(1);
        sim.inject(fault);
        let promised = work(&sim, mistake);
        images += 1;
        let image = sim.crash_image(CrashPolicy::KeepAll);
        bad += usize::from(!is_good(&image, promised.as_deref(), mistake));
    }
    (images, bad)
}

#[allow(clippy::print_stdout)]
fn main() {
    use Mistake::*;
    let mistakes = [NoSync, NoDirectorySync, NoChecksum, AppendBehindTorn, RetrySync, TrustCache];
    for mistake in [None].into_iter().chain(mistakes.map(Some)) {
        let ((cuts, bad_cuts), (faults, bad_faults)) = (power_cuts(mistake), failures(mistake));
        println!("{mistake:?}: {bad_cuts} of {cuts} images bad, {bad_faults} of {faults} after failures");
    }
}
