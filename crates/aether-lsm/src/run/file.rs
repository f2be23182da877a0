//! A run's file, open for reading: the blocks that the pool asks for.

use super::aligned::{read_span, span, with_buffer};
use super::codec::Decompressor;
use super::head::{self, HEADER_BYTES, Seed};
use super::home::RunHome;
use super::layout::{Footer, KIND, Tail, open_block};
use super::locate::Places;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::{BLOCK_OVERHEAD_BYTES, BlockSource, Charge};
use aether_types::{Error, FileId, PageNo, Result};
use aether_vfs::{AlignedBuf, File};
use core::ops::Range;
use std::path::PathBuf;

/// The file, and where its blocks are.
pub(super) struct RunFile {
    file: Arc<dyn File>,
    path: PathBuf,
    id: FileId,
    seed: Seed,
    places: Places,
    unpack: Decompressor,
    block_bytes_max: usize,
}

/// Opens a run: its blocks, and what a reader keeps of it.
///
/// # Errors
/// `Corruption` for a missing, cut, damaged or foreign file; `Unsupported` for a later version.
pub(super) fn open(home: &RunHome, id: FileId) -> Result<(RunFile, Tail)> {
    let path = home.path(id);
    open_at(home, id, path.clone()).map_err(|error| error.at_file(id).at_path(&path))
}

fn open_at(home: &RunHome, id: FileId, path: PathBuf) -> Result<(RunFile, Tail)> {
    let (file, size, end) = head::open(&KIND, home, (id, &path), home.page_size().bytes())?;
    let seed = Seed::new(home.store, id);
    let footer = Footer::decode(seed, &end, size)?;
    let mut tail = read_tail(&*file, home, seed, &footer).and_then(|bytes| {
        let block_bytes = footer.tail_at - HEADER_BYTES as u64;
        Tail::decode(&bytes, id, size, block_bytes).map_err(|error| inside(error, footer.tail_at))
    })?;
    let unpack = Decompressor::new(core::mem::take(&mut tail.dictionary));
    let places = Places::new(core::mem::take(&mut tail.lengths));
    let block_bytes_max = home.page_size().bytes() - BLOCK_OVERHEAD_BYTES;
    Ok((RunFile { file, path, id, seed, places, unpack, block_bytes_max }, tail))
}

/// An error of a part, at its offset in the file.
fn inside(error: Error, start: u64) -> Error {
    let offset = start + error.place().offset.unwrap_or(0);
    error.at_offset(offset)
}

fn read_tail(file: &dyn File, home: &RunHome, seed: Seed, footer: &Footer) -> Result<Vec<u8>> {
    let place = footer.tail_at..footer.tail_at + footer.tail_bytes;
    let account = home.pool.budget().account("run tables");
    // While it is read and taken apart.
    let _memory = Charge::new(account, 2 * footer.tail_bytes)?;
    let mut bytes = AlignedBuf::new(span(&place).1);
    let tail = read_span(file, &place, &mut bytes)?;
    footer.check_tail(seed, tail)?;
    Ok(tail.to_vec())
}

impl RunFile {
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Names the place of an error in a block.
    pub(super) fn at(&self, page: PageNo, error: Error) -> Error {
        let error = error.at_file(self.id).at_path(&self.path).at_page(page);
        match self.places.of(page) {
            Some(place) => error.at_offset(place.start),
            None => error,
        }
    }

    fn place(&self, page: PageNo) -> Result<Range<u64>> {
        let missing = || Error::corruption(format!("a reference to {page}, which the run does not have"));
        self.places.of(page).ok_or_else(missing)
    }

    /// Hands out the blocks `pages`, whose bytes are in `bytes`, which begin at `start` in the file.
    fn unpack(&self, pages: &[PageNo], bytes: &[u8], start: u64, each: &mut dyn FnMut(Result<&[u8]>)) {
        let mut out = vec![0; self.block_bytes_max];
        for &page in pages {
            let unpacked = self.place(page).and_then(|place| {
                let own = &bytes[(place.start - start) as usize..(place.end - start) as usize];
                let (codec, len, body) = open_block(self.seed, page, own)?;
                let into =
                    out.get_mut(..len).ok_or_else(|| Error::corruption("a block longer than a page"))?;
                self.unpack.decompress(codec, body, into)?;
                Ok(len)
            });
            match unpacked {
                Ok(len) => each(Ok(&out[..len])),
                Err(error) => each(Err(self.at(page, error))),
            }
        }
    }

    fn read_all(&self, pages: &[PageNo], each: &mut dyn FnMut(Result<&[u8]>)) -> Result<()> {
        let (Some(&first), Some(&last)) = (pages.first(), pages.last()) else { return Ok(()) };
        let place = self.place(first)?.start..self.place(last)?.end;
        with_buffer(span(&place).1, |buffer| {
            let bytes = read_span(&*self.file, &place, buffer)?;
            self.unpack(pages, bytes, place.start, each);
            Ok(())
        })
    }
}

impl BlockSource for RunFile {
    fn read(&self, pages: &[PageNo], each: &mut dyn FnMut(Result<&[u8]>)) {
        if let Err(error) = self.read_all(pages, each) {
            // Nothing was handed out yet.
            pages.iter().for_each(|&page| each(Err(self.at(page, error.duplicate()))));
        }
    }
}
