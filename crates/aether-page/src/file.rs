//! The page file: a header page, then pages by number.
//!
//! Reading beyond the end gives zeros: a page that was allocated and never written back. The caller tells a page
//! that was never written from a damaged one by its checksum.

use crate::header::{self, PageType};
use crate::{PageMut, View, copy_for_write, seal, verify};
use aether_sync::Arc;
use aether_sync::word::Word;
use aether_types::{Error, ErrorKind, FileId, PageNo, PageSize, Psn, Reader, Result, StoreId};
use aether_vfs::{AlignedBuf, Create, File, Mode, OpenOptions, Vfs};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"AETHPAGE";
const VERSION: u32 = 1;
const KNOWN_REQUIRED: u32 = 0;

/// A page file, open for reading and writing.
pub struct PageFile {
    file: Arc<dyn File>,
    path: PathBuf,
    id: FileId,
    page_size: PageSize,
}

fn options(create: Create) -> OpenOptions {
    OpenOptions { write: true, create, mode: Mode::Direct }
}

/// The sealed header page.
fn header_page(store: StoreId, id: FileId, page_size: PageSize) -> AlignedBuf {
    let words: Vec<Word> = (0..page_size.words()).map(|_| Word::new(0)).collect();
    let page = PageMut::new(&words);
    header::init(page, PageType::FileHeader, id, PageNo::new(0), Psn::new(1));
    page.put_bytes(32, MAGIC);
    page.put_u32(40, VERSION);
    page.put_u32(52, page_size.bytes() as u32);
    page.put_bytes(56, &store.bytes());
    let mut bytes = AlignedBuf::new(page_size.bytes());
    copy_for_write(View::new(&words), &mut bytes);
    seal(&mut bytes, store.seed());
    bytes
}

impl PageFile {
    /// Creates the file with its header page; the caller syncs it and its directory before it refers to it.
    ///
    /// # Errors
    /// `AlreadyExists`, `Full`, `Io`.
    pub fn create(
        vfs: &dyn Vfs,
        path: &Path,
        store: StoreId,
        id: FileId,
        page_size: PageSize,
    ) -> Result<Self> {
        let file = vfs.open(path, options(Create::New))?;
        file.write_at(0, &header_page(store, id, page_size))?;
        Ok(Self { file, path: path.to_path_buf(), id, page_size })
    }

    /// Opens the file and checks its header page against the store's.
    ///
    /// # Errors
    /// `NotFound`; `Corruption` for a damaged or foreign file; `Unsupported` for another version.
    pub fn open(vfs: &dyn Vfs, path: &Path, store: StoreId, id: FileId, page_size: PageSize) -> Result<Self> {
        let file = vfs.open(path, options(Create::No))?;
        let mut bytes = AlignedBuf::new(page_size.bytes());
        let read = file.read_at(0, &mut bytes)?;
        check_header(&bytes[..read], store, id, page_size).map_err(|error| error.at_path(path))?;
        Ok(Self { file, path: path.to_path_buf(), id, page_size })
    }

    /// The store and page size that a file's header page states.
    ///
    /// # Errors
    /// As [`PageFile::open`].
    pub fn identify(vfs: &dyn Vfs, path: &Path, id: FileId) -> Result<(StoreId, PageSize)> {
        let file = vfs.open(path, OpenOptions::read())?;
        let mut bytes = AlignedBuf::new(PageSize::MAX.bytes());
        let read = file.read_at(0, &mut bytes)?;
        let short = || Error::corruption("the file is too short for a page file").at_path(path);
        let mut reader = Reader::new(bytes[..read].get(52..72).ok_or_else(short)?);
        let page_size = PageSize::new(reader.u32()? as usize)?;
        let mut store = [0; 16];
        store.copy_from_slice(reader.bytes(16)?);
        let (store, header) =
            (StoreId::new(store), bytes[..read].get(..page_size.bytes()).ok_or_else(short)?);
        check_header(header, store, id, page_size).map_err(|error| error.at_path(path))?;
        Ok((store, page_size))
    }

    /// The file's id.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a page as it stands; zeros beyond the end of the file.
    pub fn read(&self, page: PageNo, into: &mut [u8]) -> Result<()> {
        let read = self.file.read_at(self.offset(page), into)?;
        into[read..].fill(0);
        Ok(())
    }

    /// Writes one or more consecutive sealed pages. Not durable until [`PageFile::sync`].
    pub fn write(&self, page: PageNo, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len().is_multiple_of(self.page_size.bytes()), "whole pages are written");
        self.file.write_at(self.offset(page), bytes)
    }

    /// Makes all earlier writes durable; blocks.
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Pages in the file, a last part counted as one.
    pub fn size_pages(&self) -> Result<u64> {
        Ok(self.file.size()?.div_ceil(self.page_size.bytes() as u64))
    }

    fn offset(&self, page: PageNo) -> u64 {
        page.get() * self.page_size.bytes() as u64
    }
}

fn check_header(bytes: &[u8], store: StoreId, id: FileId, page_size: PageSize) -> Result<()> {
    let head = bytes.get(32..72).ok_or_else(|| Error::corruption("the file is too short for a page file"))?;
    let mut reader = Reader::new(head);
    if reader.bytes(8)? != MAGIC {
        return Err(Error::corruption("not a page file"));
    }
    let (version, required, _optional) = (reader.u32()?, reader.u32()?, reader.u32()?);
    if version != VERSION || required & !KNOWN_REQUIRED != 0 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the page file has version {version}, required features {required:#x}; this build knows version {VERSION}"
            ),
        ));
    }
    if reader.u32()? as usize != page_size.bytes() {
        return Err(Error::corruption("the page file has another page size than the store"));
    }
    if reader.bytes(16)? != store.bytes() {
        return Err(Error::corruption("the page file belongs to another store"));
    }
    verify(bytes, store.seed(), id, PageNo::new(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_vfs::Env;

    const STORE: StoreId = StoreId::new([1; 16]);
    const ID: FileId = FileId::new(1);

    #[test]
    fn a_foreign_or_damaged_file_is_refused() {
        let env = Env::memory();
        let path = Path::new("pages");
        PageFile::create(&*env.vfs, path, STORE, ID, PageSize::MIN).unwrap();
        let open = |store, size| PageFile::open(&*env.vfs, path, store, ID, size).map(|file| file.id());
        assert_eq!(open(STORE, PageSize::MIN).unwrap(), ID);
        assert_eq!(open(StoreId::new([2; 16]), PageSize::MIN).unwrap_err().kind(), ErrorKind::Corruption);
        assert_eq!(open(STORE, PageSize::MAX).unwrap_err().kind(), ErrorKind::Corruption);
        let raw = env.vfs.open(path, options(Create::No)).unwrap();
        raw.write_at(40, &[9]).unwrap();
        assert_eq!(open(STORE, PageSize::MIN).unwrap_err().kind(), ErrorKind::Unsupported);
        raw.set_size(10).unwrap();
        assert_eq!(open(STORE, PageSize::MIN).unwrap_err().kind(), ErrorKind::Corruption);
    }

    #[test]
    fn pages_beyond_the_end_read_as_zeros() {
        let env = Env::memory();
        let file = PageFile::create(&*env.vfs, Path::new("pages"), STORE, ID, PageSize::MIN).unwrap();
        let mut bytes = vec![7; 4096];
        file.read(PageNo::new(5), &mut bytes).unwrap();
        assert!(crate::is_never_written(&bytes));
        assert_eq!(file.size_pages().unwrap(), 1);
    }
}
