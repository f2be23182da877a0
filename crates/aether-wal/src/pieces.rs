//! Reading a stream's files: which file holds which positions, and a window that moves over them.

use crate::config::Incarnation;
use crate::home::Home;
use crate::record::{self, BLOCK_BYTES, Frame, HEADER_BYTES, Parsed, Seed};
use crate::segment::{Header, Name};
use crate::segments::{Found, Free};
use aether_sync::Arc;
use aether_types::{Error, Result, StreamId};
use aether_vfs::File;
use core::ops::Range;

/// What is read at once.
const CHUNK_BYTES: u64 = 256 << 10;

/// The log that an incarnation left in memory: the end that is not proved durable, as validated.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) first: u64,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// The positions that a segment is responsible for: from its first up to where a newer segment takes over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) header: Header,
    pub(crate) end: u64,
    /// Its file says that another segment follows.
    followed: bool,
}

impl Piece {
    /// True if another segment must follow at `end`, unless a newer one took over before.
    fn is_followed_at(&self, end: u64) -> bool {
        self.followed && self.end == end && self.header.end() == end
    }
}

/// A segment's file, as found.
struct OnDisk {
    header: Header,
    size: u64,
    followed: bool,
}

/// The files of one stream, oldest piece first.
pub(crate) struct Pieces {
    home: Arc<Home>,
    stream: StreamId,
    list: Vec<Piece>,
    pub(crate) tail: Option<Tail>,
    pub(crate) found: Found,
    /// Above every position that a file of the stream can hold, and the newest epoch among them.
    pub(crate) end_ever: u64,
    pub(crate) epoch_max: u64,
}

impl Pieces {
    /// Reads the headers of the files of `stream` among `names`.
    pub(crate) fn read(
        home: &Arc<Home>,
        stream: StreamId,
        names: &[(Name, u64)],
        incarnations: &[Incarnation],
    ) -> Result<Self> {
        let mut pieces = Self {
            home: home.clone(),
            stream,
            list: Vec::new(),
            tail: None,
            found: Found::default(),
            end_ever: 0,
            epoch_max: 0,
        };
        let mut headers = Vec::new();
        for (name, size) in names {
            match *name {
                Name::Segment(of, sequence) if of == stream => {
                    headers.push(pieces.read_header(sequence, *size, incarnations)?)
                }
                Name::Free(of, number) if of == stream => pieces.add_free(*name, number, *size),
                _ => {}
            }
        }
        headers.sort_by_key(|found| found.header.sequence);
        pieces.arrange(&headers, incarnations)?;
        Ok(pieces)
    }

    fn read_header(&self, sequence: u64, size: u64, incarnations: &[Incarnation]) -> Result<OnDisk> {
        let name = Name::Segment(self.stream, sequence);
        let file = self.home.open_to_read(name)?;
        let mut block = vec![0; BLOCK_BYTES as usize];
        let path = self.home.path_of(name);
        read_whole(&*file, 0, &mut block).map_err(|error| error.at_path(&path))?;
        let header = Header::decode(self.home.store, self.stream, sequence, &block)
            .map_err(|error| error.at_path(&path))?;
        let newest = incarnations.last().map_or(0, |newest| newest.epoch);
        if header.epoch > newest && self.is_in_use(&*file, &header)? {
            let what = format!(
                "the log of incarnation {}, yet the newest that the control file knows is {newest}: it is out of date",
                header.epoch
            );
            return Err(Error::corruption(what).at_path(&path).at_offset(BLOCK_BYTES));
        }
        let followed = header.is_followed(self.home.store, &block);
        Ok(OnDisk { header, size, followed })
    }

    /// True if a flush starts anywhere in a segment: the control file was told of its incarnation before.
    fn is_in_use(&self, file: &dyn File, header: &Header) -> Result<bool> {
        let seed = Seed::new(self.home.store, header.epoch, self.stream);
        let mut block = vec![0; BLOCK_BYTES as usize];
        let mut at = header.first;
        while at < header.end() && file.read_at(BLOCK_BYTES + at - header.first, &mut block)? == block.len() {
            if record::is_flush_start(seed, at, &block) {
                return Ok(true);
            }
            at += BLOCK_BYTES;
        }
        Ok(false)
    }

