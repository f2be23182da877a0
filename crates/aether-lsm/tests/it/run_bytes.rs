//! Run files as a disk may give them back: damaged, cut, foreign. An error that says where, or the right rows.

use crate::runs::{BLOOM, FILE, STORE, Version, build, check_cursor, get, home_in, range};
use aether_lsm::filter::Recipe;
use aether_lsm::run::{BuildOptions, Codec, Kind, Run, RunHome};
use aether_types::{Error, ErrorKind, FileId, PageSize, Result, StoreId};
use aether_vfs::{Create, Env, OpenOptions, read_file};

fn versions() -> Vec<Version> {
    let value = |number: u32| format!("value {}", number * number).into_bytes();
    let one = |number: u32| {
        (format!("user{number:05}").into_bytes(), u64::from(number % 3), Kind::Value, value(number))
    };
    (0..180).map(one).collect()
}

fn bytes_of(options: BuildOptions) -> Vec<u8> {
    let home = home_in(Env::memory(), 16, 4096);
    build(&home, FILE, options, &versions(), &[range(b"x", b"z", 7)]).unwrap().unwrap();
    read_file(&*home.env.vfs, &home.path(FILE)).unwrap()
}

/// Replaces the file of the run.
fn put(home: &RunHome, file: FileId, bytes: &[u8]) {
    let opened = home.env.vfs.open(&home.path(file), OpenOptions::write(Create::IfMissing)).unwrap();
    opened.set_size(0).unwrap();
    opened.write_at(0, bytes).unwrap();
}

/// Reads all that the run has; every answer that is no error must be right.
fn read_all(home: &RunHome, file: FileId) -> Result<()> {
    let run = Run::open(home, file)?;
    let versions = versions();
    assert_eq!(run.range_tombstones().collect::<Vec<_>>(), [range(b"x", b"z", 7)]);
    for (key, timestamp, kind, value) in versions.iter().step_by(17) {
        assert_eq!(get(&run, key, 9)?, Some((*timestamp, *kind, value.clone())));
        assert_eq!(get(&run, &[&key[..], b"0"].concat(), 9)?, None);
    }
    assert_eq!(get(&run, b"y", 8)?, Some((7, Kind::Tombstone, Vec::new())));
    check_cursor(&run, &versions)
}

fn is_told(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported) && error.place().file == Some(FILE)
}

fn all_kinds() -> Vec<BuildOptions> {
    vec![
        BLOOM,
        BuildOptions { filter: Some(Recipe::Ribbon { bits_per_key: 8.0 }), codec: Codec::Plain },
        #[cfg(feature = "zstd")]
        BuildOptions { codec: Codec::Zstd { level: 1 }, ..BLOOM },
    ]
}

#[test]
fn every_flipped_byte_is_found_or_does_no_harm() {
    for options in all_kinds() {
        let (good, home) = (bytes_of(options), home_in(Env::memory(), 16, 4096));
        let (mut found, mut harmless) = (0, 0);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            put(&home, FILE, &bad);
            match read_all(&home, FILE) {
                Ok(()) => harmless += 1,
                Err(error) => {
                    assert!(is_told(&error) && error.place().path.is_some(), "byte {at}: {error}");
                    found += 1;
                }
            }
        }
        // What fills up the header's block and the end is zeros that nobody reads.
        let zeros = good.iter().filter(|byte| **byte == 0).count();
        assert!(found > 1500 && harmless < zeros, "{found} found, {harmless} harmless of {}", good.len());
    }
}

#[test]
fn every_other_length_is_refused() {
    let (good, home) = (bytes_of(BLOOM), home_in(Env::memory(), 16, 4096));
    put(&home, FILE, &good);
    read_all(&home, FILE).unwrap();
    let file = home.env.vfs.open(&home.path(FILE), OpenOptions::write(Create::No)).unwrap();
    file.set_size(good.len() as u64 + 4096).unwrap();
    assert!(is_told(&Run::open(&home, FILE).unwrap_err()));
    for len in (0..good.len()).rev() {
        file.set_size(len as u64).unwrap();
        let error = Run::open(&home, FILE).unwrap_err();
        assert!(is_told(&error), "{len} bytes: {error}");
    }
}

/// Sectors of another run of the same shape, the usual result of a misplaced write.
#[test]
fn bytes_of_another_run_are_found() {
    let home = home_in(Env::memory(), 16, 4096);
    let other = FileId::new(FILE.get() + 1);
    build(&home, other, BLOOM, &versions(), &[range(b"x", b"z", 7)]).unwrap();
    let (good, foreign) = (bytes_of(BLOOM), read_file(&*home.env.vfs, &home.path(other)).unwrap());
    assert_eq!(good.len(), foreign.len());
    for sector in 0..good.len() / 512 {
        let place = sector * 512..(sector + 1) * 512;
        let mut bad = good.clone();
        bad[place.clone()].copy_from_slice(&foreign[place]);
        put(&home, FILE, &bad);
        assert!(bad == good || read_all(&home, FILE).is_err_and(|error| is_told(&error)), "sector {sector}");
    }
}

#[test]
fn a_foreign_run_is_refused_by_name() {
    let good = bytes_of(BLOOM);
    let refused = |home: RunHome, file: FileId, what: &str| {
        put(&home, file, &good);
        let error = Run::open(&home, file).unwrap_err();
        assert!(error.kind() == ErrorKind::Corruption && error.to_string().contains(what), "{error}");
    };
    let home = || home_in(Env::memory(), 16, 4096);
    refused(RunHome { store: StoreId::new([6; 16]), ..home() }, FILE, "another store");
    refused(home(), FileId::new(9), "calls itself file 7");
    refused(home_in(Env::memory(), 16, PageSize::MAX.bytes()), FILE, "another page size");
    assert_eq!(home().store, STORE);
}
