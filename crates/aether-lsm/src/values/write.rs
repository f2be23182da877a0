//! Writing a value file.

use super::at::ValueAt;
use super::layout::{Footer, KIND, PIECE_BYTES, piece_bytes, piece_sum};
use crate::run::{FOOTER_BYTES, Output, RunHome, Seed, header};
use aether_index::txn::recovery::wal::buffer::Charge;
use aether_types::{Error, ErrorKind, FileId, Result};
use std::io::Read;

/// A value file, described.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueFileInfo {
    /// The file; its id is that of no other file, not even of one that is gone.
    pub file: FileId,
    /// Bytes of the file.
    pub bytes: u64,
    /// Values in it.
    pub values: u64,
    /// Bytes of these values.
    pub value_bytes: u64,
}

/// Writes a value file. Whatever ends it before [`ValueWriter::finish`] has returned leaves no file.
///
/// Memory: the buffer of what is written next, and a piece.
pub struct ValueWriter {
    output: Output,
    seed: Seed,
    id: FileId,
    piece: Vec<u8>,
    values: u64,
    value_bytes: u64,
    is_broken: bool,
    _memory: Charge,
}

impl ValueWriter {
    /// Begins the value file `id`; blocks.
    ///
    /// # Errors
    /// `AlreadyExists`, `Full`, `Io`; `OverLimit` if the memory budget does not allow it.
    pub fn new(home: &RunHome, id: FileId) -> Result<Self> {
        let memory = Charge::new(home.pool.budget().account("run writers"), PIECE_BYTES as u64)?;
        let mut output = Output::create(home, home.values_path(id))?;
        output.write(&header(&KIND, home.store, id, PIECE_BYTES))?;
        Ok(Self {
            output,
            seed: Seed::new(home.store, id),
            id,
            piece: Vec::new(),
            values: 0,
            value_bytes: 0,
            is_broken: false,
            _memory: memory,
        })
    }

    /// Adds a value: the next `length` bytes of `source`. Where it will be once the file is finished. Blocks.
    ///
    /// # Errors
    /// `InvalidInput` if `source` ends early or fails; what the disk refuses. Nothing can be added afterwards.
    pub fn append(&mut self, source: &mut dyn Read, length: u64) -> Result<ValueAt> {
        self.check_usable()?;
        let offset = self.output.position();
        self.copy(source, length).inspect_err(|_| self.is_broken = true)?;
        self.values += 1;
        self.value_bytes += length;
        Ok(ValueAt { file: self.id, offset, length })
    }

    fn copy(&mut self, source: &mut dyn Read, length: u64) -> Result<()> {
        let mut left = length;
        loop {
            self.piece.resize(piece_bytes(left), 0);
            source.read_exact(&mut self.piece).map_err(|error| {
                Error::invalid(format!("a value ended {left} bytes early or less: {error}"))
            })?;
            let sum = piece_sum(self.seed, self.output.position(), left, &self.piece);
            self.output.write(&sum.to_le_bytes())?;
            self.output.write(&self.piece)?;
            left -= self.piece.len() as u64;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.output.position()
    }

    /// Ends the file and makes it durable; blocks. Only then may anything refer to its values.
    ///
    /// # Errors
    /// What the disk refuses, now or before; then no file is left.
    pub fn finish(mut self) -> Result<ValueFileInfo> {
        self.check_usable()?;
        let end = self.output.position();
        let file_bytes = self.output.end_after(0, FOOTER_BYTES);
        let (values, value_bytes) = (self.values, self.value_bytes);
        let footer = Footer { values, value_bytes, end, file_bytes };
        self.output.fill_up(file_bytes - FOOTER_BYTES as u64)?;
        self.output.write(&footer.encode(self.seed))?;
        self.output.keep()?;
        Ok(ValueFileInfo { file: self.id, bytes: file_bytes, values, value_bytes })
    }

    fn check_usable(&self) -> Result<()> {
        if !self.is_broken {
            return Ok(());
        }
        let what = "a value could not be written before: nothing is left of the file";
        Err(Error::new(ErrorKind::Poisoned, what))
    }
}
