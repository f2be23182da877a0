//! A page file: pages by number in one file of the store.
//!
//! It moves bytes and knows their place. Checksums are the caller's ([`seal`](crate::seal),
//! [`verify`](crate::verify)), since whoever writes back or loads also knows what else to compare (P3).

use crate::file_header::FileHeader;
use aether_sync::Arc;
use aether_types::{Error, FileId, PageNo, PageSize, Result, StoreId};
use aether_vfs::{Create, File, OpenOptions, Vfs};
use std::path::Path;

/// An open page file.
pub struct PageFile {
    file: Arc<dyn File>,
    header: FileHeader,
}

impl PageFile {
    /// Creates the file and makes its header durable. The name is durable once the caller has synced the directory;
    /// only then may anything refer to the file (F2). Blocks on I/O.
    ///
    /// # Errors
    /// `AlreadyExists`, `Full`, `Io` and what else the operating system says.
    pub fn create(
        vfs: &dyn Vfs,
        path: &Path,
        store: StoreId,
        id: FileId,
        page_size: PageSize,
    ) -> Result<Self> {
        let file = vfs.open(path, OpenOptions::write(Create::New))?;
        let header = FileHeader { store, file: id, page_size };
        file.write_at(0, &header.to_page())?;
        file.sync()?;
        Ok(Self { file, header })
    }

    /// Opens the file and checks that it is the one it should be. Blocks on I/O.
    ///
    /// # Errors
    /// `NotFound`; `Corruption` if it is damaged, or of another store; `Unsupported` for a version or feature that
    /// this build does not know.
    pub fn open(vfs: &dyn Vfs, path: &Path, store: StoreId, id: FileId) -> Result<Self> {
        let file = vfs.open(path, OpenOptions::write(Create::No))?;
        let header = read_header(&*file, store, id).map_err(|error| error.at_path(path).at_file(id))?;
        Ok(Self { file, header })
    }

    /// The file's id.
    pub fn id(&self) -> FileId {
        self.header.file
    }

    /// The store that the file belongs to.
    pub fn store(&self) -> StoreId {
        self.header.store
    }

    /// The size of its pages.
    pub fn page_size(&self) -> PageSize {
        self.header.page_size
    }

    /// Reads one page; what lies beyond the end of the file is zeros. Blocks on I/O.
    ///
    /// # Errors
    /// `Io`; `InvalidInput` if `bytes` is not one page or the page number cannot be.
    pub fn read(&self, page: PageNo, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() != self.page_size().bytes() {
            return Err(self.invalid(format!("{} bytes are not one page", bytes.len()), page));
        }
        let offset = self.offset(page, 1)?;
        let read =
            self.file.read_at(offset, bytes).map_err(|error| error.at_file(self.id()).at_page(page))?;
        bytes[read..].fill(0);
        Ok(())
    }

    /// Writes one or more pages from `page` on, growing the file if need be. Blocks on I/O.
    ///
    /// # Errors
    /// `Full`, `Io`; `InvalidInput` if `bytes` are not whole pages or a page number cannot be.
    pub fn write(&self, page: PageNo, bytes: &[u8]) -> Result<()> {
        let size = self.page_size().bytes();
        if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
            return Err(self.invalid(format!("{} bytes are not whole pages", bytes.len()), page));
        }
        let offset = self.offset(page, (bytes.len() / size) as u64)?;
        self.file.write_at(offset, bytes).map_err(|error| error.at_file(self.id()).at_page(page))
    }

    /// Makes durable what was written before. Blocks on I/O.
    ///
    /// # Errors
    /// `Io`; after that nothing is known of what was written, and nothing is to be tried again (R2).
    pub fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| error.at_file(self.id()))
    }

    /// Pages in the file; a part of a page at its end counts.
    ///
    /// # Errors
    /// `Io`.
    pub fn size_pages(&self) -> Result<u64> {
        Ok(self.file.size()?.div_ceil(self.page_size().bytes() as u64))
    }

    /// Grows the file to `pages` whole pages; the new ones are zeros. A larger file stays as it is. Durable after
    /// the next [`sync`](Self::sync), and nothing may say so before (F2). Blocks on I/O.
    ///
    /// # Errors
    /// `Full`, `Io`; `InvalidInput` beyond the largest page number.
    pub fn grow_to(&self, pages: u64) -> Result<()> {
        let end = self.offset(PageNo::new(0), pages).map(|_| pages * self.page_size().bytes() as u64)?;
        if self.file.size()? < end {
            self.file.set_size(end).map_err(|error| error.at_file(self.id()))?;
        }
        Ok(())
    }

    /// Where `count` pages from `page` on start.
    fn offset(&self, page: PageNo, count: u64) -> Result<u64> {
        let end = page.get().checked_add(count);
        if end.is_none_or(|end| end > PageNo::END) {
            return Err(self.invalid(format!("{count} pages there are beyond the largest page number"), page));
        }
        Ok(page.get() * self.page_size().bytes() as u64)
    }

    fn invalid(&self, what: String, page: PageNo) -> Error {
        Error::invalid(what).at_file(self.id()).at_page(page)
    }
}

/// The smallest page first: it names the size.
fn read_header(file: &dyn File, store: StoreId, id: FileId) -> Result<FileHeader> {
    let mut bytes = vec![0; PageSize::MIN.bytes()];
    file.read_at(0, &mut bytes)?;
    bytes.resize(FileHeader::page_size_in(&bytes)?.bytes(), 0);
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    FileHeader::of_page(&bytes, store, id)
}
