//! The parts of a run file that are not blocks, behind its header: tail and footer. Layout: `docs/formats.md`, "Runs".

use super::head::{FileKind, HEADER_BYTES, Seed, check_footer, footer, footer_at};
use super::info::RunInfo;
use super::ranges::Ranges;
use super::top::{Partition, Top};
use super::version::RangeTombstone;
use aether_types::{Error, FileId, Hasher, PageNo, Reader, Result, Timestamp, Writer, checksum};

/// What the header of a run says of it.
pub(super) const KIND: FileKind =
    FileKind { magic: b"AETHSRUN", end_magic: b"AETHREND", version: 1, what: "run", unit: "page size" };

/// Bytes of a block before what may be compressed: checksum, codec, length in memory.
pub(super) const BLOCK_HEAD_BYTES: usize = 11;

/// The number of the tail's checksum.
const TAIL: u64 = u64::MAX - 1;

/// The head of a block that takes `len` bytes in memory, with its checksum.
pub(super) fn block_head(
    seed: Seed,
    page: PageNo,
    codec: u8,
    len: usize,
    body: &[u8],
) -> [u8; BLOCK_HEAD_BYTES] {
    let mut head = [0; BLOCK_HEAD_BYTES];
    head[8] = codec;
    head[9..].copy_from_slice(&(len as u16).to_le_bytes());
    let sum = Hasher::new(seed.of(page.get())).update(&head[8..]).update(body).finish();
    head[..8].copy_from_slice(&sum.to_le_bytes());
    head
}

/// Codec, length in memory and body of a block.
///
/// # Errors
/// `Corruption`, if the checksum is another.
pub(super) fn open_block(seed: Seed, page: PageNo, bytes: &[u8]) -> Result<(u8, usize, &[u8])> {
    let mut reader = Reader::new(bytes);
    let sum = reader.u64()?;
    if checksum(seed.of(page.get()), &bytes[8..]) != sum {
        return Err(Error::corruption(
            "the checksum of a block differs: it is damaged, misplaced or foreign",
        ));
    }
    let (codec, len) = (reader.u8()?, usize::from(reader.u16()?));
    Ok((codec, len, reader.bytes(reader.remaining())?))
}

/// Stamps the checksum of a block.
#[cfg(feature = "fuzzing")]
pub(super) fn seal_block(seed: Seed, page: PageNo, block: &mut [u8]) {
    let sum = checksum(seed.of(page.get()), &block[8..]);
    block[..8].copy_from_slice(&sum.to_le_bytes());
}

