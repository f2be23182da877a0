//! The framing of records; the layout is in `docs/formats.md`.

use aether_types::limits::{GROUP_BYTES_MAX, STREAMS_MAX};
use aether_types::{Hasher, Lsn, Lv, Reader, Result, StoreId, StreamId, Writer, checksum};

/// What is written at once; flushes cover whole blocks.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Bytes of a record before its body.
pub(crate) const HEADER_BYTES: u64 = 16;
/// Fills a flush up to a block boundary.
pub(crate) const PAD: u8 = 1;
/// The first record of a flush.
pub(crate) const FLUSH_START: u8 = 2;
/// The first kind that belongs to the upper layers.
pub const FIRST_KIND: u8 = 16;
/// A vector at its longest: a count, then a byte and a varint for each stream.
const VECTOR_BYTES_MAX: usize = 1 + STREAMS_MAX * 11;
/// A body at its longest; a pad may reach over one block boundary.
pub(crate) const BODY_BYTES_MAX: usize = GROUP_BYTES_MAX + VECTOR_BYTES_MAX;

const FLAG_VECTOR: u8 = 1;
const EPOCH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const LSN_FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// Bytes that a record with a body of `body` bytes takes.
pub(crate) const fn framed_bytes(body: u64) -> u64 {
    HEADER_BYTES + body.next_multiple_of(8)
}

/// Bytes that a record takes at the most if its body starts with a vector of `components`.
pub(crate) const fn framed_bytes_max(body: u64, components: usize) -> u64 {
    let vector = if components == 0 { 0 } else { 1 + components as u64 * 11 };
    framed_bytes(body + vector)
}

/// The part of a checksum seed that is the same for a stream in an incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(store: StoreId, epoch: u64, stream: StreamId) -> Self {
        let place = (epoch << 4) | u64::from(stream.get());
        Self(store.seed() ^ place.wrapping_mul(EPOCH_FACTOR).rotate_left(31))
    }

    #[inline]
    fn at(self, lsn: u64) -> u64 {
        self.0 ^ lsn.wrapping_mul(LSN_FACTOR).rotate_left(29)
    }
}

/// The first eight bytes of a record as a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head(u64);

impl Head {
    pub(crate) fn new(body: u64, kind: u8, vector: bool) -> Self {
        debug_assert!(body <= u64::from(u32::MAX), "a body has 32 bits of length");
        Self(body | u64::from(kind) << 32 | u64::from(vector) << 40)
    }

    /// A head read from storage, if it can be one.
    pub(crate) fn parse(word: u64) -> Option<Self> {
        let head = Self(word);
        let known = matches!(head.kind(), PAD | FLUSH_START | FIRST_KIND..);
        let plain = word >> 40 <= u64::from(FLAG_VECTOR);
        let vector = !head.has_vector() || head.kind() >= FIRST_KIND;
        (known && plain && vector && head.body_bytes() <= BODY_BYTES_MAX as u64).then_some(head)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    pub(crate) fn body_bytes(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    fn kind(self) -> u8 {
        (self.0 >> 32) as u8
    }

    fn has_vector(self) -> bool {
        (self.0 >> 40) as u8 & FLAG_VECTOR != 0
    }
}

/// The checksum of the record at `lsn` whose body is `first` followed by `rest`.
pub(crate) fn sum(seed: Seed, lsn: u64, head: Head, first: &[u8], rest: &[u8]) -> u64 {
    const SMALL: usize = 512;
    let word = head.word().to_le_bytes();
    let size = 8 + first.len() + rest.len();
    if size > SMALL {
        return Hasher::new(seed.at(lsn)).update(&word).update(first).update(rest).finish();
    }
    // One call over contiguous bytes is several times faster than setting up a hasher.
    let mut whole = [0; SMALL];
    whole[..8].copy_from_slice(&word);
    whole[8..8 + first.len()].copy_from_slice(first);
    whole[8 + first.len()..size].copy_from_slice(rest);
    checksum(seed.at(lsn), &whole[..size])
}

/// A record as framed, its checksum verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) vector: bool,
    pub(crate) body: &'a [u8],
}

/// What the bytes at a position turned out to be.
pub(crate) enum Parsed<'a> {
    Record(Frame<'a>),
    /// No valid record, or not all of one.
    Bad,
}

/// True if `bytes` start with the flush-start record at `lsn`.
pub(crate) fn is_flush_start(seed: Seed, lsn: u64, bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&FLUSH_START)
        && matches!(parse(seed, lsn, bytes), Parsed::Record(frame) if frame.kind == FLUSH_START)
}

