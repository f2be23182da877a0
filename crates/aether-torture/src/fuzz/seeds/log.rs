//! Seeds of target `segment`: logs of several streams and incarnations, closed, stopped, cut.

use super::BTreeMap;
use crate::fuzz::disk;
use crate::fuzz::segment::Log;
use crate::shape;
use aether_kv::Error;
use aether_kv::wal::{Incarnation, Scan, Wal, WalConfig};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Lsn, Lv, StoreId, StreamId};
use aether_vfs::{Env, read_file};

const STORE: StoreId = StoreId::new([5; 16]);
/// Nothing is locked under this.
const BEGUN: Rank = Rank::new(899, "incarnations of a seed");

/// A log in memory, as it grows.
struct Making {
    env: Env,
    streams: usize,
    incarnations: Arc<Mutex<Vec<Incarnation>>>,
    clean_end: Option<Lv>,
}

impl Making {
    fn new(streams: usize) -> Self {
        let incarnations = Arc::new(Mutex::new(BEGUN, Vec::new()));
        Self { env: disk::empty(), streams, incarnations, clean_end: None }
    }

    fn config(&self) -> WalConfig {
        WalConfig {
            streams: self.streams,
            segment_bytes: 64 << 10,
            ring_bytes: 64 << 10,
            flusher: false,
            recycle: 1,
        }
    }

    /// Opens the log, appends `rounds` times to every stream, and closes it or stops.
    fn open(&mut self, rounds: u8, body_bytes: usize, closes: bool) -> Result<(), Error> {
        let (known, config) = (self.incarnations.lock().clone(), self.config());
        let clean = self.clean_end.take();
        let scan = Scan::open(&self.env, shape::home(), STORE, &config, &known, &Lv::ZERO, clean.as_ref())?;
        let begun = self.incarnations.clone();
        let control = move |incarnation: &Incarnation| {
            begun.lock().push(*incarnation);
            Ok(())
        };
        let wal = Wal::resume(&scan, config, Box::new(control))?;
        for round in 0..rounds {
            (0..self.streams).try_for_each(|id| append(&wal, id as u8, &body(round, body_bytes)))?;
            wal.flush_all()?;
        }
        self.clean_end = if closes { Some(wal.close()?) } else { None };
        Ok(())
    }

    /// As an input, sealed or not.
    fn log(&self, sealed: bool) -> Result<Vec<u8>, Error> {
        let mut files = Vec::new();
        for entry in self.env.vfs.list(shape::home())? {
            let named = entry.name.strip_prefix("log-").and_then(|name| name.split_once('-'));
            let Some((stream, Ok(sequence))) =
                named.map(|(stream, sequence)| (stream, u64::from_str_radix(sequence, 16)))
            else {
                continue;
            };
            let bytes = read_file(&*self.env.vfs, &shape::home().join(&entry.name))?;
            files.push((stream.parse().unwrap_or_default(), sequence, bytes));
        }
        let incarnations = self.incarnations.lock().clone();
        let log = Log {
            sealed,
            resumed: true,
            streams: self.streams as u8,
            from: first(&incarnations),
            clean_end: self.clean_end,
            incarnations,
            files,
        };
        Ok(log.to_bytes())
    }
}

fn append(wal: &Wal, id: u8, body: &[u8]) -> Result<(), Error> {
    let credit = wal.reserve(StreamId::new(id), body.len())?;
    let needs = if id == 0 { Lv::ZERO } else { wal.slv_join() };
    wal.append(credit, 16 + id, &needs, body);
    Ok(())
}

/// Zeros but for the beginning, so that the seed is short.
fn body(round: u8, count: usize) -> Vec<u8> {
    (0..count).map(|at| if at < 20 { round + 1 } else { 0 }).collect()
}

/// The log is kept from its beginning.
fn first(incarnations: &[Incarnation]) -> Lv {
    incarnations.first().map_or(Lv::at(StreamId::new(0), Lsn::new(0)), |oldest| oldest.start)
}

/// Logs by kind.
pub(super) fn segments() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut kinds = BTreeMap::new();
    for (name, streams, opens, body_bytes) in
        [("one", 1, 1, 40), ("two", 2, 1, 100), ("again", 1, 3, 30), ("four", 4, 2, 20), ("long", 1, 1, 9000)]
    {
        let made = made(streams, opens, body_bytes);
        kinds.insert(name, made.unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    kinds
}

/// A log stopped and closed, sealed and not.
fn made(streams: usize, opens: usize, body_bytes: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut all = Vec::new();
    for closes in [false, true] {
        let mut making = Making::new(streams);
        (1..opens).try_for_each(|_| making.open(2, body_bytes, !closes))?;
        let rounds = if body_bytes > 5000 { 9 } else { 3 };
        making.open(rounds, body_bytes, closes)?;
        all.extend([making.log(false)?, making.log(true)?]);
    }
    Ok(all)
}
