//! The operating system's files.

mod file;

use crate::{Create, Entry, File, Mode, OpenOptions, Vfs};
use aether_sync::Arc;
use aether_types::{Error, Result};
use file::RealFile;
use rustix::fs::OFlags;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Files of the operating system.
///
/// A handle opened by one process refuses to write in a forked child (F3). Direct I/O falls back to the page cache
/// where memory, offset or length are not aligned, or the file system refuses it; [`Mode::DirectDurable`] then
/// follows every write with a data sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs;

impl RealVfs {
    /// The file system of this process.
    pub fn new() -> Self {
        Self
    }
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        if options.create != Create::No && !options.write {
            return Err(Error::invalid("a file is created only for writing").at_path(path));
        }
        let cached = open_regular(path, options)?;
        let direct = open_direct(path, options)?;
        Ok(Arc::new(RealFile::new(path, options, cached, direct)))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let is_dir = fs::symlink_metadata(path).map(|found| found.is_dir());
        let removed = is_dir.and_then(|dir| if dir { fs::remove_dir(path) } else { fs::remove_file(path) });
        removed.map_err(|error| Error::io("cannot remove", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let what = || format!("cannot rename to {}", to.display());
        fs::rename(from, to).map_err(|error| Error::io(what(), from, error))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        fs::create_dir(path).map_err(|error| Error::io("cannot create the directory", path, error))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut entries = list(dir).map_err(|error| Error::io("cannot list the directory", dir, error))?;
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let synced = fs::File::open(dir).and_then(|open| open.sync_all());
        synced.map_err(|error| Error::io("cannot sync the directory", dir, error))
    }
}

/// Opens, and creates if wanted. Never waits for the other end of a pipe: only regular files pass.
fn open_regular(path: &Path, options: OpenOptions) -> Result<fs::File> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(options.write)
        .create(options.create == Create::IfMissing)
        .create_new(options.create == Create::New)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path);
    let file = opened.map_err(|error| Error::io("cannot open", path, error))?;
    let found = file.metadata().map_err(|error| Error::io("cannot inspect", path, error))?;
    if !found.is_file() {
        return Err(Error::invalid("this is not a regular file").at_path(path));
    }
    Ok(file)
}

/// A second handle that bypasses the page cache, if it is wanted and the file system has it.
fn open_direct(path: &Path, options: OpenOptions) -> Result<Option<fs::File>> {
    let Some(flags) = direct_flags(options.mode) else { return Ok(None) };
    let mut open = fs::OpenOptions::new();
    open.read(true).write(options.write).custom_flags(flags.bits() as i32);
    match open.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(Error::io("cannot open for direct transfer", path, error)),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn direct_flags(mode: Mode) -> Option<OFlags> {
    match mode {
        Mode::Buffered => None,
        Mode::Direct => Some(OFlags::DIRECT),
        Mode::DirectDurable => Some(OFlags::DIRECT | OFlags::DSYNC),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn direct_flags(_: Mode) -> Option<OFlags> {
    None
}

/// How a file system says that it has no direct I/O, or not for this transfer.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

fn list(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for found in fs::read_dir(dir)? {
        let found = found?;
        match found.metadata() {
            Ok(data) => entries.push(entry(&found, &data)),
            // Removed since it was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

fn entry(found: &fs::DirEntry, data: &fs::Metadata) -> Entry {
    let is_dir = data.is_dir();
    let size = if is_dir { 0 } else { data.len() };
    Entry { name: found.file_name().to_string_lossy().into_owned(), is_dir, size }
}
