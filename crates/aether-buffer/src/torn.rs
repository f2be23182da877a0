//! The double-write area: page writes that survive tearing at 512-byte sectors in any order (P4).
//!
//! A batch of sealed pages is written here first, in one durable write; only then do the pages go to their
//! places. After a crash either the batch here is whole, and any torn page in place is restored from it, or it
//! is not, and then no page in place was being written. One batch is kept: the next one overwrites it only after
//! the pages of the last one were synced in place.
//!
//! The header also says up to where the log was durable before any page so far went to its place: a log that ends
//! before has lost something, even if its end looks like one that a crash has torn.
//!
//! ```text
//! block 0 (4096): magic "AETHDBLW" (8), version (4), page size (4), store id (16), batch number (8),
//!                 count (4), reserved (4), then per page FileId (4), reserved (4), page number (8);
//!                 at 2048: what the log was durable up to, 16 positions (8 each);
//!                 the last 8 bytes of the block: checksum of the rest, seed: store seed
//! then the pages, each sealed for its own place
//! ```

use aether_page::{PageFile, verify};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{
    Error, FileId, Lsn, Lv, PageNo, PageSize, Reader, Result, StoreId, StreamId, Writer, checksum,
};
use aether_vfs::{AlignedBuf, Create, Env, File, Mode, OpenOptions};
use std::collections::BTreeMap;
use std::path::Path;

/// Pages in a batch at the most.
pub const BATCH_PAGES: usize = 64;
const HEADER_BYTES: usize = 4096;
/// Where the header has the positions of the log.
const LOG_AT: usize = 2048;
const MAGIC: &[u8; 8] = b"AETHDBLW";
const VERSION: u32 = 1;

/// The name of the area inside a home.
pub const DOUBLE_WRITE_NAME: &str = "double-write";

/// The double-write area of a home.
pub struct DoubleWrite {
    file: Arc<dyn File>,
    store: StoreId,
    page_size: PageSize,
    batch: u64,
    /// Up to where the log was durable before the last batch; never goes back.
    log_durable: Lv,
}

/// Sealed pages on their way to the files, in one aligned buffer behind room for the area's header.
pub struct Batch {
    buffer: AlignedBuf,
    pages: Vec<(FileId, PageNo)>,
    page_size: PageSize,
}

/// What the area's header says.
struct Header {
    pages: Vec<(FileId, PageNo)>,
    log_durable: Lv,
}

/// Consecutive pages of one file.
pub struct Run<'b> {
    /// The file.
    pub file: FileId,
    /// The first page.
    pub page: PageNo,
    /// The bytes of all of them.
    pub bytes: &'b [u8],
}

impl Batch {
    /// An empty batch.
    pub fn new(page_size: PageSize) -> Self {
        let buffer = AlignedBuf::new(HEADER_BYTES + BATCH_PAGES * page_size.bytes());
        Self { buffer, pages: Vec::with_capacity(BATCH_PAGES), page_size }
    }

    /// Bytes of memory of a batch.
    pub fn memory_bytes(page_size: PageSize) -> u64 {
        (HEADER_BYTES + BATCH_PAGES * page_size.bytes()) as u64
    }

    /// Pages in the batch.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// True if no page is in it.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// True if no further page fits.
    pub fn is_full(&self) -> bool {
        self.pages.len() == BATCH_PAGES
    }

    /// Adds a page; `fill` writes its sealed bytes.
    pub fn push(&mut self, file: FileId, page: PageNo, fill: impl FnOnce(&mut [u8])) {
        assert!(!self.is_full(), "a batch holds {BATCH_PAGES} pages");
        let range = self.range(self.pages.len());
        fill(&mut self.buffer[range]);
        self.pages.push((file, page));
    }

    /// Seals every page.
    pub fn seal(&mut self, seal: impl Fn(&mut [u8])) {
        (0..self.pages.len()).for_each(|at| {
            let range = self.range(at);
            seal(&mut self.buffer[range]);
        });
    }

    /// Runs of pages that lie next to each other in their file and here.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let &(file, page) = self.pages.get(at)?;
            let start = at;
            at += 1;
            while self.pages.get(at) == Some(&(file, page.offset((at - start) as u64))) {
                at += 1;
            }
            Some(Run { file, page, bytes: &self.buffer[self.range(start).start..self.range(at - 1).end] })
        })
    }

    /// Forgets the pages.
    pub fn clear(&mut self) {
        self.pages.clear();
    }

    fn range(&self, index: usize) -> core::ops::Range<usize> {
        let start = HEADER_BYTES + index * self.page_size.bytes();
        start..start + self.page_size.bytes()
    }

    /// The pages in batch order: place and bytes.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, PageNo, &[u8])> {
        self.pages.iter().enumerate().map(|(at, &(file, page))| (file, page, &self.buffer[self.range(at)]))
    }
}

fn options(create: Create) -> OpenOptions {
    let mode = if planted("area-without-sync") { Mode::Direct } else { Mode::DirectDurable };
    OpenOptions { write: true, create, mode }
}

impl DoubleWrite {
    /// Opens the area in `home`, creating its file if it is missing: an area that is not there holds no batch.
    /// The caller syncs the directory before the first batch.
    pub fn open(env: &Env, home: &Path, store: StoreId, page_size: PageSize) -> Result<Self> {
        let file = env.vfs.open(&home.join(DOUBLE_WRITE_NAME), options(Create::IfMissing))?;
        let mut area = Self { file, store, page_size, batch: 0, log_durable: Lv::ZERO };
        area.log_durable = area.header()?.map_or(Lv::ZERO, |header| header.log_durable);
        Ok(area)
    }

