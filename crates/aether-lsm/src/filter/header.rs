//! The header that every filter begins with. Layout: `docs/formats.md`, "Filters of runs".

use aether_types::{Error, ErrorKind, Reader, Result, Writer};

/// Bytes of the header. With the 32 bytes of a page's header before it, the blocks of a Bloom filter meet cache lines.
pub const HEADER_BYTES: usize = 32;

const VERSION: u8 = 1;

/// Which kind of filter the bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FilterKind {
    /// A blocked Bloom filter: points.
    Bloom = 1,
    /// A ribbon filter: points, in less space.
    Ribbon = 2,
    /// A succinct trie: points, ranges and prefixes of strings.
    Surf = 3,
    /// Hashed integers that keep short ranges together: points and short ranges of integers.
    Grafite = 4,
}

impl FilterKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Bloom, Self::Ribbon, Self::Surf, Self::Grafite].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What the header says. What the numbers mean is up to the kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) kind: FilterKind,
    pub(super) parameter: u8,
    pub(super) flags: u8,
    pub(super) attempt: u32,
    pub(super) keys: u64,
    pub(super) numbers: [u64; 2],
}

impl Header {
    pub(super) fn new(kind: FilterKind, keys: usize) -> Self {
        Self { kind, parameter: 0, flags: 0, attempt: 0, keys: keys as u64, numbers: [0; 2] }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_bytes(&[self.kind as u8, VERSION, self.parameter, self.flags]);
        out.put_u32(self.attempt);
        out.put_u64(self.keys);
        self.numbers.iter().for_each(|&number| out.put_u64(number));
    }

    /// The kind of filter that `bytes` begin with.
    pub(super) fn kind_of(bytes: &[u8]) -> Result<FilterKind> {
        let byte = Reader::new(bytes).u8()?;
        FilterKind::from_byte(byte).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("filters of kind {byte} are not known")).at_offset(0)
        })
    }

    /// Reads a header of `kind`.
    pub(super) fn read(reader: &mut Reader<'_>, kind: FilterKind) -> Result<Self> {
        let found = reader.u8()?;
        if found != kind as u8 {
            return Err(
                Error::corruption(format!("a filter of kind {found} instead of {kind:?}")).at_offset(0)
            );
        }
        let version = reader.u8()?;
        if version != VERSION {
            let what = format!("version {version} of a filter is not known");
            return Err(Error::new(ErrorKind::Unsupported, what).at_offset(1));
        }
        let (parameter, flags, attempt) = (reader.u8()?, reader.u8()?, reader.u32()?);
        let keys = reader.u64()?;
        Ok(Self { kind, parameter, flags, attempt, keys, numbers: [reader.u64()?, reader.u64()?] })
    }
}

/// A `Corruption` error about the header's byte at `offset`, unless `holds`.
pub(super) fn demand(holds: bool, offset: u64, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::corruption(what).at_offset(offset)) }
}

/// `number` as a size in memory.
pub(super) fn size(number: u64, offset: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| Error::corruption("a size beyond memory").at_offset(offset))
}
