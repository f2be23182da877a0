//! The two traits and their words. What each call promises after a crash is in the crate's documentation.

use aether_sync::Arc;
use aether_types::Result;
use std::path::Path;

/// A tree of directories and files.
///
/// Every error names the path.
pub trait Vfs: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` or `AlreadyExists` as [`Create`] says; `InvalidInput` if the path is not a regular file, or if a
    /// file is to be created for reading only.
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>>;

    /// Removes a file or an empty directory.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Renames a file or directory; a file at `to` is replaced atomically.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Creates a directory whose parent exists.
    ///
    /// # Errors
    /// `AlreadyExists` if there is anything of this name.
    fn create_dir(&self, path: &Path) -> Result<()>;

    /// What is in a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Makes the names in `dir` durable. Blocks for the device.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
}

/// An open file. Every error names the path and, where there is one, the offset.
pub trait File: Send + Sync + 'static {
    /// Fills `into` from `offset` on, unless the file ends before; returns how many bytes were read.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize>;

    /// Writes all of `from`, growing the file as needed. After an error any part may have been written.
    ///
    /// # Errors
    /// `ReadOnly` if the file was not opened for writing, `Full` if there is no space.
    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()>;

    /// Makes everything durable that was written before the call began, the size included. Blocks for the device.
    fn sync(&self) -> Result<()>;

    /// The size in bytes.
    fn size(&self) -> Result<u64>;

    /// Cuts the file, or extends it with zeroes.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Takes an exclusive lock for the life of this handle, against other processes and other handles in this one,
    /// and writes the process id and `holder` into the file. Process death frees it. Never waits.
    ///
    /// # Errors
    /// `Locked`, with the holder's text, if another handle has it.
    fn lock(&self, holder: &str) -> Result<()>;
}

/// How to open a file. The default is an existing file, for reading, through the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Allow writing.
    pub write: bool,
    /// What to do about a missing or existing file.
    pub create: Create,
    /// How bytes travel.
    pub mode: Mode,
}

impl OpenOptions {
    /// An existing file for reading.
    pub fn read() -> Self {
        Self::default()
    }

    /// A file for reading and writing.
    pub fn write(create: Create) -> Self {
        Self { write: true, create, mode: Mode::Buffered }
    }

    /// The same in another mode.
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }
}

/// Whether opening creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// The file must exist.
    #[default]
    No,
    /// Create it if it is missing.
    IfMissing,
    /// It must be missing.
    New,
}

/// How bytes travel between memory and device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Through the page cache.
    #[default]
    Buffered,
    /// Past the page cache where that works. Offset, length and memory should be multiples of
    /// [`ALIGNMENT`](crate::ALIGNMENT); a transfer that is not goes through the page cache.
    Direct,
    /// As `Direct`, and when `write_at` returns, its bytes and the size are durable.
    DirectDurable,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// The size in bytes; 0 for a directory.
    pub size: u64,
}
