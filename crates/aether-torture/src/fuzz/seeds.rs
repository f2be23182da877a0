//! The seeds of the corpora: pages, records, logs and rows as the engine makes them, the same every time.
//!
//! `aether-torture corpus DIRECTORY` writes them. Their names begin with `seed-`; what stands beside them in a corpus
//! was found by the fuzzer, or is the regression of a bug.

mod files;
mod log;

use super::run;
use super::store::{STORES, specimen};
use crate::damage::specimen::Specimen;
use crate::rng::{Rng, derive};
use aether_types::Writer;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// The seed that the stores and every choice follow from.
const SEED: u64 = 3;
/// Seeds of one kind at the most.
const EACH_MAX: usize = 12;
/// The stores that pages and records are taken from.
const SOURCES: [&str; 6] = [
    "kinds-stopped",
    "keyspaces-stopped",
    "extents-stopped",
    "shrunk-stopped",
    "checkpoint-stopped",
    "plain-closed",
];

/// Keys and values.
type Rows<'a> = &'a [(&'a [u8], &'a [u8])];

/// Seeds by name.
pub type Seeds = BTreeMap<String, Vec<u8>>;

/// The seeds of every target, by its name.
pub fn all() -> BTreeMap<&'static str, Seeds> {
    let sources = SOURCES.map(|name| specimen(name, SEED));
    BTreeMap::from([
        ("catalog", catalog()),
        ("checkpoint", named(files::checkpoints(&sources))),
        ("page", named(files::pages(&sources))),
        ("record", named(files::records(&sources))),
        ("run", runs()),
        ("segment", named(log::segments())),
        ("store", stores()),
    ])
}

/// How the names of seeds begin.
pub const PREFIX: &str = "seed-";

/// Writes the seeds of every target into its directory in `corpus`, in place of those that are there. Returns how many
/// there are.
///
/// # Errors
/// Of the files.
pub fn write(corpus: &Path) -> io::Result<usize> {
    let all = all();
    for (target, seeds) in &all {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        forget(&directory)?;
        seeds.iter().try_for_each(|(name, bytes)| fs::write(directory.join(name), bytes))?;
    }
    Ok(all.values().map(Seeds::len).sum())
}

/// Removes the seeds of before.
fn forget(directory: &Path) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Seeds of several kinds, named after their kind and numbered.
fn named(kinds: BTreeMap<&'static str, Vec<Vec<u8>>>) -> Seeds {
    let numbered = |(kind, seeds): (&'static str, Vec<Vec<u8>>)| {
        seeds.into_iter().enumerate().map(move |(at, bytes)| (format!("seed-{kind}-{at:02}"), bytes))
    };
    kinds.into_iter().flat_map(numbered).collect()
}

/// Of many, some that lie apart, the shortest of each neighbourhood.
fn thinned(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    all.sort();
    all.dedup();
    let stride = all.len().div_ceil(EACH_MAX).max(1);
    all.chunks(stride).filter_map(|near| near.iter().min_by_key(|bytes| bytes.len()).cloned()).collect()
}

/// Rows as the catalog has them (an entry: id, root, kind; numbers as bincode writes them), and some that cannot be.
fn catalog() -> Seeds {
    let rows: [(&str, Rows<'_>); 8] = [
        ("empty", &[]),
        ("one", &[(b"i", &[17]), (b"nspace", &[16, 5, 0])]),
        ("dropped", &[(b"i", &[18]), (b"d\0\0\0\x11", &[17, 5, 0]), (b"nspace", &[16, 5, 0])]),
        ("shared", &[(b"na", &[16, 4, 0]), (b"nb", &[17, 4, 0]), (b"ndefault", &[2, 4, 0])]),
        ("root", &[(b"na", &[16, 253, 255, 255, 255, 255, 255, 255, 255, 255, 0])]),
        ("last-id", &[(b"i", &[252, 255, 255, 255, 255])]),
        ("kind", &[(b"na", &[16, 5, 9]), (b"n\xff", &[16, 5, 0])]),
        ("short", &[(b"na", &[16]), (b"i", &[])]),
    ];
    let mut seeds = Seeds::new();
    for (name, rows) in rows {
        for flags in [2u8, 7] {
            let mut out = vec![flags];
            for (key, value) in rows {
                out.put_string(key);
                out.put_string(value);
            }
            seeds.insert(format!("seed-{name}-{flags}"), out);
        }
    }
    seeds
}

/// Each store as it is, and with small changes, sealed or not.
fn stores() -> Seeds {
    let mut seeds = Seeds::new();
    for (which, name) in STORES.iter().enumerate() {
        let store = specimen(name, SEED);
        seeds.insert(format!("seed-{name}"), vec![which as u8, 3]);
        for number in 0..EACH_MAX {
            let mut rng = Rng::new(derive(SEED, (which * 100 + number) as u64));
            seeds.insert(format!("seed-{name}-{number:02}"), changed(which, &store, number, &mut rng));
        }
    }
    seeds
}

/// Each run as it is, and with small changes, sealed or not: half of them near the end, where the index is.
fn runs() -> Seeds {
    let mut seeds = Seeds::new();
    for (which, base) in run::bases().iter().enumerate() {
        seeds.insert(format!("seed-{which}"), vec![which as u8, 1]);
        for number in 0..EACH_MAX {
            let mut rng = Rng::new(derive(SEED, (which * 100 + number) as u64));
            let mut out = vec![which as u8, number as u8 % 2];
            let from = if number % 4 < 2 { 0 } else { base.bytes.len().saturating_sub(4096) };
            out.put_varint((from + rng.below(base.bytes.len() - from)) as u64);
            out.put_string(&rng.bytes(1 + number % 3));
            seeds.insert(format!("seed-{which}-{number:02}"), out);
        }
    }
    seeds
}

/// A change near the beginning of a page or block, where most numbers stand.
fn changed(which: usize, store: &Specimen, number: usize, rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![which as u8, number as u8 % 4];
    let file = number % store.files.len();
    let bytes = store.files.values().nth(file).map_or(0, |bytes| bytes.len());
    out.put_u8(file as u8);
    let blocks = (bytes / 4096).max(1);
    out.put_varint((rng.below(blocks) * 4096 + 8 * rng.below(24)) as u64);
    let piece = [rng.below(256) as u8, 0, rng.below(3) as u8];
    out.put_string(&piece[..1 + rng.below(3)]);
    out
}
