//! Parts of groups on their way to the thread that applies them.

use crate::group::{PageHead, read_head, read_page_head, read_stripe_head, read_stripes};
use crate::rows::{ROWS_FILE, RowOp};
use aether_page::PageOp;
use aether_types::{FileId, Lsn, Lv, PageNo, PageSize, Psn, Reader, Result, StreamId};
use aether_wal::Record;
use aether_wal::buffer::page as aether_page;

/// A page's or stripe's part of a group, still encoded.
pub(super) struct Part<'r> {
    pub(super) file: FileId,
    pub(super) page: PageNo,
    psn: Psn,
    begins_life: bool,
    count: u64,
    ops: &'r [u8],
}

/// Every part of a group, in its order.
///
/// # Errors
/// `Corruption` naming the position if the group cannot be read.
pub(super) fn parts_of(
    record: &Record<'_>,
    page_size: PageSize,
    each: &mut dyn FnMut(Part<'_>),
) -> Result<()> {
    let mut reader = Reader::new(record.body);
    let mut read = || {
        let (_, pages) = read_head(&mut reader)?;
        for _ in 0..pages {
            each(read_part(&mut reader, record.body, page_size)?);
        }
        for _ in 0..read_stripes(&mut reader, record.kind)? {
            each(read_rows(&mut reader, record.body, page_size)?);
        }
        reader.finish()
    };
    read().map_err(|error| error.at_offset(record.lsn.get()))
}

fn read_part<'r>(reader: &mut Reader<'r>, body: &'r [u8], page_size: PageSize) -> Result<Part<'r>> {
    let PageHead { file, page, psn, count } = read_page_head(reader)?;
    let (start, mut begins_life) = (reader.position(), false);
    for at in 0..count {
        let op = PageOp::decode(reader, page_size)?;
        begins_life |= at == 0 && op.is_init();
    }
    Ok(Part { file, page, psn, begins_life, count, ops: &body[start..reader.position()] })
}

fn read_rows<'r>(reader: &mut Reader<'r>, body: &'r [u8], page_size: PageSize) -> Result<Part<'r>> {
    let (place, count) = read_stripe_head(reader)?;
    let start = reader.position();
    (0..count).try_for_each(|_| RowOp::decode(reader, page_size).map(|_| ()))?;
    let (file, page, psn) = (ROWS_FILE, place.page(), place.psn);
    Ok(Part { file, page, psn, begins_life: false, count, ops: &body[start..reader.position()] })
}

/// A part as a batch has it.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) psn: Psn,
    pub(super) stream: StreamId,
    pub(super) lsn: Lsn,
    /// Its first operation needs nothing of the page's old bytes.
    pub(super) begins_life: bool,
    end: Lsn,
    vector: u32,
    count: u32,
    /// Where its operations begin and end; in the order of the log.
    ops: (u32, u32),
}

/// Parts, not yet applied, and what they share.
#[derive(Default)]
pub(super) struct Batch {
    ops: Vec<u8>,
    entries: Vec<Entry>,
    /// The vectors of groups, each without its own stream's component; many groups share one.
    vectors: Vec<Lv>,
    /// Place and index of each entry, sorted once the batch is full: by page, those of one page in the order of the log.
    order: Vec<(Place, u32)>,
}

/// File and page.
type Place = (FileId, PageNo);

impl Batch {
    pub(super) fn push(&mut self, record: &Record<'_>, part: &Part<'_>) {
        let mut vector = record.lv;
        vector.set(record.stream, Lsn::new(0));
        if self.vectors.last() != Some(&vector) {
            self.vectors.push(vector);
        }
        let start = self.ops.len();
        self.ops.extend_from_slice(part.ops);
        self.order.push(((part.file, part.page), self.entries.len() as u32));
        self.entries.push(Entry {
            psn: part.psn,
            stream: record.stream,
            lsn: record.lsn,
            begins_life: part.begins_life,
            end: record.end,
            vector: self.vectors.len() as u32 - 1,
            count: part.count as u32,
            ops: (start as u32, self.ops.len() as u32),
        });
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let shared = self.ops.len() + size_of_val(&self.vectors[..]);
        shared + self.entries.len() * (size_of::<Entry>() + size_of::<(Place, u32)>())
    }

    /// Forgets everything but its memory.
    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.entries.clear();
        self.vectors.clear();
        self.order.clear();
    }

    pub(super) fn sort(&mut self) {
        self.order.sort_unstable();
    }

    /// The parts of each page, in rising order of pages, once sorted.
    pub(super) fn pages(&self) -> Vec<OfPage<'_>> {
        let of_one = |(left, _): &(Place, u32), (right, _): &(Place, u32)| left == right;
        self.order.chunk_by(of_one).map(|order| OfPage { batch: self, order }).collect()
    }
}

/// The parts of one page, at least one, in the order of the log.
#[derive(Clone, Copy)]
pub(super) struct OfPage<'b> {
    batch: &'b Batch,
    order: &'b [(Place, u32)],
}

impl<'b> OfPage<'b> {
    pub(super) fn place(self) -> Place {
        self.order[0].0
    }

    pub(super) fn entries(self) -> impl Iterator<Item = &'b Entry> {
        self.order.iter().map(move |(_, at)| &self.batch.entries[*at as usize])
    }

    /// True if the first part needs nothing of the page's old bytes.
    pub(super) fn begins_life(self) -> bool {
        self.entries().next().is_some_and(|first| first.begins_life)
    }

    /// The operations of a stripe's part.
    ///
    /// # Errors
    /// None: they were read before.
    pub(super) fn decode_rows(self, entry: &Entry, page_size: PageSize) -> Result<Vec<RowOp<'b>>> {
        let mut reader = Reader::new(&self.batch.ops[entry.ops.0 as usize..entry.ops.1 as usize]);
        (0..entry.count).map(|_| RowOp::decode(&mut reader, page_size)).collect()
    }

    /// The operations of a part, in `room`, which is empty then.
    ///
    /// # Errors
    /// None: they were read before.
    pub(super) fn decode(
        self,
        entry: &Entry,
        page_size: PageSize,
        room: &mut Vec<PageOp<'b>>,
    ) -> Result<Vec<PageOp<'b>>> {
        let mut ops = core::mem::take(room);
        ops.clear();
        let mut reader = Reader::new(&self.batch.ops[entry.ops.0 as usize..entry.ops.1 as usize]);
        for _ in 0..entry.count {
            ops.push(PageOp::decode(&mut reader, page_size)?);
        }
        Ok(ops)
    }

    /// The vector of a part's group.
    pub(super) fn vector(self, entry: &Entry) -> Lv {
        let mut lv = self.batch.vectors[entry.vector as usize];
        lv.set(entry.stream, entry.end);
        lv
    }
}
