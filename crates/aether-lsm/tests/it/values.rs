//! Value files: what was written is read, on disks that fail and lose power, and of damaged ones nothing wrong.

use crate::runs::{FILE, STORE, home, home_in};
use aether_lsm::run::RunHome;
use aether_lsm::values::{ValueAt, ValueFile, ValueFileInfo, ValueWriter};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::{Error, ErrorKind, FileId, Result, StoreId};
use aether_vfs::{Create, Env, OpenOptions, read_file};
use std::collections::BTreeSet;
use std::io::Read;

/// Bytes of a value in a whole piece.
const PIECE: usize = 65_528;

/// A value that is like no other.
fn value(number: usize, length: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| chance()).collect()
}

fn write(home: &RunHome, file: FileId, lengths: &[usize]) -> Result<(Vec<ValueAt>, ValueFileInfo)> {
    let mut writer = ValueWriter::new(home, file)?;
    let places = lengths
        .iter()
        .enumerate()
        .map(|(number, &length)| writer.append(&mut &value(number, length)[..], length as u64));
    let places = places.collect::<Result<Vec<_>>>()?;
    Ok((places, writer.finish()?))
}

/// Reads all values in both ways; whatever is no error must be right.
fn check(home: &RunHome, file: FileId, places: &[ValueAt], lengths: &[usize]) -> Result<()> {
    let opened = ValueFile::open(home, file)?;
    let mut told = None;
    for (number, (&at, &length)) in places.iter().zip(lengths).enumerate() {
        let (wanted, mut out) = (value(number, length), b"before".to_vec());
        let whole = opened.read_into(at, &mut out);
        assert_eq!(out, [b"before", &wanted[..whole.as_ref().map_or(0, |()| length)]].concat());
        let mut streamed = Vec::new();
        let stream = opened.reader(at).read_to_end(&mut streamed);
        assert!(wanted.starts_with(&streamed) && stream.is_ok() == whole.is_ok());
        told = told.or(whole.err());
    }
    told.map_or(Ok(()), Err)
}

fn is_clean(home: &RunHome) -> bool {
    home.leftovers(&BTreeSet::new()).unwrap().is_empty() && home.pool.budget().used_bytes() == untouched()
}

fn untouched() -> u64 {
    home_in(Env::memory(), 16, 4096).pool.budget().used_bytes()
}

#[test]
fn values_of_all_lengths_come_back() {
    let near = |length: usize| length.saturating_sub(9)..length + 10;
    let borders = [0, 512, 4096 - 56, 4096, 8192, PIECE, PIECE + 8, 2 * PIECE, 4 * PIECE];
    let lengths: Vec<usize> = borders.into_iter().flat_map(near).chain([1 << 20, 3_000_001]).collect();
    let home = home(16);
    let (places, info) = write(&home, FILE, &lengths).unwrap();
    assert_eq!((info.values, info.value_bytes), (lengths.len() as u64, lengths.iter().sum::<usize>() as u64));
    check(&home, FILE, &places, &lengths).unwrap();
    let opened = ValueFile::open(&home, FILE).unwrap();
    assert_eq!(opened.info(), &info);
    // They lie one behind the other, eight bytes of checksum before each piece.
    for (pair, length) in places.windows(2).zip(&lengths) {
        assert_eq!(pair[1].offset - pair[0].offset, (length + 8 * length.div_ceil(PIECE).max(1)) as u64);
    }
}

/// The header and the footer move against the ends of values.
#[test]
fn files_of_all_lengths_come_back() {
    let home = home(16);
    for (file, length) in (1..).zip((0..70).chain(3_950..4_100).chain(8_000..8_200)) {
        let (places, info) = write(&home, FileId::new(file), &[length]).unwrap();
        assert!(info.bytes.is_multiple_of(4096) && info.bytes >= 4096 + 8 + length as u64 + 64);
        check(&home, FileId::new(file), &places, &[length]).unwrap();
    }
    let (none, info) = write(&home, FileId::new(1_000), &[]).unwrap();
    assert_eq!((none.len(), info.values, info.bytes), (0, 0, 8192));
    check(&home, FileId::new(1_000), &[], &[]).unwrap();
}

