//! Files in memory: for tests, and for stores that need not survive the process. Nothing is ever lost.

mod tree;

use crate::{Entry, File, OpenOptions, Vfs};
use aether_sync::{Arc, Mutex, Rank, RwLock};
use aether_types::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use tree::Tree;

/// The last ranks: these locks are taken under any other, and nothing under them.
const NAMES: Rank = Rank::new(900, "memory vfs names");
const BYTES: Rank = Rank::new(901, "memory vfs bytes");
const HOLDER: Rank = Rank::new(902, "memory vfs lock holder");

/// Files in memory. The root directory exists; a relative path starts there.
#[derive(Clone)]
pub struct MemoryVfs {
    tree: Arc<RwLock<Tree>>,
}

impl MemoryVfs {
    /// An empty root directory.
    pub fn new() -> Self {
        Self { tree: Arc::new(RwLock::new(NAMES, Tree::default())) }
    }
}

impl Default for MemoryVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for MemoryVfs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MemoryVfs")
    }
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let inode = self.tree.write().open(path, options)?;
        let writable = options.write;
        let holds_lock = Mutex::new(HOLDER, false);
        Ok(Arc::new(MemoryFile { path: path.to_path_buf(), inode, writable, holds_lock }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.tree.write().remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.tree.write().rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.tree.write().create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.tree.read().list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.tree.read().list(dir).map(drop)
    }
}

/// The bytes of a file, which outlive its name while a handle is open.
struct Inode {
    bytes: RwLock<Vec<u8>>,
    is_locked: Mutex<bool>,
}

impl Inode {
    fn new() -> Self {
        Self { bytes: RwLock::new(BYTES, Vec::new()), is_locked: Mutex::new(BYTES, false) }
    }
}

struct MemoryFile {
    path: PathBuf,
    inode: Arc<Inode>,
    writable: bool,
    holds_lock: Mutex<bool>,
}

impl MemoryFile {
    fn check_writer(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        let what = "the file was opened for reading only";
        Err(Error::new(ErrorKind::ReadOnly, what).at_path(&self.path))
    }

    fn end(&self, offset: u64, len: usize) -> Result<usize> {
        let end = offset.checked_add(len as u64).and_then(|end| usize::try_from(end).ok());
        end.filter(|end| *end <= isize::MAX as usize).ok_or_else(|| {
            Error::new(ErrorKind::Full, "beyond the address space").at_path(&self.path).at_offset(offset)
        })
    }

    fn resize(&self, bytes: &mut Vec<u8>, size: usize) -> Result<()> {
        let more = size.saturating_sub(bytes.len());
        if bytes.try_reserve(more).is_err() {
            let what = "no memory is left for the file";
            return Err(Error::new(ErrorKind::Full, what).at_path(&self.path).at_offset(size as u64));
        }
        bytes.resize(size, 0);
        Ok(())
    }
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let bytes = self.inode.bytes.read();
        let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
        let count = into.len().min(bytes.len() - start);
        into[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check_writer()?;
        let end = self.end(offset, from.len())?;
        let mut bytes = self.inode.bytes.write();
        if from.is_empty() {
            return Ok(());
        }
        if end > bytes.len() {
            self.resize(&mut bytes, end)?;
        }
        bytes[offset as usize..end].copy_from_slice(from);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.inode.bytes.read().len() as u64)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.check_writer()?;
        let size = self.end(size, 0)?;
        self.resize(&mut self.inode.bytes.write(), size)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        self.check_writer()?;
        let mut taken = self.inode.is_locked.lock();
        let mut mine = self.holds_lock.lock();
        if *taken && !*mine {
            drop((mine, taken));
            return Err(self.locked());
        }
        (*taken, *mine) = (true, true);
        drop((mine, taken));
        *self.inode.bytes.write() = format!("process {}: {holder}\n", std::process::id()).into_bytes();
        Ok(())
    }
}

impl MemoryFile {
    fn locked(&self) -> Error {
        let bytes = self.inode.bytes.read();
        let holder = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).trim().to_string();
        Error::new(ErrorKind::Locked, format!("in use by {holder}")).at_path(&self.path)
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mine = *self.holds_lock.lock();
        if mine {
            *self.inode.is_locked.lock() = false;
        }
    }
}
