//! Large values: extents of consecutive pages, written and read page by page.
//!
//! Each extent is allocated together with an undo record that frees it, then filled by groups of a few pages. The
//! leaf holds a stub: length, checksum, extents. More than a few extents stand in a list, which is written as one
//! more extent: so a value may have 4 GiB - 1 bytes at any page size.

use super::extents::{Extent, Extents, read_page};
use super::write::check_value;
use super::{BTree, FILE, mtr_bytes};
use aether_page::PageOp;
use aether_page::overflow::{self, ExtentList, Stub};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ReadView, Txn, UndoKind, UndoRecord};
use aether_types::{Error, Hasher, IndexKind, PageNo, Psn, Result, checksum};
use std::borrow::Cow;
use std::io::Read;

/// Pages of an extent at the most: what a map page covers is the bound, and large values take large extents.
const EXTENT_PAGES_MAX: u64 = 1024;
/// Extents that a stub names itself.
const STUB_EXTENTS_MAX: usize = 8;
/// Pages written in one group.
const GROUP_PAGES: u64 = 8;

impl BTree {
    /// Writes a value into extents that belong to `txn`; returns its stub.
    pub(crate) fn write_extents(
        &self,
        txn: &mut Txn,
        key: &[u8],
        length: u64,
        from: &mut dyn Read,
    ) -> Result<Vec<u8>> {
        check_value(length, key)?;
        txn.begin_write()?;
        let written = self.try_write_extents(txn, length, from).map_err(|error| error.at_key(key));
        if written.is_err() {
            txn.fail();
        }
        written
    }

    fn try_write_extents(&self, txn: &mut Txn, length: u64, from: &mut dyn Read) -> Result<Vec<u8>> {
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
        let page_bytes = overflow::capacity(self.store().page_size()) as u64;
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
            let mut mtr = self.store().mtr(stream, mtr_bytes(self.store()))?;
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
                index: IndexKind::BTREE,
                root: self.root(),
                tree: self.id(),
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
        let capacity = overflow::capacity(self.store().page_size());
        let page_bytes = self.store().page_size().bytes();
        let room = (self.store().group_bytes_max() / (page_bytes + 64)) as u64;
        for start in (0..pages).step_by(GROUP_PAGES.min(room) as usize) {
            let group: Vec<Vec<u8>> = (start..pages.min(start + GROUP_PAGES.min(room)))
                .map(|_| source.next(capacity))
                .collect::<Result<_>>()?;
            let mut mtr = self.store().mtr(stream, group.len() * (page_bytes + 64))?;
            for (at, bytes) in group.into_iter().enumerate() {
                let index = start + at as u64;
                let guard = self.pool().create(FILE, first.offset(index))?;
                let page = mtr.add_fresh(guard, floor);
                mtr.op(page, PageOp::OverflowInit { index: index as u32, first, bytes: Cow::Owned(bytes) })?;
            }
            mtr.commit();
        }
        Ok(())
    }

    /// Appends the whole value behind a stub to `out`.
    pub(crate) fn read_extents(&self, stub: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let mut reader = ValueReader::new(self.clone(), &Stub::decode(stub)?)?;
        let length =
            usize::try_from(reader.len).map_err(|_| Error::corruption("a value longer than memory"))?;
        // The stub is not trusted with memory: the pages must be there before their bytes are.
        out.reserve(length.min(1 << 20));
        while reader.next_page(out)? {}
        if out.len() - start != length || checksum(0, &out[start..]) != reader.checksum {
            return Err(
                Error::corruption("a large value does not match its length and checksum").at_file(FILE)
            );
        }
        Ok(())
    }

    /// A reader of the value of `key`, page by page; `None` if there is none. `view` must outlive the reading.
    pub fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        let mut row = Vec::new();
        Ok(match self.get_row(view, key, &mut row)? {
            super::read::Seen::Absent => None,
            super::read::Seen::Stub => Some(ValueReader::new(self.clone(), &Stub::decode(&row)?)?),
            super::read::Seen::Value => Some(ValueReader::inline(self.clone(), row)),
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
        self.from
            .read_exact(&mut bytes)
            .map_err(|error| Error::invalid(format!("the value ended {} bytes early: {error}", self.left)))?;
        self.left -= bytes.len() as u64;
        self.sum.update(&bytes);
        Ok(bytes)
    }
}

/// Reads a value page by page, in bounded memory. The whole value's checksum is checked at its end.
pub struct ValueReader {
    tree: BTree,
    len: u64,
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
    fn new(tree: BTree, stub: &Stub) -> Result<Self> {
        let extents = Extents::of(tree.store(), stub)?.data;
        let &Stub { len, checksum, .. } = stub;
        let (buffer, sum) = (Vec::new(), Hasher::new(0));
        Ok(Self { tree, len, checksum, extents, extent: 0, page: 0, left: len, buffer, at: 0, sum })
    }

    fn inline(tree: BTree, value: Vec<u8>) -> Self {
        let (len, extents, sum) = (value.len() as u64, Vec::new(), Hasher::new(0));
        Self { tree, len, checksum: 0, extents, extent: 0, page: 0, left: 0, buffer: value, at: 0, sum }
    }

    /// Bytes of the value.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for an empty value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the bytes of the next page; false at the end.
    fn next_page(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let Some(&(first, pages)) = self.extents.get(self.extent) else { return Ok(false) };
        let start = out.len();
        let read = read_page(self.tree.store(), first, self.page, out)? as u64;
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
}

impl Read for ValueReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.buffer.len() {
            let mut buffer = core::mem::take(&mut self.buffer);
            buffer.clear();
            let more = self.next_page(&mut buffer).map_err(std::io::Error::other)?;
            (self.buffer, self.at) = (buffer, 0);
            let ended = !more && !self.extents.is_empty();
            if ended && (self.left != 0 || self.sum.finish() != self.checksum) {
                return Err(std::io::Error::other(Error::corruption(
                    "a large value does not match its checksum",
                )));
            }
        }
        let count = into.len().min(self.buffer.len() - self.at);
        into[..count].copy_from_slice(&self.buffer[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
