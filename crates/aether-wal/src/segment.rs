//! Names and headers of segment files; the layout is in `docs/formats.md`.

use crate::record::BLOCK_BYTES;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Error, ErrorKind, Reader, Result, StoreId, StreamId, Writer, checksum};

/// Where the header block has the note that another segment follows, in a sector of its own.
pub(crate) const NEXT_AT: u64 = 512;
const NEXT_MAGIC: &[u8; 8] = b"AETHNEXT";
const SECTOR_BYTES: usize = 512;

const MAGIC: &[u8; 8] = b"AETHRLOG";
const VERSION: u32 = 1;
pub(crate) const SUMMED_BYTES: usize = 72;
/// No position, size or count comes near this, so that sums do not overflow.
pub(crate) const NUMBER_END: u64 = 1 << 60;

/// What a name in the home means to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// A segment of a stream and its sequence number.
    Segment(StreamId, u64),
    /// A segment kept for reuse, or one in the making.
    Free(StreamId, u64),
}

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (stream, rest) = name.strip_prefix("log-")?.split_once('-')?;
        let stream = u8::from_str_radix(stream, 16).ok().filter(|s| usize::from(*s) < STREAMS_MAX)?;
        let stream = StreamId::new(stream);
        let parsed = match rest.strip_prefix("free-") {
            Some(number) => Self::Free(stream, number.parse().ok().filter(|number| *number < NUMBER_END)?),
            None => Self::Segment(stream, u64::from_str_radix(rest, 16).ok()?),
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(stream, sequence) => write!(f, "log-{:02x}-{sequence:016x}", stream.get()),
            Self::Free(stream, number) => write!(f, "log-{:02x}-free-{number}", stream.get()),
        }
    }
}

/// The first block of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) stream: StreamId,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    /// The position of the first byte after the header block.
    pub(crate) first: u64,
    /// Bytes after the header block.
    pub(crate) capacity: u64,
}