/// A source that hands out as much as it likes.
struct Dripping(Vec<u8>, usize);

impl Read for Dripping {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = into.len().min(self.0.len() - self.1).min(self.1 % 1000 + 1);
        into[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
        self.1 += count;
        Ok(count)
    }
}

#[test]
fn a_source_is_read_as_far_as_was_said_and_must_not_end_before() {
    let home = home(16);
    let mut writer = ValueWriter::new(&home, FILE).unwrap();
    let memory = home.pool.budget().used_bytes();
    let mut source = Dripping(value(0, 300_000), 0);
    let at = writer.append(&mut source, 200_000).unwrap();
    assert_eq!(source.1, 200_000);
    assert_eq!(home.pool.budget().used_bytes(), memory);
    writer.finish().unwrap();
    let mut reader = ValueFile::open(&home, FILE).unwrap().reader(at);
    let mut out = Vec::new();
    let mut part = [0; 777];
    loop {
        let count = reader.read(&mut part).unwrap();
        out.extend_from_slice(&part[..count]);
        if count == 0 {
            break;
        }
    }
    assert_eq!(out, value(0, 300_000)[..200_000]);
    assert_eq!(reader.at(), at);
    for short in [0, 5, PIECE, 199_999] {
        let home = home_in(Env::memory(), 16, 4096);
        let mut writer = ValueWriter::new(&home, FILE).unwrap();
        let error = writer.append(&mut &value(0, short)[..], 200_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(writer.append(&mut &b"x"[..], 1).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Poisoned);
        assert!(is_clean(&home));
    }
}

#[test]
fn a_file_is_never_replaced_and_goes_with_the_last_reference() {
    let home = home(16);
    let (places, _) = write(&home, FILE, &[10]).unwrap();
    assert_eq!(write(&home, FILE, &[11]).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let opened = ValueFile::open(&home, FILE).unwrap();
    let mut reader = opened.reader(places[0]);
    opened.retire();
    drop(opened);
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    assert_eq!(out, value(0, 10));
    assert_eq!(home.leftovers(&BTreeSet::new()).unwrap(), [FILE]);
    assert!(home.leftovers(&BTreeSet::from([FILE])).unwrap().is_empty());
    drop(reader);
    assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty());
    let error = ValueFile::open(&home, FILE).unwrap_err();
    assert!(error.kind() == ErrorKind::Corruption && error.to_string().contains("missing"), "{error}");
    write(&home, FILE, &[10]).unwrap();
    home.remove(FILE).unwrap();
    assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty());
}

const LENGTHS: [usize; 4] = [100_000, 3, 200_000, 60_000];

#[test]
fn a_writer_that_fails_leaves_nothing() {
    let sim_home = |sim: &Sim| home_in(sim.env(), 16, 4096);
    let whole = Sim::new(1);
    write(&sim_home(&whole), FILE, &LENGTHS).unwrap();
    for kind in [OpKind::Open, OpKind::Write, OpKind::Sync, OpKind::SyncDir] {
        let calls = whole.calls(kind);
        assert!(calls > 0);
        for nth in 0..calls {
            for (error, wanted) in [(Errno::Eio, ErrorKind::Io), (Errno::Enospc, ErrorKind::Full)] {
                let sim = Sim::new(1);
                let home = sim_home(&sim);
                sim.inject(Fault::FailOp { nth, kind, error, sticky: false });
                let failed = write(&home, FILE, &LENGTHS).unwrap_err();
                assert_eq!(failed.kind(), wanted, "{kind:?} {nth}: {failed}");
                assert!(is_clean(&home), "{kind:?} {nth}");
                let (places, _) = write(&home, FILE, &LENGTHS).unwrap();
                check(&home, FILE, &places, &LENGTHS).unwrap();
            }
        }
    }
    let sim = Sim::new(1);
    let home = sim_home(&sim);
    sim.inject(Fault::ShortWrite { nth: 1 });
    write(&home, FILE, &LENGTHS).unwrap_err();
    assert!(is_clean(&home));
}