    /// Up to where the log was durable when pages were last written, as far as the area can tell.
    pub fn log_durable(&self) -> Lv {
        self.log_durable
    }

    /// Makes the batch durable here; the log is durable up to `lv`, which covers its pages. They may be written to
    /// their places afterwards.
    pub fn protect(&mut self, batch: &mut Batch, lv: &Lv) -> Result<()> {
        self.batch += 1;
        self.log_durable.join(lv);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_bytes(MAGIC);
        header.put_u32(VERSION);
        header.put_u32(self.page_size.bytes() as u32);
        header.put_bytes(&self.store.bytes());
        header.put_u64(self.batch);
        header.put_u64(batch.len() as u64);
        for (file, page) in &batch.pages {
            header.put_u64(u64::from(file.get()));
            header.put_u64(page.get());
        }
        header.resize(LOG_AT, 0);
        self.log_durable.iter(STREAMS_MAX).for_each(|(_, lsn)| header.put_u64(lsn.get()));
        header.resize(HEADER_BYTES - 8, 0);
        header.put_u64(checksum(self.store.seed(), &header));
        batch.buffer[..HEADER_BYTES].copy_from_slice(&header);
        let end = batch.range(batch.len()).start;
        self.file.write_at(0, &batch.buffer[..end])
    }

    /// Restores every page of the last batch whose place holds a torn page. Returns how many were restored.
    ///
    /// A page that is whole in its place may be so in the system's cache only, written by a process that died before
    /// its sync, or after a sync that failed. The next batch overwrites its copy: so it is written again and synced.
    ///
    /// A batch that is itself not whole is no error: then its pages were not yet being written.
    pub fn repair(&self, files: &dyn Fn(FileId) -> Option<Arc<PageFile>>) -> Result<usize> {
        let Some(Header { pages, .. }) = self.header()? else { return Ok(0) };
        let (mut written, mut restored) = (BTreeMap::new(), 0);
        for (at, (id, page)) in pages.into_iter().enumerate() {
            check_page_no(page)?;
            let Some(file) = files(id) else { continue };
            if let Some(was_torn) = self.restore(at, &file, id, page)? {
                restored += usize::from(was_torn);
                written.insert(id, file);
            }
        }
        written.values().try_for_each(|file| file.sync())?;
        Ok(restored)
    }

    /// Reads the page as the last batch has it; false if it was not in it.
    pub(crate) fn copy_of(&self, file: FileId, page: PageNo, into: &mut [u8]) -> Result<bool> {
        let place = self.header()?.and_then(|header| header.pages.iter().position(|at| *at == (file, page)));
        place.map_or(Ok(false), |at| self.read_copy(at, into))
    }

    /// Reads the copy at a place of the batch; false if it is cut off.
    fn read_copy(&self, at: usize, into: &mut [u8]) -> Result<bool> {
        let offset = HEADER_BYTES + at * self.page_size.bytes();
        Ok(self.file.read_at(offset as u64, into)? == into.len())
    }

    /// What the header says, if it is whole.
    fn header(&self) -> Result<Option<Header>> {
        let mut header = AlignedBuf::new(HEADER_BYTES);
        let read = self.file.read_at(0, &mut header)?;
        Ok(if read < HEADER_BYTES { None } else { self.parse(&header) })
    }

    fn parse(&self, header: &[u8]) -> Option<Header> {
        let (body, sum) = header.split_at(HEADER_BYTES - 8);
        if sum != checksum(self.store.seed(), body).to_le_bytes() {
            return None;
        }
        let mut reader = Reader::new(body);
        let known = reader.bytes(8).ok()? == MAGIC
            && reader.u32().ok()? == VERSION
            && reader.u32().ok()? as usize == self.page_size.bytes()
            && reader.bytes(16).ok()? == self.store.bytes();
        let _batch = reader.u64().ok()?;
        let count = reader.u64().ok()? as usize;
        if !known || count > BATCH_PAGES {
            return None;
        }
        let mut entry = || Some((FileId::new(reader.u64().ok()? as u32), PageNo::new(reader.u64().ok()?)));
        let pages = (0..count).map(|_| entry()).collect::<Option<_>>()?;
        let mut reader = Reader::new(&body[LOG_AT..]);
        let mut log_durable = Lv::ZERO;
        for stream in 0..STREAMS_MAX as u8 {
            log_durable.set(StreamId::new(stream), Lsn::new(reader.u64().ok()?));
        }
        Some(Header { pages, log_durable })
    }

    /// Writes the copy to its place, if it is whole and the place holds the same or a torn page; whether it was torn.
    fn restore(&self, at: usize, file: &PageFile, id: FileId, page: PageNo) -> Result<Option<bool>> {
        let seed = self.store.seed();
        let mut copy = AlignedBuf::new(self.page_size.bytes());
        if !self.read_copy(at, &mut copy)? || verify(&copy, seed, id, page).is_err() {
            return Ok(None);
        }
        let mut placed = AlignedBuf::new(self.page_size.bytes());
        file.read(page, &mut placed)?;
        let was_torn = verify(&placed, seed, id, page).is_err();
        if !was_torn && (placed[..] != copy[..] || planted("leave-whole-pages")) {
            return Ok(None);
        }
        file.write(page, &copy)?;
        Ok(Some(was_torn))
    }
}

/// Refuses a page number that a page file cannot hold.
pub(crate) fn check_page_no(page: PageNo) -> Result<()> {
    if page.get() >= PageNo::END {
        return Err(Error::corruption(format!("a reference to {page}, beyond the last possible page")));
    }
    Ok(())
}