impl Header {
    /// The position after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.capacity
    }

    /// The header block.
    pub(crate) fn encode(&self, store: StoreId) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES as usize);
        block.put_bytes(MAGIC);
        block.put_u32(VERSION);
        block.put_u32(0);
        block.put_u32(0);
        block.put_u32(u32::from(self.stream.get()));
        block.put_bytes(&store.bytes());
        block.put_u64(self.epoch);
        block.put_u64(self.sequence);
        block.put_u64(self.first);
        block.put_u64(self.capacity);
        let sum = checksum(store.seed(), &block[..SUMMED_BYTES]);
        block.put_u64(sum);
        block.resize(BLOCK_BYTES as usize, 0);
        block
    }

    /// The sector of the header block that says that `next` follows.
    pub(crate) fn encode_next(&self, store: StoreId, next: &Header) -> Vec<u8> {
        let mut sector = Vec::with_capacity(SECTOR_BYTES);
        sector.put_bytes(NEXT_MAGIC);
        sector.put_u64(next.first);
        sector.put_u64(checksum(store.seed() ^ self.sequence, &sector));
        sector.resize(SECTOR_BYTES, 0);
        sector
    }

    /// True if the header block says that another segment follows. A damaged note is none.
    pub(crate) fn is_followed(&self, store: StoreId, block: &[u8]) -> bool {
        let sector = block.get(NEXT_AT as usize..).unwrap_or_default();
        let (Some(note), Some(sum)) = (sector.get(..16), sector.get(16..24)) else { return false };
        note.starts_with(NEXT_MAGIC)
            && note[8..] == self.end().to_le_bytes()
            && sum == checksum(store.seed() ^ self.sequence, note).to_le_bytes()
    }

    /// Reads the header of the file that is called `stream` and `sequence`.
    ///
    /// # Errors
    /// `Corruption` if it is damaged, of another store or of another name; `Unsupported` if it is of a later version.
    pub(crate) fn decode(store: StoreId, stream: StreamId, sequence: u64, block: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(block);
        let magic = reader.bytes(8)?;
        let (version, required, _optional) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let number = reader.u32()?;
        let owner = reader.bytes(16)?;
        let header = Self {
            stream,
            epoch: reader.u64()?,
            sequence: reader.u64()?,
            first: reader.u64()?,
            capacity: reader.u64()?,
        };
        if magic != MAGIC {
            return Err(Error::corruption("a log segment without its magic").at_offset(0));
        }
        if owner != store.bytes() {
            return Err(Error::corruption("a log segment of another store").at_offset(24));
        }
        if reader.u64()? != checksum(store.seed(), &block[..SUMMED_BYTES]) {
            let what = match version {
                VERSION => "the checksum of a log segment's header differs".to_owned(),
                other => format!(
                    "the checksum of a log segment's header differs; it states version {other}, this build knows {VERSION}"
                ),
            };
            return Err(Error::corruption(what).at_offset(72));
        }
        if version != VERSION || required != 0 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the log has version {version}, required features {required:#x}; this build knows version {VERSION}"
                ),
            ));
        }
        if number != u32::from(stream.get()) || header.sequence != sequence {
            return Err(Error::corruption("a log segment under another's name").at_offset(20));
        }
        header.check()
    }

    fn check(self) -> Result<Self> {
        let aligned = self.first.is_multiple_of(BLOCK_BYTES) && self.capacity.is_multiple_of(BLOCK_BYTES);
        let numbers = [self.first, self.capacity, self.epoch, self.sequence];
        let small = numbers.iter().all(|number| *number < NUMBER_END) && self.end() < NUMBER_END;
        let small = small && self.capacity > 0;
        if aligned && small {
            Ok(self)
        } else {
            Err(Error::corruption("impossible positions in a log segment's header").at_offset(56))
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { stream: StreamId::new(3), epoch: 2, sequence: 0x1f, first: 8192, capacity: 65536 }
    }

    #[test]
    fn names_are_read_as_written_and_no_others() {
        let stream = StreamId::new(10);
        for name in [Name::Segment(stream, 0xabc), Name::Free(stream, 12)] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        let name = Name::Segment(header().stream, header().sequence);
        assert_eq!(name.to_string(), "log-03-000000000000001f");
        for other in
            ["log-", "log-0a-", "log-0a-1", "log-10-0000000000000001", "log-0A-000000000000001f", "pages-1"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    /// The position after the last byte could lie beyond every number that a later header may have.
    #[test]
    fn a_segment_that_reaches_the_end_of_positions_is_refused() {
        let store = StoreId::new([9; 16]);
        let far = Header { first: NUMBER_END - BLOCK_BYTES, capacity: BLOCK_BYTES, ..header() };
        let error = Header::decode(store, far.stream, far.sequence, &far.encode(store)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
    }

    #[test]
    fn positions_that_no_segment_has_are_refused() {
        let store = StoreId::new([9; 16]);
        for impossible in [
            Header { first: 8192 + 512, ..header() },
            Header { capacity: 65536 + 512, ..header() },
            Header { capacity: 0, ..header() },
            Header { epoch: NUMBER_END, ..header() },
            Header { sequence: NUMBER_END, ..header() },
        ] {
            let block = impossible.encode(store);
            let decoded = Header::decode(store, impossible.stream, impossible.sequence, &block);
            assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corruption, "{impossible:?}");
        }
    }

    #[test]
    fn a_header_is_read_as_written_and_every_flip_is_seen() {
        let store = StoreId::new([9; 16]);
        let mut block = header().encode(store);
        assert_eq!(block.len(), 4096);
        let decode = |block: &[u8]| Header::decode(store, StreamId::new(3), 0x1f, block);
        assert_eq!(decode(&block).unwrap(), header());
        assert!(Header::decode(store, StreamId::new(3), 0x20, &block).is_err());
        assert!(Header::decode(StoreId::new([8; 16]), StreamId::new(3), 0x1f, &block).is_err());
        for bit in 0..80 * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&block).is_err(), "bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
