//! The directory of the log and the life of its files (F2).
//!
//! A segment is made under a free name: written to its full size and synced, then given its header and synced
//! again, and only then renamed to its segment name. So whatever bears a segment name is complete, and a
//! damaged header is damage, never a making that was cut short. A retired segment goes back to a free name;
//! the stale bytes in it are of an older epoch, hence never valid.

use crate::record::BLOCK_BYTES;
use crate::segment::{Header, Name};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Result, StoreId};
use aether_vfs::{Create, Env, File, Mode, OpenOptions};
use std::path::{Path, PathBuf};

const ZEROS_BYTES: usize = 256 << 10;
/// Bytes of a new file between two syncs: flushes that are under way beside it wait for no more than this.
const UNSYNCED_BYTES: u64 = 2 << 20;

/// The directory of the log.
pub(crate) struct Home {
    pub(crate) env: Env,
    pub(crate) path: PathBuf,
    pub(crate) store: StoreId,
}

impl Home {
    pub(crate) fn new(env: &Env, path: &Path, store: StoreId) -> Arc<Self> {
        Arc::new(Self { env: env.clone(), path: path.to_path_buf(), store })
    }

    pub(crate) fn path_of(&self, name: Name) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// The log's files and their sizes.
    pub(crate) fn list(&self) -> Result<Vec<(Name, u64)>> {
        let entries = self.env.vfs.list(&self.path)?;
        let ours = entries.into_iter().filter(|entry| !entry.is_dir);
        Ok(ours.filter_map(|entry| Some((Name::parse(&entry.name)?, entry.size))).collect())
    }

    pub(crate) fn open_to_read(&self, name: Name) -> Result<Arc<dyn File>> {
        self.open(name, false, Create::No, Mode::Buffered)
    }

    fn open(&self, name: Name, write: bool, create: Create, mode: Mode) -> Result<Arc<dyn File>> {
        let path = self.path_of(name);
        self.env.vfs.open(&path, OpenOptions { write, create, mode }).map_err(|error| error.at_path(&path))
    }

    /// Makes the durable bytes of a segment under the free name `name`: `content`, then zeros up to `capacity`.
    pub(crate) fn make(&self, name: Name, capacity: u64, content: &[u8]) -> Result<()> {
        let made = self.try_make(name, capacity, content);
        if made.is_err() {
            // A full disk should not be held full by what could not be completed.
            let _ = self.remove(name);
        }
        made
    }

    fn try_make(&self, name: Name, capacity: u64, content: &[u8]) -> Result<()> {
        let file = self.open(name, true, Create::New, Mode::Buffered)?;
        let zeros = vec![0; ZEROS_BYTES];
        file.write_at(0, &zeros[..BLOCK_BYTES as usize])?;
        file.write_at(BLOCK_BYTES, content)?;
        let end = BLOCK_BYTES + capacity;
        let (mut at, mut unsynced) = (BLOCK_BYTES + content.len() as u64, 0);
        while at < end {
            let size = (end - at).min(ZEROS_BYTES as u64);
            file.write_at(at, &zeros[..size as usize])?;
            (at, unsynced) = (at + size, unsynced + size);
            if unsynced >= UNSYNCED_BYTES && at < end {
                file.sync()?;
                unsynced = 0;
            }
        }
        file.sync()
    }

    /// Turns the free file `free` into the segment `header`, durably, and opens it for durable writes.
    pub(crate) fn adopt(&self, free: Name, header: &Header) -> Result<Arc<dyn File>> {
        let file = self.open(free, true, Create::No, Mode::Buffered)?;
        file.write_at(0, &header.encode(self.store))?;
        file.sync()?;
        drop(file);
        let name = Name::Segment(header.stream, header.sequence);
        self.rename(free, name)?;
        self.sync_dir()?;
        let mode = if planted("write-without-sync") { Mode::Buffered } else { Mode::DirectDurable };
        self.open(name, true, Create::No, mode)
    }

    pub(crate) fn rename(&self, from: Name, to: Name) -> Result<()> {
        self.env.vfs.rename(&self.path_of(from), &self.path_of(to))
    }

    pub(crate) fn remove(&self, name: Name) -> Result<()> {
        self.env.vfs.remove(&self.path_of(name))
    }

    pub(crate) fn sync_dir(&self) -> Result<()> {
        self.env.vfs.sync_dir(&self.path)
    }
}