    fn add_free(&mut self, name: Name, number: u64, size: u64) {
        let capacity = size.saturating_sub(BLOCK_BYTES);
        if capacity > 0 && capacity.is_multiple_of(BLOCK_BYTES) {
            self.found.free.push(Free { name, capacity });
        } else {
            self.found.strays.push(name);
        }
        self.found.number = self.found.number.max(number + 1);
    }

    /// Finds out which segment is responsible for which positions: of two that hold the same, the newer.
    fn arrange(&mut self, headers: &[OnDisk], incarnations: &[Incarnation]) -> Result<()> {
        let mut limit = u64::MAX;
        for OnDisk { header, size, followed } in headers.iter().rev() {
            self.end_ever = self.end_ever.max(header.end());
            self.epoch_max = self.epoch_max.max(header.epoch);
            self.found.sequence = self.found.sequence.max(header.sequence + 1);
            let known = incarnations.iter().any(|incarnation| incarnation.epoch == header.epoch);
            let name = Name::Segment(self.stream, header.sequence);
            if !known || header.first >= limit {
                self.found.strays.push(name);
                continue;
            }
            if *size < BLOCK_BYTES + header.capacity {
                let error = Error::corruption("a log segment is shorter than its header says");
                return Err(error.at_path(&self.home.path_of(name)).at_offset(*size));
            }
            self.list.push(Piece { header: *header, end: header.end().min(limit), followed: *followed });
            limit = header.first;
        }
        self.list.reverse();
        self.found.headers = self.list.iter().map(|piece| piece.header).collect();
        Ok(())
    }

    /// Where the run of files of `epoch` that holds `at` ends.
    ///
    /// # Errors
    /// `Corruption` if a file of that epoch is missing there, or before a later one.
    pub(crate) fn run_end(&self, epoch: u64, at: u64) -> Result<u64> {
        let of_epoch = || self.list.iter().filter(|piece| piece.header.epoch == epoch);
        let mut end = at;
        for piece in of_epoch().filter(|piece| piece.end > at) {
            if piece.header.first > end {
                return Err(self.missing(end));
            }
            end = piece.end;
        }
        if of_epoch().any(|piece| piece.is_followed_at(end)) {
            return Err(self.missing(end));
        }
        if end == at && !of_epoch().any(|piece| piece.end == at) {
            return Err(self.missing(at));
        }
        Ok(end)
    }

    fn missing(&self, at: u64) -> Error {
        let what = format!("{}: the log segment that holds position {at} is missing", self.stream);
        Error::corruption(what).at_path(&self.home.path)
    }

    /// An error at position `at`: names the file and the offset in it.
    pub(crate) fn damage(&self, at: u64, what: impl Into<String>) -> Error {
        match self.piece_at(at).or(self.piece_at(at.saturating_sub(1))) {
            Some(piece) => {
                let path = self.home.path_of(Name::Segment(self.stream, piece.header.sequence));
                Error::corruption(what).at_path(&path).at_offset(BLOCK_BYTES + at - piece.header.first)
            }
            None => Error::corruption(what).at_path(&self.home.path),
        }
    }

    /// True if a file holds position `at`.
    pub(crate) fn holds(&self, at: u64) -> bool {
        self.piece_at(at).is_some()
    }

    fn piece_at(&self, at: u64) -> Option<&Piece> {
        let index = self.list.partition_point(|piece| piece.end <= at);
        self.list.get(index).filter(|piece| piece.header.first <= at)
    }

    /// A window over the bytes of `epoch` below `limit`.
    pub(crate) fn window(&self, epoch: u64, limit: u64) -> Window<'_> {
        let seed = Seed::new(self.home.store, epoch, self.stream);
        Window { pieces: self, epoch, seed, limit, bytes: Vec::new(), first: 0, open: None }
    }
}

/// The bytes of a stream around the position being read.
pub(crate) struct Window<'a> {
    pieces: &'a Pieces,
    epoch: u64,
    seed: Seed,
    limit: u64,
    bytes: Vec<u8>,
    first: u64,
    open: Option<(u64, Arc<dyn File>)>,
}

