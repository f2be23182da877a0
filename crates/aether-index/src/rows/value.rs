//! Large values: extents of consecutive pages, written and read page by page.
//!
//! Each extent is allocated together with an undo record that frees it, then filled by groups of a few pages. The
//! leaf holds a stub: length, checksum, extents. More than a few extents stand in a list, which is written as one
//! more extent: so a value may have 4 GiB - 1 bytes at any page size.

use super::extents::{Extent, Extents, read_page};
use super::read::Seen;
use super::write::check_value;
use super::{FILE, Leaves, Rows, mtr_bytes};
use crate::traits::Anchor;
use aether_page::PageOp;
use aether_page::overflow::{self, ExtentList, Stub};
use aether_sync::Arc;
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ReadView, Txn, UndoKind, UndoRecord};
use aether_types::{Error, Hasher, PageNo, Psn, Result, checksum};
use std::borrow::Cow;
use std::io::Read;

/// Pages of an extent at the most: what a map page covers is the bound, and large values take large extents.
const EXTENT_PAGES_MAX: u64 = 1024;
/// Extents that a stub names itself.
const STUB_EXTENTS_MAX: usize = 8;
/// Bytes of a stub at the most.
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) const STUB_BYTES_MAX: u64 = Stub::len_bytes(STUB_EXTENTS_MAX) as u64;
/// Pages written in one group.
const GROUP_PAGES: u64 = 8;

/// Writes a value into extents that belong to `txn`, as part of the index `of`; returns its stub. Blocks.
///
/// # Errors
/// `InvalidInput` for a value that is too long, and if `from` ends early: then the transaction can only be aborted.
pub fn write_extents(
    txn: &mut Txn,
    of: Anchor,
    key: &[u8],
    length: u64,
    from: &mut dyn Read,
) -> Result<Vec<u8>> {
    check_value(length, key)?;
    txn.begin_write()?;
    let store = txn.store().clone();
    let writer = ExtentWriter { store: &store, of };
    let written = writer.write(txn, length, from).map_err(|error| error.at_key(key));
    if written.is_err() {
        txn.fail();
    }
    written
}

/// Reads a value of `length` bytes that lies with its row.
///
/// # Errors
/// `InvalidInput` if `from` ends early.
pub(crate) fn read_short(key: &[u8], length: u64, from: &mut dyn Read) -> Result<Vec<u8>> {
    let mut source = Source { from, left: length, sum: Hasher::new(0) };
    source.next(length as usize).map_err(|error| error.at_key(key))
}

struct ExtentWriter<'s> {
    store: &'s Store,
    of: Anchor,
}

