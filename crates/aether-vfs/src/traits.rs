//! The traits.
use aether_sync::Arc;
use aether_types::Result;
use std::path::Path;

/// A file system.
pub trait Vfs: Send + Sync + 'static {
    /// Opens.
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>>;
    /// Removes.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Renames.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Creates a directory.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Lists.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>>;
    /// Syncs a directory.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
}

/// A file.
pub trait File: Send + Sync + 'static {
    /// Reads.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize>;
    /// Writes.
    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()>;
    /// Syncs.
    fn sync(&self) -> Result<()>;
    /// Size.
    fn size(&self) -> Result<u64>;
    /// Set size.
    fn set_size(&self, size: u64) -> Result<()>;
    /// Locks.
    fn lock(&self, holder: &str) -> Result<()>;
}

/// A directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Directory?
    pub is_dir: bool,
    /// Size.
    pub size: u64,
}

/// How to open.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// For writing.
    pub write: bool,
    /// Creation.
    pub create: Create,
    /// Mode.
    pub mode: Mode,
}
/// Creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// Must exist.
    #[default]
    No,
    /// Created if missing.
    IfMissing,
    /// Must not exist.
    New,
}
/// Mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Page cache.
    #[default]
    Buffered,
    /// Direct.
    Direct,
    /// Direct and durable.
    DirectDurable,
}