impl Window<'_> {
    /// The record at `at`; `None` if there is no valid one that ends at or below the limit.
    pub(crate) fn record(&mut self, at: u64) -> Result<Option<(Frame<'_>, &[u8])>> {
        self.load(at, HEADER_BYTES, CHUNK_BYTES)?;
        let wanted = record::wanted(self.loaded(at));
        self.load(at, wanted, CHUNK_BYTES)?;
        let bytes = self.loaded(at);
        let Parsed::Record(frame) = record::parse(self.seed, at, bytes) else { return Ok(None) };
        Ok(bytes.get(..frame.bytes() as usize).map(|whole| (frame, whole)))
    }

    /// True if a flush-start record is at `at`, a block boundary; `chunk` is how much is read if nothing is there yet.
    pub(crate) fn flush_starts(&mut self, at: u64, chunk: u64) -> Result<bool> {
        self.load(at, BLOCK_BYTES, chunk)?;
        let bytes = self.loaded(at);
        Ok(record::is_flush_start(self.seed, at, bytes))
    }

    /// The bytes in `range` behind `at`, as far as they were loaded last.
    pub(crate) fn bytes(&self, at: u64, range: Range<usize>) -> &[u8] {
        self.loaded(at).get(range).unwrap_or_default()
    }

    fn loaded(&self, at: u64) -> &[u8] {
        at.checked_sub(self.first).and_then(|skip| self.bytes.get(skip as usize..)).unwrap_or_default()
    }

    /// Makes `count` bytes from `at` on available, fewer only if the limit comes first.
    fn load(&mut self, at: u64, count: u64, chunk: u64) -> Result<()> {
        let wanted = self.limit.saturating_sub(at).min(count);
        if self.loaded(at).len() as u64 >= wanted {
            return Ok(());
        }
        let kept = self.loaded(at).len();
        self.bytes.drain(..self.bytes.len() - kept);
        self.first = at;
        let size = self.limit.saturating_sub(at).min(count.max(chunk));
        self.bytes.resize(size as usize, 0);
        let mut have = kept;
        while have < self.bytes.len() {
            have += self.read_some(at + have as u64, have)?;
        }
        Ok(())
    }

    /// Reads some bytes at `at` into the buffer from `to` on: at least one.
    fn read_some(&mut self, at: u64, to: usize) -> Result<usize> {
        if let Some(tail) = self.pieces.tail.as_ref().filter(|tail| self.is_newest(tail, at)) {
            let from = &tail.bytes[(at - tail.first) as usize..];
            let count = from.len().min(self.bytes.len() - to);
            self.bytes[to..to + count].copy_from_slice(&from[..count]);
            return Ok(count);
        }
        let pieces = self.pieces;
        let piece = pieces.piece_at(at).filter(|piece| piece.header.epoch == self.epoch);
        let piece = piece.ok_or_else(|| pieces.missing(at))?;
        let in_tail = pieces.tail.as_ref().filter(|tail| tail.first > at).map_or(u64::MAX, |tail| tail.first);
        let end = piece.end.min(in_tail).min(at + (self.bytes.len() - to) as u64);
        let file = self.file(piece)?;
        let out = &mut self.bytes[to..to + (end - at) as usize];
        let offset = BLOCK_BYTES + at - piece.header.first;
        let name = Name::Segment(pieces.stream, piece.header.sequence);
        read_whole(&*file, offset, out).map_err(|error| error.at_path(&pieces.home.path_of(name)))?;
        Ok((end - at) as usize)
    }

    fn is_newest(&self, tail: &Tail, at: u64) -> bool {
        (tail.first..tail.first + tail.bytes.len() as u64).contains(&at)
    }

    fn file(&mut self, piece: &Piece) -> Result<Arc<dyn File>> {
        let sequence = piece.header.sequence;
        if let Some((open, file)) = &self.open
            && *open == sequence
        {
            return Ok(file.clone());
        }
        let file = self.pieces.home.open_to_read(Name::Segment(self.pieces.stream, sequence))?;
        self.open = Some((sequence, file.clone()));
        Ok(file)
    }
}

/// Fills `out`; a file that ends before that is damaged.
fn read_whole(file: &dyn File, offset: u64, out: &mut [u8]) -> Result<()> {
    let mut have = 0;
    while have < out.len() {
        match file.read_at(offset + have as u64, &mut out[have..])? {
            0 => {
                return Err(Error::corruption("a log segment ends too early").at_offset(offset + have as u64));
            }
            count => have += count,
        }
    }
    Ok(())
}