impl ExtentWriter<'_> {
    fn write(&self, txn: &mut Txn, length: u64, from: &mut dyn Read) -> Result<Vec<u8>> {
        let mut source = Source { from, left: length, sum: Hasher::new(0) };
        let mut extents = self.write_pages(txn, &mut source)?;
        let mut listed = 0;
        if extents.len() > STUB_EXTENTS_MAX {
            let mut list = Vec::with_capacity(16 * extents.len());
            ExtentList::encode(&extents, &mut list);
            listed = extents.len() as u32;
            let left = list.len() as u64;
            extents =
                self.write_pages(txn, &mut Source { from: &mut &list[..], left, sum: Hasher::new(0) })?;
        }
        let mut bytes = Vec::new();
        Stub { len: length, checksum: source.sum.finish(), listed, extents }.encode(&mut bytes);
        Ok(bytes)
    }

    /// Writes all bytes of `source` into extents.
    fn write_pages(&self, txn: &mut Txn, source: &mut Source<'_>) -> Result<Vec<Extent>> {
        let page_bytes = overflow::capacity(self.store.page_size()) as u64;
        let mut pages_left = source.left.div_ceil(page_bytes);
        let mut extents = Vec::new();
        while pages_left > 0 {
            let pages = pages_left.min(EXTENT_PAGES_MAX);
            let (first, floor) = self.allocate_extent(txn, pages)?;
            self.fill_extent(txn, first, pages, floor, source)?;
            extents.push((first, pages));
            pages_left -= pages;
        }
        Ok(extents)
    }

    /// Allocates consecutive pages and logs, in the same group, how to free them.
    fn allocate_extent(&self, txn: &mut Txn, pages: u64) -> Result<(PageNo, Psn)> {
        let stream = txn.begin_write()?.stream();
        let (place, plan) = {
            let mut mtr = self.store.mtr(stream, mtr_bytes(self.store))?;
            txn.latch_undo(&mut mtr)?;
            let (first, floor) = mtr.allocate_run(pages)?;
            let mut stub = Vec::new();
            Stub { len: 0, checksum: floor.get(), listed: 0, extents: vec![(first, pages)] }
                .encode(&mut stub);
            let record = UndoRecord {
                txn: txn.id(),
                previous: txn.undo_head(),
                kind: UndoKind::WriteExtents,
                flags: 0,
                in_parts: false,
                index: self.of.kind,
                root: self.of.root,
                tree: self.of.id,
                key: &[],
                version: None,
                value: &stub,
            };
            let plan = txn.log_undo(&mut mtr, &record)?;
            mtr.commit();
            ((first, floor), plan)
        };
        txn.applied(plan);
        Ok(place)
    }

    fn fill_extent(
        &self,
        txn: &Txn,
        first: PageNo,
        pages: u64,
        floor: Psn,
        source: &mut Source<'_>,
    ) -> Result<()> {
        let stream = txn.stream().expect("begin_write was called");
        let capacity = overflow::capacity(self.store.page_size());
        let page_bytes = self.store.page_size().bytes();
        let room = (self.store.group_bytes_max() / (page_bytes + 64)) as u64;
        for start in (0..pages).step_by(GROUP_PAGES.min(room) as usize) {
            let group: Vec<Vec<u8>> = (start..pages.min(start + GROUP_PAGES.min(room)))
                .map(|_| source.next(capacity))
                .collect::<Result<_>>()?;
            let mut mtr = self.store.mtr(stream, group.len() * (page_bytes + 64))?;
            for (at, bytes) in group.into_iter().enumerate() {
                let index = start + at as u64;
                let guard = self.store.pool().create(FILE, first.offset(index))?;
                let page = mtr.add_fresh(guard, floor);
                mtr.op(page, PageOp::OverflowInit { index: index as u32, first, bytes: Cow::Owned(bytes) })?;
            }
            mtr.commit();
        }
        Ok(())
    }
}

/// Appends the whole value behind a stub to `out`. Blocks.
///
/// # Errors
/// `Corruption` if a page is not part of the value, or the value not what the stub says.
pub fn read_extents(store: &Arc<Store>, stub: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let stub = Stub::decode(stub)?;
    let mut reader = ExtentReader::new(store, &stub)?;
    let length = usize::try_from(stub.len).map_err(|_| Error::corruption("a value longer than memory"))?;
    // The stub is not trusted with memory: the pages must be there before their bytes are.
    out.reserve(length.min(1 << 20));
    while reader.next_page(out)? {}
    if out.len() - start != length || checksum(0, &out[start..]) != reader.checksum {
        return Err(Error::corruption("a large value does not match its length and checksum").at_file(FILE));
    }
    Ok(())
}

impl<L: Leaves> Rows<L> {
    /// A reader of the value of `key`, page by page; `None` if there is none. `view` must outlive the reading.
    pub fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        let mut row = Vec::new();
        Ok(match self.get_row(view, key, &mut row)? {
            Seen::Absent | Seen::Missing => None,
            Seen::Stub => Some(ValueReader::of_stub(self.store(), &row)?),
            Seen::Value => Some(ValueReader::of_bytes(row)),
        })
    }
}

/// The bytes still to be written.
struct Source<'f> {
    from: &'f mut dyn Read,
    left: u64,
    sum: Hasher,
}

impl Source<'_> {
    fn next(&mut self, capacity: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (self.left).min(capacity as u64) as usize];
        self.from.read_exact(&mut bytes).map_err(|error| self.cut_short(error))?;
        self.left -= bytes.len() as u64;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    /// An error of ours comes from a value that is stored, and is not the caller's.
    fn cut_short(&self, error: std::io::Error) -> Error {
        let early = |error| Error::invalid(format!("the value ended {} bytes early: {error}", self.left));
        error.downcast::<Error>().unwrap_or_else(early)
    }
}

