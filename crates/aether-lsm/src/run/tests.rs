//! What a checksum lets pass: blocks and tails that nobody can have written, sealed as if somebody had. An error or some answer,
//! never a panic and never an endless way.

use super::codec::PLAIN;
use super::head::{FOOTER_BYTES, HEADER_BYTES, Seed};
use super::layout::{Footer, block_head};
use super::{BuildOptions, Codec, Entry, Kind, RangeTombstone, Run, RunBuilder, RunCursor, RunHome};
use crate::filter::{KeyHash, Recipe};
use crate::read::RunsCursor;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::{Budget, BufferConfig, NoGate, NoSource, Pool, PoolParts};
use aether_types::{ErrorKind, FileId, PageNo, StoreId, Timestamp};
use aether_vfs::{Create, Env, OpenOptions, read_file};
use proptest::prelude::*;
use std::path::PathBuf;

const FILE: FileId = FileId::new(3);

pub(crate) fn home() -> RunHome {
    let store = StoreId::new([1; 16]);
    let config = BufferConfig {
        num_frames: 16,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let parts = PoolParts {
        gate: Arc::new(NoGate),
        double_write: None,
        source: Arc::new(NoSource),
        store,
        budget: Budget::unlimited(),
    };
    RunHome { env: Env::memory(), dir: PathBuf::from("/"), store, pool: Pool::new(config, parts).unwrap() }
}

fn key(number: u32) -> Vec<u8> {
    format!("a key with a prefix {number:05}").into_bytes()
}

/// Builds a small run with several versions of keys, long ones among them.
fn build(home: &RunHome, filter: Recipe) {
    let options = BuildOptions { filter: Some(filter), codec: Codec::Plain };
    let mut builder = RunBuilder::new(home, FILE, options).unwrap();
    for number in 0..150 {
        let versions = if number == 40 { 300 } else { 1 + u64::from(number % 3) };
        for timestamp in (0..versions).rev() {
            let value = vec![number as u8; (number % 50) as usize];
            let (key, timestamp) = (key(number), Timestamp::new(timestamp));
            builder.add(&Entry { key: &key, timestamp, kind: Kind::Value, value: &value }).unwrap();
        }
    }
    builder.add_range(RangeTombstone { from: key(3), to: key(5), timestamp: Timestamp::new(9) }).unwrap();
    builder.finish().unwrap().unwrap();
}

/// Where the blocks of a run are, and the footer.
fn parts(home: &RunHome) -> (Vec<core::ops::Range<usize>>, Footer) {
    let (file, _) = super::file::open(home, FILE).unwrap();
    let places = (1..file.places().end()).map(|page| file.places().of(PageNo::new(page)).unwrap());
    let places = places.map(|place| place.start as usize..place.end as usize).collect();
    let bytes = read_file(&*home.env.vfs, &home.path(FILE)).unwrap();
    let footer = &bytes[bytes.len() - FOOTER_BYTES..];
    (places, Footer::decode(Seed::new(home.store, FILE), footer, bytes.len() as u64).unwrap())
}

fn read_everything(home: &RunHome) {
    let run = match Run::open(home, FILE) {
        Ok(run) => run,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Corruption, "{error}"),
    };
    let (mut told, mut value) = (Vec::new(), Vec::new());
    for number in 0..160 {
        let key = key(number);
        for snapshot in [0, 1, 100, u64::MAX] {
            told.extend(run.get(&key, KeyHash::of(&key), Timestamp::new(snapshot), &mut value).err());
            value.clear();
        }
        let mut cursor = RunCursor::new(run.clone());
        told.extend(cursor.seek(&key).err());
        told.extend(cursor.forward().err());
        told.extend(cursor.seek_back(&key).err());
        told.extend(cursor.back().err());
    }
    for is_forward in [true, false] {
        let mut cursor = RunCursor::scan(run.clone());
        let mut outcome = if is_forward { cursor.first() } else { cursor.last() };
        // A forged index may lead round and round; whoever goes on stops by himself.
        for _ in 0..5_000 {
            if outcome.is_err() || cursor.entry().is_none() {
                break;
            }
            outcome = if is_forward { cursor.forward() } else { cursor.back() };
        }
        told.extend(outcome.err());
    }
    for is_forward in [true, false] {
        let mut cursor = RunsCursor::new(vec![run.clone()], Timestamp::new(100));
        if !is_forward {
            cursor.seek_last();
        }
        // Keys that lead back are an error here, so this ends.
        told.extend(loop {
            match if is_forward { cursor.next() } else { cursor.prev() } {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        });
    }
    assert!(told.iter().all(|error| error.kind() == ErrorKind::Corruption), "{told:?}");
}

fn recipe() -> impl Strategy<Value = Recipe> {
    prop::sample::select(vec![
        Recipe::Bloom { bits_per_key: 10.0 },
        Recipe::Ribbon { bits_per_key: 9.0 },
        Recipe::Grafite { bits_per_key: 9.0, seed: 5 },
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn forged_blocks_never_panic(
        filter in recipe(),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near in prop::collection::vec((0_usize..80, prop_oneof![Just(0xff_u8), Just(0), any::<u8>()]), 0..4),
    ) {
        let home = home();
        build(&home, filter);
        let (places, _) = parts(&home);
        let page = which.index(places.len());
        let file = home.env.vfs.open(&home.path(FILE), OpenOptions::write(Create::No)).unwrap();
        let mut block = vec![0; places[page].len()];
        file.read_at(places[page].start as u64, &mut block).unwrap();
        let body = &mut block[super::layout::BLOCK_HEAD_BYTES..];
        changes.into_iter().for_each(|(at, value)| { let at = at.index(body.len()); body[at] = value; });
        let len = body.len();
        near.into_iter().for_each(|(at, value)| body[at % len] = value);
        let head = block_head(Seed::new(home.store, FILE), PageNo::new(page as u64 + 1), PLAIN, len, body);
        block[..head.len()].copy_from_slice(&head);
        file.write_at(places[page].start as u64, &block).unwrap();
        read_everything(&home);
    }

    #[test]
    fn forged_tails_never_panic(
        filter in recipe(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let home = home();
        build(&home, filter);
        let (_, footer) = parts(&home);
        let mut bytes = read_file(&*home.env.vfs, &home.path(FILE)).unwrap();
        let at = footer.tail_at as usize;
        let len = cut.map_or(footer.tail_bytes as usize, |cut| cut.index(footer.tail_bytes as usize));
        let tail = &mut bytes[at..at + len];
        changes.into_iter().filter(|_| len > 0).for_each(|(at, value)| tail[at.index(len)] = value);
        let seed = Seed::new(home.store, FILE);
        let forged = Footer::new(seed, footer.tail_at, tail, footer.file_bytes).encode(seed);
        let end = bytes.len() - FOOTER_BYTES;
        bytes[end..].copy_from_slice(&forged);
        let file = home.env.vfs.open(&home.path(FILE), OpenOptions::write(Create::No)).unwrap();
        file.write_at(0, &bytes).unwrap();
        read_everything(&home);
    }
}

#[test]
fn the_layout_is_that_of_the_formats_page() {
    let home = home();
    build(&home, Recipe::Bloom { bits_per_key: 10.0 });
    let (places, footer) = parts(&home);
    let bytes = read_file(&*home.env.vfs, &home.path(FILE)).unwrap();
    assert_eq!(bytes[..8], *b"AETHSRUN");
    assert_eq!(bytes[8..24], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
    assert_eq!(bytes[24..40], [1; 16]);
    assert_eq!(bytes[40..48], [3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((bytes.len() % 4096, places[0].start), (0, HEADER_BYTES));
    assert_eq!(places.last().unwrap().end as u64, footer.tail_at);
    assert_eq!(bytes[bytes.len() - 64..bytes.len() - 56], *b"AETHREND");
    let first = &bytes[places[0].start + 8..];
    assert_eq!((first[0], first[3]), (PLAIN, 16), "not compressed, a data block");
}

/// The format of `docs/formats.md`, "Runs": who changes this figure has changed it.
#[test]
fn the_bytes_are_those_of_version_1() {
    let sums = [Recipe::Bloom { bits_per_key: 10.0 }, Recipe::Ribbon { bits_per_key: 8.0 }].map(|filter| {
        let home = home();
        build(&home, filter);
        aether_types::checksum(0, &read_file(&*home.env.vfs, &home.path(FILE)).unwrap())
    });
    assert_eq!(sums, [0x0dac_b16b_3a57_14e1, 0xfda5_5283_d58e_3653], "{sums:x?}");
}
