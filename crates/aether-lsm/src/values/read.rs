//! Reading a value file.

use super::at::ValueAt;
use super::layout::{Footer, KIND, PIECE_BYTES, SUM_BYTES, piece_bytes, piece_sum, stored_bytes};
use super::write::ValueFileInfo;
use crate::run::{ALIGNMENT, HEADER_BYTES, RunHome, Seed, open, read_span, span, with_buffer};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_types::{Error, FileId, Result};
use aether_vfs::{AlignedBuf, File};
use core::ops::Range;
use std::io::Read;
use std::path::PathBuf;

/// A value file, open. Readers share it.
pub struct ValueFile {
    home: RunHome,
    file: Arc<dyn File>,
    path: PathBuf,
    seed: Seed,
    info: ValueFileInfo,
    end: u64,
    is_retired: AtomicBool,
}

impl ValueFile {
    /// Opens the value file `id`; blocks.
    ///
    /// # Errors
    /// `Corruption` for a missing, cut, damaged or foreign file; `Unsupported` for a later version.
    pub fn open(home: &RunHome, id: FileId) -> Result<Arc<Self>> {
        let path = home.values_path(id);
        let opened = Self::open_at(home, id, path.clone());
        opened.map(Arc::new).map_err(|error| error.at_file(id).at_path(&path))
    }

    fn open_at(home: &RunHome, id: FileId, path: PathBuf) -> Result<Self> {
        let (file, size, last) = open(&KIND, home, (id, &path), PIECE_BYTES)?;
        let seed = Seed::new(home.store, id);
        let Footer { values, value_bytes, end, file_bytes } = Footer::decode(seed, &last, size)?;
        let info = ValueFileInfo { file: id, bytes: file_bytes, values, value_bytes };
        let is_retired = AtomicBool::new(false);
        Ok(Self { home: home.clone(), file, path, seed, info, end, is_retired })
    }

    /// What is known of it.
    pub fn info(&self) -> &ValueFileInfo {
        &self.info
    }

    /// Nothing durable refers to it any more: the file goes with the last reference.
    pub fn retire(&self) {
        self.is_retired.store(true, Relaxed);
    }

    /// A reader of the value at `at`, in the memory of one piece. What is wrong with the place the first read says.
    pub fn reader(self: &Arc<Self>, at: ValueAt) -> ValueReader {
        ValueReader { file: self.clone(), at, offset: at.offset, left: at.length, buffer: None, unread: 0..0 }
    }

    /// Appends the value at `at` to `into`. Blocks.
    ///
    /// # Errors
    /// `Corruption` naming file and offset if there is no such value or it is damaged, `Io`; then `into` is as before.
    pub fn read_into(&self, at: ValueAt, into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        self.read_pieces(at, into).inspect_err(|_| into.truncate(start))
    }

    fn read_pieces(&self, at: ValueAt, into: &mut Vec<u8>) -> Result<()> {
        self.check_place(at)?;
        let (mut offset, mut left) = (at.offset, at.length);
        loop {
            let count = piece_bytes(left) as u64;
            with_buffer(buffer_bytes(left), |buffer| {
                let piece = self.read_piece(offset, left, buffer)?;
                into.extend_from_slice(&buffer[piece]);
                Ok(())
            })?;
            left -= count;
            offset += SUM_BYTES as u64 + count;
            if left == 0 {
                return Ok(());
            }
        }
    }

    fn check_place(&self, at: ValueAt) -> Result<()> {
        let end = stored_bytes(at.length).and_then(|bytes| at.offset.checked_add(bytes));
        let is_inside = at.offset >= HEADER_BYTES as u64 && end.is_some_and(|end| end <= self.end);
        if at.file == self.info.file && is_inside {
            return Ok(());
        }
        let what =
            format!("a reference to a value of {} bytes in {}, which is not there", at.length, at.file);
        Err(self.at(at.offset, Error::corruption(what)))
    }

    /// Reads and checks the piece at `offset`, from which on so much of its value is left. Where its bytes are in `buffer`.
    fn read_piece(&self, offset: u64, left: u64, buffer: &mut [u8]) -> Result<Range<usize>> {
        let count = piece_bytes(left);
        let place = offset..offset + (SUM_BYTES + count) as u64;
        let bytes = read_span(&*self.file, &place, buffer).map_err(|error| self.at(offset, error))?;
        let (sum, piece) = bytes.split_at(SUM_BYTES);
        if piece_sum(self.seed, offset, left, piece).to_le_bytes() != sum {
            let what = "the checksum of a piece of a value differs: it is damaged, misplaced or foreign";
            return Err(self.at(offset, Error::corruption(what)));
        }
        let start = (place.start - span(&place).0) as usize + SUM_BYTES;
        Ok(start..start + count)
    }

    fn at(&self, offset: u64, error: Error) -> Error {
        error.at_file(self.info.file).at_path(&self.path).at_offset(offset)
    }
}

/// Bytes of a buffer for the next piece of a value of which so much is left, wherever it begins.
fn buffer_bytes(left: u64) -> usize {
    (SUM_BYTES + piece_bytes(left)).next_multiple_of(ALIGNMENT) + ALIGNMENT
}

impl Drop for ValueFile {
    fn drop(&mut self) {
        if self.is_retired.load(Relaxed) {
            // What cannot be removed now is a leftover for the next open.
            let _ = self.home.env.vfs.remove(&self.path);
        }
    }
}

impl core::fmt::Debug for ValueFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ValueFile").field(&self.info).finish()
    }
}

/// Reads a value piece by piece; each is checked before any byte of it is given out. Keeps its file.
#[derive(Debug)]
pub struct ValueReader {
    file: Arc<ValueFile>,
    at: ValueAt,
    /// The next piece, and how much of the value is left from there on.
    offset: u64,
    left: u64,
    /// None until a piece was read.
    buffer: Option<AlignedBuf>,
    /// What of the buffer was not given out.
    unread: Range<usize>,
}

impl ValueReader {
    /// Where the value is.
    pub fn at(&self) -> ValueAt {
        self.at
    }

    /// Reads the next piece, unless the last one was read.
    fn next_piece(&mut self) -> Result<()> {
        if self.buffer.is_some() && self.left == 0 {
            return Ok(());
        }
        if self.buffer.is_none() {
            self.file.check_place(self.at)?;
        }
        let mut buffer = self.buffer.take().unwrap_or_else(|| AlignedBuf::new(buffer_bytes(self.left)));
        // After an error the same piece is read again.
        self.unread = self.file.read_piece(self.offset, self.left, &mut buffer)?;
        self.buffer = Some(buffer);
        self.left -= self.unread.len() as u64;
        self.offset += (SUM_BYTES + self.unread.len()) as u64;
        Ok(())
    }
}

impl Read for ValueReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.unread.is_empty() {
            self.next_piece().map_err(std::io::Error::other)?;
        }
        let buffer = self.buffer.as_deref().unwrap_or_default();
        let count = into.len().min(self.unread.len());
        into[..count].copy_from_slice(&buffer[self.unread.start..self.unread.start + count]);
        self.unread.start += count;
        Ok(count)
    }
}