/// Stamps the checksum of the tail that the footer of a file names, if it can.
#[cfg(feature = "fuzzing")]
pub(super) fn seal_tail(seed: Seed, file: &mut [u8]) {
    let at = footer_at(file.len() as u64) as usize;
    let word = |at: usize| file[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (start, bytes) = (word(at + 8), word(at + 16));
    if let Some(tail) = file.get(start as usize..start.saturating_add(bytes) as usize) {
        let sum = checksum(seed.of(TAIL), tail);
        file[at + 24..at + 32].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Where the tail is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footer {
    pub(super) tail_at: u64,
    pub(super) tail_bytes: u64,
    pub(super) file_bytes: u64,
    tail_sum: u64,
}

impl Footer {
    pub(super) fn new(seed: Seed, tail_at: u64, tail: &[u8], file_bytes: u64) -> Self {
        let tail_sum = checksum(seed.of(TAIL), tail);
        Self { tail_at, tail_bytes: tail.len() as u64, file_bytes, tail_sum }
    }

    pub(super) fn encode(&self, seed: Seed) -> Vec<u8> {
        footer(&KIND, seed, [self.tail_at, self.tail_bytes, self.tail_sum], self.file_bytes)
    }

    /// Reads the footer of a file of `file_bytes`, the end of `bytes`; its offsets lie inside the file.
    ///
    /// # Errors
    /// `Corruption`: most often the file was cut.
    pub(super) fn decode(seed: Seed, bytes: &[u8], file_bytes: u64) -> Result<Self> {
        let [tail_at, tail_bytes, tail_sum] = check_footer(&KIND, seed, bytes, file_bytes)?;
        let at = footer_at(file_bytes);
        if tail_at < HEADER_BYTES as u64 || tail_at.checked_add(tail_bytes).is_none_or(|end| end > at) {
            return Err(Error::corruption("the footer of a run names places outside the file").at_offset(at));
        }
        Ok(Self { tail_at, tail_bytes, file_bytes, tail_sum })
    }

    /// # Errors
    /// `Corruption`, if the tail is not the one that was written.
    pub(super) fn check_tail(&self, seed: Seed, tail: &[u8]) -> Result<()> {
        if checksum(seed.of(TAIL), tail) == self.tail_sum {
            return Ok(());
        }
        Err(Error::corruption("the checksum of a run's tail differs").at_offset(self.tail_at))
    }
}

/// What a reader keeps in memory of a run.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) info: RunInfo,
    pub(super) dictionary: Vec<u8>,
    pub(super) top: Top,
    pub(super) ranges: Ranges,
    /// Bytes of each block in the file, in their order.
    pub(super) lengths: Vec<u16>,
}

impl Tail {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_info(&mut out, &self.info);
        out.put_string(&self.dictionary);
        out.put_varint(self.top.leaves().len() as u64);
        self.top.leaves().for_each(|page| out.put_varint(page.get()));
        out.put_varint(self.top.partitions().len() as u64);
        for partition in self.top.partitions() {
            out.put_string(partition.separator);
            out.put_varint(partition.filter.map_or(0, PageNo::get));
            out.put_varint(partition.leaf as u64);
        }
        out.put_varint(self.ranges.iter().count() as u64);
        for range in self.ranges.iter() {
            out.put_string(&range.from);
            out.put_string(&range.to);
            out.put_varint(range.timestamp.get());
        }
        out.put_varint(self.lengths.len() as u64);
        self.lengths.iter().for_each(|length| out.put_u16(*length));
        out
    }

    /// Reads the tail of the run `file`, whose blocks take `block_bytes`. Every count and reference is checked.
    ///
    /// # Errors
    /// `Corruption` at an offset in `bytes`.
    pub(super) fn decode(bytes: &[u8], file: FileId, file_bytes: u64, block_bytes: u64) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let info = read_info(&mut reader, file, file_bytes)?;
        let dictionary = reader.string()?.to_vec();
        let leaves = read_list(&mut reader, |reader| reader.varint().map(PageNo::new))?;
        let partitions = read_list(&mut reader, |reader| {
            let separator = reader.string()?.to_vec();
            let filter = Some(reader.varint()?).filter(|page| *page > 0).map(PageNo::new);
            let leaf = reader.varint_below(leaves.len() as u64)? as usize;
            Ok(Partition { separator, filter, leaf })
        })?;
        let ranges = read_list(&mut reader, |reader| {
            let (from, to) = (reader.string()?.to_vec(), reader.string()?.to_vec());
            Ok(RangeTombstone { from, to, timestamp: Timestamp::new(reader.varint()?) })
        })?;
        let ranges = Ranges::from_sorted(ranges).ok_or_else(|| reader.bad("range tombstones overlap"))?;
        let lengths = read_list(&mut reader, Reader::u16)?;
        reader.finish()?;
        let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if sum != block_bytes || lengths.iter().any(|length| usize::from(*length) < BLOCK_HEAD_BYTES) {
            return Err(reader.bad("the lengths of the blocks do not add up"));
        }
        let top = Top::new(leaves, partitions, lengths.len() as u64)
            .ok_or_else(|| reader.bad("the index is out of order"))?;
        Ok(Self { info, dictionary, top, ranges, lengths })
    }
}

fn put_info(out: &mut Vec<u8>, info: &RunInfo) {
    [info.entries, info.tombstones, info.range_tombstones, info.newest.get()]
        .into_iter()
        .for_each(|number| out.put_varint(number));
    out.put_string(&info.smallest);
    out.put_string(&info.largest);
    out.put_u8(u8::from(info.is_largest_excluded));
}

fn read_info(reader: &mut Reader<'_>, file: FileId, bytes: u64) -> Result<RunInfo> {
    Ok(RunInfo {
        file,
        bytes,
        entries: reader.varint()?,
        tombstones: reader.varint()?,
        range_tombstones: reader.varint()?,
        newest: Timestamp::new(reader.varint()?),
        smallest: reader.string()?.to_vec(),
        largest: reader.string()?.to_vec(),
        is_largest_excluded: reader.u8()? == 1,
    })
}

/// A count, which cannot be more than there are bytes, and so many of what `read` reads.
fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = reader.varint_below(reader.remaining() as u64 + 1)?;
    (0..count).map(|_| read(reader)).collect()
}