/// Reads a value piece by piece, in bounded memory. The whole value's checksum is checked at its end.
pub struct ValueReader {
    len: u64,
    from: From,
}

/// Where a value stands.
enum From {
    Memory { value: Vec<u8>, at: usize },
    Extents(Box<ExtentReader>),
    Elsewhere(Box<dyn Read + Send>),
}

/// Reads extents page by page.
struct ExtentReader {
    store: Arc<Store>,
    checksum: u64,
    extents: Vec<Extent>,
    extent: usize,
    page: u64,
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    sum: Hasher,
}

impl ValueReader {
    /// A reader of the value behind a stub. Blocks for a list of extents.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn of_stub(store: &Arc<Store>, stub: &[u8]) -> Result<Self> {
        let stub = Stub::decode(stub)?;
        let reader = ExtentReader::new(store, &stub)?;
        Ok(Self { len: stub.len, from: From::Extents(Box::new(reader)) })
    }

    /// A reader of a value that is there already.
    pub fn of_bytes(value: Vec<u8>) -> Self {
        Self { len: value.len() as u64, from: From::Memory { value, at: 0 } }
    }

    /// A reader of a value of `len` bytes that an index keeps in its own way.
    pub fn of_reader(from: impl Read + Send + 'static, len: u64) -> Self {
        Self { len, from: From::Elsewhere(Box::new(from)) }
    }

    /// The value, if it is in memory, and nothing of it was read.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.from {
            From::Memory { value, at: 0 } => Some(value),
            _ => None,
        }
    }

    /// Bytes of the value.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for an empty value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl ExtentReader {
    fn new(store: &Arc<Store>, stub: &Stub) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            checksum: stub.checksum,
            extents: Extents::of(store, stub)?.data,
            extent: 0,
            page: 0,
            left: stub.len,
            buffer: Vec::new(),
            at: 0,
            sum: Hasher::new(0),
        })
    }

    /// Appends the bytes of the next page; false at the end.
    fn next_page(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let Some(&(first, pages)) = self.extents.get(self.extent) else { return Ok(false) };
        let start = out.len();
        let read = read_page(&self.store, first, self.page, out)? as u64;
        self.sum.update(&out[start..]);
        let too_long = || {
            let what = "a value is longer than its stub says";
            Error::corruption(what).at_file(FILE).at_page(first.offset(self.page))
        };
        self.left = self.left.checked_sub(read).ok_or_else(too_long)?;
        self.page += 1;
        if self.page == pages {
            (self.extent, self.page) = (self.extent + 1, 0);
        }
        Ok(true)
    }

    /// Reads the next page, once all before was given out.
    fn fill(&mut self) -> Result<()> {
        let mut buffer = core::mem::take(&mut self.buffer);
        buffer.clear();
        let more = self.next_page(&mut buffer)?;
        (self.buffer, self.at) = (buffer, 0);
        let is_cut = !more && (self.left != 0 || self.sum.finish() != self.checksum);
        if is_cut && !self.extents.is_empty() {
            return Err(Error::corruption("a large value does not match its checksum"));
        }
        Ok(())
    }
}

impl Read for ExtentReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.buffer.len() {
            self.fill().map_err(std::io::Error::other)?;
        }
        Ok(give(&self.buffer, &mut self.at, into))
    }
}

/// Copies what is left of `from` behind `at`, as much as there is room for.
fn give(from: &[u8], at: &mut usize, into: &mut [u8]) -> usize {
    let count = into.len().min(from.len() - *at);
    into[..count].copy_from_slice(&from[*at..*at + count]);
    *at += count;
    count
}

impl Read for ValueReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.from {
            From::Memory { value, at } => Ok(give(value, at, into)),
            From::Extents(reader) => reader.read(into),
            From::Elsewhere(reader) => reader.read(into),
        }
    }
}