/// A read that fails is told as it is, and may be tried again.
#[test]
fn a_read_that_fails_is_tried_again() {
    let sim = Sim::new(1);
    let home = home_in(sim.env(), 16, 4096);
    let (places, _) = write(&home, FILE, &LENGTHS).unwrap();
    let opened = ValueFile::open(&home, FILE).unwrap();
    let mut reader = opened.reader(places[2]);
    let mut out = vec![0; PIECE];
    reader.read_exact(&mut out).unwrap();
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::Read, error: Errno::Eio, sticky: false });
    let failed = reader.read_to_end(&mut out).unwrap_err();
    let failed = failed.get_ref().and_then(|error| error.downcast_ref::<Error>()).unwrap();
    assert_eq!((failed.kind(), failed.place().file), (ErrorKind::Io, Some(FILE)));
    reader.read_to_end(&mut out).unwrap();
    assert_eq!(out, value(2, LENGTHS[2]));
}

/// At every operation: a file that was finished is whole in every image; any other is whole, or an error, and can be removed.
#[test]
fn the_power_cut_leaves_whole_values_or_a_leftover() {
    let (mut whole, mut leftovers, mut gone) = (0, 0, 0);
    let (places, _) = write(&home(16), FILE, &LENGTHS).unwrap();
    for cut in 0.. {
        let sim = Sim::new(1);
        sim.cut_power_at(cut);
        let is_finished = write(&home_in(sim.env(), 16, 4096), FILE, &LENGTHS).is_ok();
        for policy in (0..3).flat_map(|seed| CrashPolicy::all(cut * 10 + seed)) {
            let image = home_in(sim.crash_image(policy).env(), 16, 4096);
            let found = image.leftovers(&BTreeSet::new()).unwrap();
            match check(&image, FILE, &places, &LENGTHS) {
                Ok(()) => whole += 1,
                Err(error) => {
                    assert!(!is_finished, "{policy:?} at {cut} of a file that was finished: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    *if found.is_empty() { &mut gone } else { &mut leftovers } += 1;
                }
            }
            found.into_iter().for_each(|file| image.remove(file).unwrap());
            write(&image, FILE, &LENGTHS).unwrap();
        }
        if !sim.is_off() {
            break;
        }
    }
    assert!(whole > 0 && leftovers > 0 && gone > 0, "{whole} whole, {leftovers} leftovers, {gone} gone");
}

const SMALL: [usize; 3] = [300, 0, 1_500];

/// The bytes of a small file, and where its values are.
fn small(file: FileId) -> (Vec<u8>, Vec<ValueAt>) {
    let home = home_in(Env::memory(), 16, 4096);
    let (places, _) = write(&home, file, &SMALL).unwrap();
    (read_file(&*home.env.vfs, &home.values_path(file)).unwrap(), places)
}

fn put(home: &RunHome, file: FileId, bytes: &[u8]) {
    let opened = home.env.vfs.open(&home.values_path(file), OpenOptions::write(Create::IfMissing)).unwrap();
    opened.set_size(0).unwrap();
    opened.write_at(0, bytes).unwrap();
}

fn is_told(error: &Error) -> bool {
    let place = error.place();
    let is_placed = place.offset.is_some() || error.kind() == ErrorKind::Unsupported;
    matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported)
        && is_placed
        && place.file == Some(FILE)
        && place.path.is_some()
}

#[test]
fn every_flipped_byte_is_found_or_does_no_harm() {
    let ((good, places), home) = (small(FILE), home(16));
    let (mut found, mut harmless) = (0, 0);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        put(&home, FILE, &bad);
        match check(&home, FILE, &places, &SMALL) {
            Ok(()) => harmless += 1,
            Err(error) => {
                assert!(is_told(&error), "byte {at}: {error}");
                found += 1;
            }
        }
    }
    // Header, values with their checksums, footer; all else is zeros that nobody reads.
    assert_eq!((found, harmless), (56 + 1_800 + 3 * 8 + 64, good.len() - found));
}

