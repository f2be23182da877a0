//! What it costs that page writes survive tearing (P4), and what the ways to it cost a scan afterwards.
//!
//! `cargo bench -p engine-benches --bench torn_pages`. Batches of 64 dirty pages of 4 KiB, at random in a file of
//! 16,384 pages, past the page cache. *In place*: unprotected. *Double-write*: the batch to its own area first, durably.
//! *Out of place*: the batch in one piece to fresh pages, and 16 B a page to a durable map log. *Out of place,
//! scattered*: the same when free space lies in single pages, as it does once the file has aged. Then the file is read in
//! key order: next to each other (in place), or wherever out-of-place writes have left the pages.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_types::{Error, Result};
use aether_vfs::{AlignedBuf, Create, Env, File, Mode, OpenOptions};
use engine_benches::{Rng, is_full, line, median, per_step};
use std::path::Path;
use std::sync::Arc;

const PAGE: usize = 4096;
const BATCH: usize = 64;
const ROUNDS: usize = 9;

/// Makes one batch of pages durable.
type Way = fn(&mut Files) -> Result<()>;

struct Files {
    pages: Arc<dyn File>,
    area: Arc<dyn File>,
    map_log: Arc<dyn File>,
    batch: AlignedBuf,
    count: u64,
    rng: Rng,
    log_at: u64,
    fresh: u64,
}

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    let mut files = Files::new(dir.path(), if is_full() { 16_384 } else { 256 })?;
    println!("per page written, batches of {BATCH}; medians of {ROUNDS} rounds, in turn");
    let ways: [(&str, usize, Way); 6] = [
        ("in place, unprotected", PAGE, Files::in_place),
        ("in place, unprotected, by 4 threads", PAGE, Files::in_place_at_once),
        ("double-write", 2 * PAGE, Files::double_write),
        ("double-write, in place by 4 threads", 2 * PAGE, Files::double_write_at_once),
        ("out of place, in one piece", PAGE + 64, Files::out_of_place),
        ("out of place, scattered", PAGE + 64, Files::scattered),
    ];
    let mut figures = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (way, figures) in ways.iter().zip(&mut figures) {
            figures.push(files.batches(way.2)?);
        }
    }
    for ((name, bytes, _), figures) in ways.iter().zip(figures) {
        line(&format!("{name} ({bytes} B)"), median(figures));
    }
    println!("per page read in key order, one after the other");
    line("where they belong, 16 pages a read", files.read_in_order(16)?);
    line("where they belong, a page a read", files.read_in_order(1)?);
    line("where out-of-place writes left them", files.read_at_random()?);
    Ok(())
}

impl Files {
    fn new(home: &Path, count: u64) -> Result<Self> {
        let env = Env::real();
        let open = |name: &str, mode| {
            env.vfs.open(&home.join(name), OpenOptions { write: true, create: Create::New, mode })
        };
        let pages = open("pages", Mode::Direct)?;
        let batch = AlignedBuf::new(BATCH * PAGE);
        // Twice: the second half is the free space of the out-of-place ways.
        (0..2 * count).step_by(BATCH).try_for_each(|page| pages.write_at(page * PAGE as u64, &batch))?;
        let area = open("area", Mode::DirectDurable)?;
        let map_log = open("map-log", Mode::DirectDurable)?;
        let one = AlignedBuf::new(PAGE);
        (0..256).try_for_each(|at| map_log.write_at(at * PAGE as u64, &one))?;
        pages.sync()?;
        Ok(Self { pages, area, map_log, batch, count, rng: Rng::new(1), log_at: 0, fresh: 0 })
    }

    fn batches(&mut self, way: Way) -> Result<f64> {
        let (batches, mut failed) = (if is_full() { 20 } else { 1 }, Ok(()));
        let figure = per_step(batches * BATCH as u64, || {
            failed = (0..batches).try_for_each(|_| way(self));
        });
        failed.map(|()| figure)
    }

    fn random_writes(&mut self, from: u64) -> Result<()> {
        let mut places: Vec<u64> = (0..BATCH).map(|_| from + self.rng.below(self.count)).collect();
        places.sort_unstable();
        let bytes = &self.batch[..PAGE];
        places.iter().try_for_each(|place| self.pages.write_at(place * PAGE as u64, bytes))?;
        self.pages.sync()
    }

    fn in_place(&mut self) -> Result<()> {
        self.random_writes(0)
    }

    fn in_place_at_once(&mut self) -> Result<()> {
        let places: Vec<u64> = (0..BATCH).map(|_| self.rng.below(self.count)).collect();
        let (pages, bytes) = (&self.pages, &self.batch[..PAGE]);
        std::thread::scope(|scope| {
            let write =
                |part: Vec<u64>| part.iter().try_for_each(|place| pages.write_at(place * PAGE as u64, bytes));
            let parts = places.chunks(BATCH / 4).map(<[u64]>::to_vec);
            let writers: Vec<_> = parts.map(|part| scope.spawn(move || write(part))).collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().unwrap_or_else(|_| Err(Error::invalid("panic"))))
        })?;
        self.pages.sync()
    }

    fn double_write_at_once(&mut self) -> Result<()> {
        self.area.write_at(0, &self.batch)?;
        self.in_place_at_once()
    }

    fn double_write(&mut self) -> Result<()> {
        self.area.write_at(0, &self.batch)?;
        self.random_writes(0)
    }

    fn log_map(&mut self) -> Result<()> {
        self.log_at = (self.log_at + 1) % 256;
        self.map_log.write_at(self.log_at * PAGE as u64, &self.batch[..PAGE])
    }

    fn out_of_place(&mut self) -> Result<()> {
        self.fresh = (self.fresh + BATCH as u64) % self.count;
        self.pages.write_at((self.count + self.fresh) * PAGE as u64, &self.batch)?;
        self.pages.sync()?;
        self.log_map()
    }

    fn scattered(&mut self) -> Result<()> {
        self.random_writes(self.count)?;
        self.log_map()
    }

    fn read_in_order(&mut self, at_once: u64) -> Result<f64> {
        let mut failed = Ok(());
        let figure = per_step(self.count, || {
            let bytes = at_once as usize * PAGE;
            failed = (0..self.count).step_by(at_once as usize).try_for_each(|page| {
                self.pages.read_at(page * PAGE as u64, &mut self.batch[..bytes]).map(drop)
            });
        });
        failed.map(|()| figure)
    }

    fn read_at_random(&mut self) -> Result<f64> {
        let mut failed = Ok(());
        let figure = per_step(self.count, || {
            failed = (0..self.count).try_for_each(|_| {
                let page = self.rng.below(2 * self.count);
                self.pages.read_at(page * PAGE as u64, &mut self.batch[..PAGE]).map(drop)
            });
        });
        failed.map(|()| figure)
    }
}
