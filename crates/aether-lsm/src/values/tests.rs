//! The bytes of value files and of the stubs that name their values.

use super::layout::Footer;
use super::{ValueAt, ValueFile, ValueWriter};
use crate::run::Seed;
use crate::run::tests::home;
use aether_types::{ErrorKind, FileId};
use aether_vfs::read_file;
use proptest::prelude::*;
use std::io::Cursor;

const FILE: FileId = FileId::new(4);

#[test]
fn stubs_round_trip_and_nothing_else_is_one() {
    let at = ValueAt { file: FileId::new(0x01_0203), offset: 4096, length: 70_000 };
    let bytes = at.encode();
    assert_eq!(bytes, [&[1, 3, 2, 1, 0][..], &4096_u64.to_le_bytes(), &70_000_u64.to_le_bytes()].concat());
    assert_eq!((ValueAt::decode(&bytes).unwrap(), bytes.len()), (at, ValueAt::BYTES));
    let refused =
        |bytes: &[u8]| ValueAt::decode(bytes).is_err_and(|error| error.kind() == ErrorKind::Corruption);
    assert!((0..bytes.len()).all(|len| refused(&bytes[..len])) && refused(&[&bytes[..], &[0]].concat()));
    let with = |place: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[place..place + new.len()].copy_from_slice(new);
        bytes
    };
    assert!(refused(&with(0, &[2])) && refused(&with(1, &[0; 4])) && refused(&with(1, &[0xff; 4])));
    assert!(refused(&with(5, &[0xff; 8])), "an offset at the end of all numbers");
}

/// The format of `docs/formats.md`, "Value files": who changes this figure has changed it.
#[test]
fn the_bytes_are_those_of_version_1() {
    let home = home();
    let mut writer = ValueWriter::new(&home, FILE).unwrap();
    let places = [0_usize, 1, 65_528, 65_529, 200_000].map(|length| {
        let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        writer.append(&mut &value[..], length as u64).unwrap().offset
    });
    // Each piece takes eight bytes more than what is in it.
    assert_eq!(places, [4096, 4104, 4113, 69_649, 135_194]);
    let info = writer.finish().unwrap();
    let bytes = read_file(&*home.env.vfs, &home.values_path(FILE)).unwrap();
    assert_eq!((info.bytes, info.values, info.value_bytes), (bytes.len() as u64, 5, 331_058));
    assert_eq!(bytes[..8], *b"AETHSVAL");
    assert_eq!(bytes[bytes.len() - 64..bytes.len() - 56], *b"AETHVEND");
    assert_eq!(bytes[bytes.len() - 40..bytes.len() - 32], (135_194_u64 + 200_000 + 4 * 8).to_le_bytes());
    let sum = aether_types::checksum(0, &bytes);
    assert_eq!(sum, 0xb64f_e891_f038_0b89, "{sum:#x}");
}

#[test]
fn a_footer_that_cannot_be_is_refused() {
    let seed = Seed::new(home().store, FILE);
    let good = Footer { values: 1, value_bytes: 10, end: 4114, file_bytes: 8192 };
    let decode = |footer: Footer| Footer::decode(seed, &footer.encode(seed), 8192);
    assert_eq!(decode(good).unwrap(), good);
    for forged in [
        Footer { file_bytes: 4096, ..good },
        Footer { end: 4095, ..good },
        Footer { end: 8192 - 63, ..good },
        Footer { end: u64::MAX, ..good },
    ] {
        assert_eq!(decode(forged).unwrap_err().kind(), ErrorKind::Corruption, "{forged:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A place that somebody made up, in a file that is sound.
    #[test]
    fn forged_places_never_panic(offset in any_number(), length in any_number(), file in prop_oneof![3 => Just(4_u32), 1 => 1_u32..9]) {
        let home = home();
        let mut writer = ValueWriter::new(&home, FILE).unwrap();
        let value = vec![7; 9_000];
        let wanted = writer.append(&mut Cursor::new(&value), 9_000).unwrap();
        writer.finish().unwrap();
        let at = ValueAt { file: FileId::new(file), offset, length };
        let (opened, mut out) = (ValueFile::open(&home, FILE).unwrap(), vec![1]);
        let read = opened.read_into(at, &mut out);
        prop_assert_eq!(read.is_ok(), at == wanted);
        let Err(error) = read else { return Ok(()) };
        prop_assert_eq!((error.kind(), error.place().file, error.place().offset), (ErrorKind::Corruption, Some(FILE), Some(offset)));
        prop_assert_eq!(out, [1]);
        prop_assert!(std::io::copy(&mut opened.reader(at), &mut std::io::sink()).is_err());
    }
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(4096),
        Just(9_000),
        Just(u64::MAX),
        4090_u64..4110,
        8_990_u64..9_010,
        0_u64..20_000,
        any::<u64>()
    ]
}