#[test]
fn every_other_length_is_refused() {
    let ((good, places), home) = (small(FILE), home(16));
    put(&home, FILE, &good);
    check(&home, FILE, &places, &SMALL).unwrap();
    let file = home.env.vfs.open(&home.values_path(FILE), OpenOptions::write(Create::No)).unwrap();
    file.set_size(good.len() as u64 + 4096).unwrap();
    assert!(is_told(&ValueFile::open(&home, FILE).unwrap_err()));
    for len in (0..good.len()).rev() {
        file.set_size(len as u64).unwrap();
        let error = ValueFile::open(&home, FILE).unwrap_err();
        assert!(is_told(&error), "{len} bytes: {error}");
    }
}

/// Sectors of another value file of the same shape, and pieces of the same one in another place.
#[test]
fn bytes_from_elsewhere_are_found() {
    let ((good, places), (foreign, _), home) = (small(FILE), small(FileId::new(FILE.get() + 1)), home(16));
    for sector in 0..good.len() / 512 {
        let place = sector * 512..(sector + 1) * 512;
        let mut bad = good.clone();
        bad[place.clone()].copy_from_slice(&foreign[place]);
        put(&home, FILE, &bad);
        let checked = check(&home, FILE, &places, &SMALL);
        assert!(bad == good || checked.is_err_and(|error| is_told(&error)), "sector {sector}");
    }
    let lengths = [PIECE * 2, PIECE * 2];
    let home = home_in(Env::memory(), 16, 4096);
    let (places, info) = write(&home, FILE, &lengths).unwrap();
    let good = read_file(&*home.env.vfs, &home.values_path(FILE)).unwrap();
    let piece = |number: usize| 4096 + number * 65_536..4096 + (number + 1) * 65_536;
    for (one, other) in [(0, 1), (0, 2), (1, 3)] {
        let mut bad = good.clone();
        bad[piece(one)].copy_from_slice(&good[piece(other)]);
        put(&home, FILE, &bad);
        assert!(is_told(&check(&home, FILE, &places, &lengths).unwrap_err()), "{one} is {other}");
    }
    put(&home, FILE, &good);
    let opened = ValueFile::open(&home, FILE).unwrap();
    // A value that ends with one of its pieces, or begins with another, or goes on with the next value.
    let wrong = [
        ValueAt { length: PIECE as u64, ..places[0] },
        ValueAt { offset: places[0].offset + 65_536, ..places[0] },
        ValueAt { length: 3 * PIECE as u64, ..places[0] },
        ValueAt { length: info.bytes, ..places[1] },
        ValueAt { file: FileId::new(9), ..places[0] },
    ];
    for at in wrong {
        assert!(is_told(&opened.read_into(at, &mut Vec::new()).unwrap_err()), "{at:?}");
    }
}

#[test]
fn a_foreign_file_is_refused_by_name() {
    let (good, _) = small(FILE);
    let refused = |home: RunHome, file: FileId, what: &str| {
        put(&home, file, &good);
        let error = ValueFile::open(&home, file).unwrap_err();
        assert!(error.kind() == ErrorKind::Corruption && error.to_string().contains(what), "{error}");
    };
    let home = || home_in(Env::memory(), 16, 4096);
    refused(RunHome { store: StoreId::new([6; 16]), ..home() }, FILE, "another store");
    refused(home(), FileId::new(9), "calls itself file 7");
    assert_eq!(home().store, STORE);
    let run = home();
    let opened = run.env.vfs.open(&run.path(FILE), OpenOptions::write(Create::New)).unwrap();
    opened.write_at(0, &good).unwrap();
    let error = aether_lsm::run::Run::open(&run, FILE).unwrap_err();
    assert!(error.to_string().contains("not a run"), "{error}");
}