/// How many bytes [`parse`] needs for the record at the start of `bytes`, as far as can be told.
pub(crate) fn wanted(bytes: &[u8]) -> u64 {
    let head = bytes.get(..8).and_then(|head| Head::parse(number(head)));
    head.map_or(HEADER_BYTES, |head| framed_bytes(head.body_bytes()))
}

/// Reads the record at `lsn`, at the start of `bytes`.
pub(crate) fn parse(seed: Seed, lsn: u64, bytes: &[u8]) -> Parsed<'_> {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES as usize) else {
        return Parsed::Bad;
    };
    let (word, stored) = (number(&header[..8]), number(&header[8..]));
    let Some(head) = Head::parse(word).filter(|_| stored != 0) else { return Parsed::Bad };
    let Some(body) = rest.get(..head.body_bytes() as usize) else { return Parsed::Bad };
    if sum(seed, lsn, head, &[], body) != stored {
        return Parsed::Bad;
    }
    Parsed::Record(Frame { kind: head.kind(), vector: head.has_vector(), body })
}

fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole.copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

impl<'a> Frame<'a> {
    /// Bytes in the log.
    pub(crate) fn bytes(&self) -> u64 {
        framed_bytes(self.body.len() as u64)
    }

    /// Where the body ends, counted from where the record begins.
    pub(crate) fn body_end(&self) -> usize {
        HEADER_BYTES as usize + self.body.len()
    }

    /// The vector at the start of the body and what follows it.
    ///
    /// # Errors
    /// `Corruption` if the vector breaks its format.
    pub(crate) fn split(&self) -> Result<(Lv, &'a [u8])> {
        if !self.vector {
            return Ok((Lv::ZERO, self.body));
        }
        let mut reader = Reader::new(self.body);
        let lv = read_vector(&mut reader)?;
        Ok((lv, &self.body[reader.position()..]))
    }

    /// The durable vector that a flush-start record carries.
    pub(crate) fn durable(&self) -> Result<Lv> {
        let mut reader = Reader::new(self.body);
        let lv = read_vector(&mut reader)?;
        reader.finish()?;
        Ok(lv)
    }
}

pub(crate) fn read_vector(reader: &mut Reader<'_>) -> Result<Lv> {
    let mut lv = Lv::ZERO;
    for _ in 0..reader.varint_below(STREAMS_MAX as u64 + 1)? {
        let stream = reader.u8()?;
        if usize::from(stream) >= STREAMS_MAX {
            return Err(reader.bad(format!("stream {stream} in a vector")));
        }
        lv.set(StreamId::new(stream), Lsn::new(reader.varint()?));
    }
    Ok(lv)
}

/// An encoded vector, on the stack: appending allocates nothing.
pub(crate) struct Vector {
    bytes: [u8; VECTOR_BYTES_MAX],
    used: usize,
}

impl Vector {
    /// No bytes at all.
    pub(crate) fn none() -> Self {
        Self { bytes: [0; VECTOR_BYTES_MAX], used: 0 }
    }

    /// The components of `lv` above 0.
    pub(crate) fn of(lv: &Lv) -> Self {
        Self::encode(lv, |_, lsn| lsn > Lsn::new(0))
    }

    /// The components in which `deps` is above `implied`, but for `own`; no bytes if there is none.
    pub(crate) fn news(deps: &Lv, implied: &Lv, own: StreamId) -> Self {
        let new = |stream, lsn| stream != own && lsn > implied.get(stream);
        if deps.iter(STREAMS_MAX).any(|(stream, lsn)| new(stream, lsn)) {
            Self::encode(deps, new)
        } else {
            Self::none()
        }
    }

