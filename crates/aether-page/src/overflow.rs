//! Large values: the pages of an extent, and the stub that stands in the leaf.

use crate::{PageMut, View};
use aether_types::{PageNo, PageSize, Reader, Result, Writer};

/// Offset of the count of bytes.
pub const LEN_AT: usize = 32;
/// Offset of the page's index in its extent.
pub const INDEX_AT: usize = 36;
/// Offset of the extent's first page.
pub const FIRST_AT: usize = 40;
/// Offset of the bytes.
pub const BYTES_AT: usize = 64;

/// Bytes of a value that fit into one page.
pub fn capacity(page_size: PageSize) -> usize {
    page_size.bytes() - BYTES_AT
}

/// Bytes of the value in this page.
pub fn len(view: View) -> usize {
    (view.u32_at(LEN_AT) as usize).min(view.len_bytes().saturating_sub(BYTES_AT))
}

/// The index of this page in its extent.
pub fn index(view: View) -> u32 {
    view.u32_at(INDEX_AT)
}

/// The first page of the extent.
pub fn first(view: View) -> PageNo {
    PageNo::new(view.word(FIRST_AT / 8))
}

/// Appends the bytes of the value in this page to `out`.
pub fn bytes_into(view: View, out: &mut Vec<u8>) {
    view.append_to(BYTES_AT, len(view), out);
}

/// Writes the body; the rest is zero already.
pub(crate) fn init(page: PageMut, index: u32, first: PageNo, bytes: &[u8]) {
    page.put_u32(LEN_AT, bytes.len() as u32);
    page.put_u32(INDEX_AT, index);
    page.put_word(FIRST_AT / 8, first.get());
    page.put_bytes(BYTES_AT, bytes);
}

/// What stands in the leaf for a large value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stub {
    /// Bytes of the value.
    pub len: u64,
    /// The checksum of the value, under seed 0.
    pub checksum: u64,
    /// Extents of the value, if they stand in a list of their own; 0: they are named here.
    pub listed: u32,
    /// First page and page count of each extent of the value, or of the list.
    pub extents: Vec<(PageNo, u64)>,
}

impl Stub {
    /// Bytes of a stub with this many extents.
    pub const fn len_bytes(extents: usize) -> usize {
        24 + 16 * extents
    }

    /// Appends the stub to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.len);
        out.put_u64(self.checksum);
        out.put_u32(self.extents.len() as u32);
        out.put_u32(self.listed);
        ExtentList::encode(&self.extents, out);
    }

    /// Reads a stub.
    ///
    /// # Errors
    /// `Corruption` unless the bytes are exactly a stub, with pages that can be.
    pub fn decode(bytes: &[u8]) -> Result<Stub> {
        let mut reader = Reader::new(bytes);
        let (len, checksum, count, listed) = (reader.u64()?, reader.u64()?, reader.u32()?, reader.u32()?);
        let extents = (0..count).map(|_| extent(&mut reader)).collect::<Result<_>>()?;
        reader.finish()?;
        Ok(Stub { len, checksum, listed, extents })
    }
}

/// Extents as bytes: first page (8) and page count (8) of each.
#[derive(Debug)]
pub struct ExtentList;

impl ExtentList {
    /// Appends the extents to `out`.
    pub fn encode(extents: &[(PageNo, u64)], out: &mut Vec<u8>) {
        for (first, pages) in extents {
            out.put_u64(first.get());
            out.put_u64(*pages);
        }
    }

    /// Reads `count` extents.
    ///
    /// # Errors
    /// `Corruption` unless the bytes are exactly these, with pages that can be.
    pub fn decode(bytes: &[u8], count: u32) -> Result<Vec<(PageNo, u64)>> {
        let mut reader = Reader::new(bytes);
        let extents = (0..count).map(|_| extent(&mut reader)).collect::<Result<_>>()?;
        reader.finish()?;
        Ok(extents)
    }
}

fn extent(reader: &mut Reader) -> Result<(PageNo, u64)> {
    let (first, pages) = (reader.u64()?, reader.u64()?);
    let fits = first < PageNo::END && pages <= PageNo::END - first;
    if !fits || first == 0 || pages == 0 {
        return Err(reader.bad(format!("an extent of {pages} pages at page {first}")));
    }
    Ok((PageNo::new(first), pages))
}
