//! A disk that is full once its files hold so many bytes.

use aether::vfs::{Entry, Env, File, OpenOptions, Vfs};
use aether::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The bytes that files may still grow by.
#[derive(Clone)]
pub(crate) struct Space(Arc<AtomicU64>);

impl Space {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, SeqCst);
    }

    fn take(&self, bytes: u64, path: &str) -> Result<()> {
        let taken = self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| Error::new(ErrorKind::Full, format!("no space left for {path}")))
    }
}

/// The same files, with a limit.
pub(crate) fn limited(env: Env, space: &Space) -> Env {
    let vfs = Arc::new(SmallDisk { vfs: env.vfs.clone(), space: space.clone() });
    Env { vfs, ..env }
}

struct SmallDisk {
    vfs: Arc<dyn Vfs>,
    space: Space,
}

impl Vfs for SmallDisk {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let file = self.vfs.open(path, options)?;
        Ok(Arc::new(SmallFile { file, space: self.space.clone(), name: path.display().to_string() }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.vfs.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.vfs.rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.vfs.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.vfs.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.vfs.sync_dir(dir)
    }
}

struct SmallFile {
    file: Arc<dyn File>,
    space: Space,
    name: String,
}

impl SmallFile {
    fn grow_to(&self, end: u64) -> Result<()> {
        let size = self.file.size()?;
        if end > size { self.space.take(end - size, &self.name) } else { Ok(()) }
    }
}

impl File for SmallFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.grow_to(offset + from.len() as u64)?;
        self.file.write_at(offset, from)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn size(&self) -> Result<u64> {
        self.file.size()
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.grow_to(size)?;
        self.file.set_size(size)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        self.file.lock(holder)
    }
}
