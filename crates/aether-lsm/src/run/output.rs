//! Writing a file from its beginning to its end, through one buffer. What is not finished is removed.

use super::head::ALIGNMENT;
use super::home::RunHome;
use aether_index::txn::recovery::wal::buffer::Charge;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::Result;
use aether_vfs::{AlignedBuf, Create, File, Mode, OpenOptions};
use std::path::PathBuf;

/// Bytes written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is being written.
pub(crate) struct Output {
    home: RunHome,
    path: PathBuf,
    file: Arc<dyn File>,
    buffer: AlignedBuf,
    filled: usize,
    /// Where the buffer will be in the file.
    at: u64,
    is_kept: bool,
    _memory: Charge,
}

impl Output {
    /// Creates the file, in the directory of runs.
    ///
    /// # Errors
    /// `AlreadyExists`, `Full`, `Io`; `OverLimit` if the budget has no memory for the buffer.
    pub(crate) fn create(home: &RunHome, path: PathBuf) -> Result<Self> {
        let memory = Charge::new(home.pool.budget().account("run writers"), BUFFER_BYTES as u64)?;
        let options = OpenOptions { write: true, create: Create::New, mode: Mode::Direct };
        let file = home.env.vfs.open(&path, options)?;
        let buffer = AlignedBuf::new(BUFFER_BYTES);
        Ok(Self { home: home.clone(), path, file, buffer, filled: 0, at: 0, is_kept: false, _memory: memory })
    }

    /// Where the next byte will be in the file.
    pub(crate) fn position(&self) -> u64 {
        self.at + self.filled as u64
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.filled));
            self.buffer[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// How long the file will be if so many bytes more are written and then the end is filled up with zeros, `last` bytes at
    /// the very end left out.
    pub(crate) fn end_after(&self, bytes: usize, last: usize) -> u64 {
        (self.position() + (bytes + last) as u64).next_multiple_of(ALIGNMENT as u64)
    }

    /// Writes zeros up to `to`.
    pub(crate) fn fill_up(&mut self, to: u64) -> Result<()> {
        let count = to.saturating_sub(self.position()) as usize;
        self.write(&vec![0; count])
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_at(self.at, &self.buffer[..self.filled])?;
        self.at += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Makes the file and its name durable; blocks. Only then may anything refer to it (F2). A file whose own sync fails is thrown away, and the store
    /// goes on; a directory whose sync fails may have lost other names with it, those of log segments among them: the store fails.
    pub(crate) fn keep(mut self) -> Result<()> {
        self.flush()?;
        self.file.sync()?;
        let synced = self.home.env.vfs.sync_dir(&self.home.dir);
        synced.inspect_err(|error| self.home.pool.fail(error))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is a leftover for the next open.
            let _ = self.home.env.vfs.remove(&self.path);
        }
    }
}