    fn encode(lv: &Lv, chosen: impl Fn(StreamId, Lsn) -> bool) -> Self {
        let parts = || lv.iter(STREAMS_MAX).filter(|(stream, lsn)| chosen(*stream, *lsn));
        let mut vector = Self::none();
        vector.put_varint(parts().count() as u64);
        for (stream, lsn) in parts() {
            vector.put_u8(stream.get());
            vector.put_varint(lsn.get());
        }
        vector
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl Writer for Vector {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::new(StoreId::new([7; 16]), 3, StreamId::new(1))
    }

    fn frame(lsn: u64, kind: u8, vector: &[u8], body: &[u8]) -> Vec<u8> {
        let size = (vector.len() + body.len()) as u64;
        let head = Head::new(size, kind, !vector.is_empty());
        let mut bytes = head.word().to_le_bytes().to_vec();
        bytes.put_u64(sum(seed(), lsn, head, vector, body));
        bytes.put_bytes(vector);
        bytes.put_bytes(body);
        bytes.resize(framed_bytes(size) as usize, 0);
        bytes
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_written(
            lsn in any::<u64>(), parts in proptest::collection::vec(any::<u64>(), 0..16),
            body in proptest::collection::vec(any::<u8>(), 0..900), flip in any::<proptest::sample::Index>(),
        ) {
            let mut deps = Lv::ZERO;
            parts.iter().enumerate().for_each(|(s, x)| deps.set(StreamId::new(s as u8), Lsn::new(*x)));
            let vector = Vector::news(&deps, &Lv::ZERO, StreamId::new(15));
            let mut bytes = frame(lsn, 20, vector.as_bytes(), &body);
            let Parsed::Record(read) = parse(seed(), lsn, &bytes) else { panic!("not read") };
            let (lv, rest) = read.split().unwrap();
            prop_assert_eq!(rest, &body[..]);
            prop_assert_eq!(lv, deps);
            prop_assert_eq!(read.bytes(), bytes.len() as u64);
            prop_assert!(matches!(parse(seed(), lsn ^ 8, &bytes), Parsed::Bad));
            let covered = 16 + read.body.len();
            bytes[flip.index(covered)] ^= 4;
            prop_assert!(!matches!(parse(seed(), lsn, &bytes), Parsed::Record(_)));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(seed(), 8, &bytes);
            let _ = Frame { kind: 16, vector: true, body: &bytes }.split();
        }
    }

    #[test]
    fn a_record_is_valid_in_its_store_epoch_stream_and_place_only() {
        let bytes = frame(8, 20, &[], b"body");
        let others = [([8; 16], 3, 1, 8), ([7; 16], 4, 1, 8), ([7; 16], 3, 2, 8), ([7; 16], 3, 1, 16)];
        for (store, epoch, stream, lsn) in others {
            let seed = Seed::new(StoreId::new(store), epoch, StreamId::new(stream));
            assert!(matches!(parse(seed, lsn, &bytes), Parsed::Bad));
        }
        assert!(matches!(parse(seed(), 8, &bytes), Parsed::Record(_)));
    }

    #[test]
    fn zeros_are_no_record() {
        assert!(matches!(parse(seed(), 0, &[0; 64]), Parsed::Bad));
    }

    #[test]
    fn the_layout_is_that_of_the_format_page() {
        let bytes = frame(4096, 17, &[], b"abc");
        assert_eq!(bytes.len(), 24);
        assert_eq!(bytes[..8], [3, 0, 0, 0, 17, 0, 0, 0]);
        assert_eq!(bytes[16..], [b'a', b'b', b'c', 0, 0, 0, 0, 0]);
        let vector = Vector::of(&Lv::at(StreamId::new(2), Lsn::new(300)));
        assert_eq!(vector.as_bytes(), [1, 2, 0xac, 2]);
    }
}
