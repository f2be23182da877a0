//! Target `segment`: a directory of log files, scanned, resumed and scanned again.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | bit 0: seal headers and records; bit 1: there is a clean end; bit 2: resume the log and append; bits 4 and 5: streams less one |
//! | vector | where redo starts; a vector is four numbers, one for each of the first streams |
//! | vector | the clean end |
//! | 1 | count of incarnations, modulo 4; each is its epoch (number), its cut and its start (vectors) |
//! | the rest | files: stream (1), sequence (number), contents |

use super::input::{Input, put_file};
use super::{disk, expect_damage};
use crate::shape;
use aether_kv::Error;
use aether_kv::wal::fuzzing::{STORE_AT, seal_segment};
use aether_kv::wal::{Incarnation, Scan, Wal, WalConfig};
use aether_sync::{Arc, OnceLock};
use aether_types::{Lsn, Lv, StoreId, StreamId, Writer};
use aether_vfs::Env;

/// Files that are made at the most.
const FILES_MAX: usize = 6;
/// Bytes of a file at the most.
const FILE_BYTES_MAX: usize = 512 << 10;
/// Streams that a vector tells.
const STREAMS: u8 = 4;
/// Bits of the first byte.
const SEALED: u8 = 1;
const CLEAN: u8 = 2;
const RESUMED: u8 = 4;
/// The kind of the record that is appended.
const ADDED_KIND: u8 = 16;

/// A log: what the control file says of it, and its files.
#[derive(Default)]
pub(super) struct Log {
    pub(super) sealed: bool,
    pub(super) resumed: bool,
    pub(super) streams: u8,
    pub(super) from: Lv,
    pub(super) clean_end: Option<Lv>,
    pub(super) incarnations: Vec<Incarnation>,
    /// Stream, sequence and contents.
    pub(super) files: Vec<(u8, u64, Vec<u8>)>,
}

/// A record as found: stream, position, kind, body.
type Found = (u8, u64, u8, Vec<u8>);

impl Log {
    fn read(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        let (from, clean) = (read_lv(input), read_lv(input));
        let incarnations = (0..input.byte() % 4).map(|_| Incarnation {
            epoch: input.number(),
            cut: read_lv(input),
            start: read_lv(input),
        });
        let mut log = Self {
            sealed: flags & SEALED != 0,
            resumed: flags & RESUMED != 0,
            streams: (flags >> 4) % STREAMS + 1,
            from,
            clean_end: (flags & CLEAN != 0).then_some(clean),
            incarnations: incarnations.collect(),
            files: Vec::new(),
        };
        while !input.is_empty() && log.files.len() < FILES_MAX {
            log.files.push((input.byte() % STREAMS, input.number(), input.file(FILE_BYTES_MAX)));
        }
        log
    }

    /// As [`Log::read`] reads it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let flag = |bit, set| if set { bit } else { 0 };
        let flags = flag(SEALED, self.sealed) | flag(CLEAN, self.clean_end.is_some());
        let mut out = vec![flags | flag(RESUMED, self.resumed) | (self.streams - 1) << 4];
        put_lv(&mut out, &self.from);
        put_lv(&mut out, &self.clean_end.unwrap_or(Lv::ZERO));
        out.put_u8(self.incarnations.len() as u8);
        for incarnation in &self.incarnations {
            out.put_varint(incarnation.epoch);
            put_lv(&mut out, &incarnation.cut);
            put_lv(&mut out, &incarnation.start);
        }
        for (stream, sequence, bytes) in &self.files {
            out.put_u8(*stream);
            out.put_varint(*sequence);
            put_file(&mut out, bytes);
        }
        out
    }

    /// Makes the files, and tells which store they say they belong to.
    fn lay(&self, env: &Env) -> StoreId {
        let mut id = [0; 16];
        for (stream, sequence, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if self.sealed {
                seal_segment(&mut bytes);
            }
            disk::put(env, &format!("log-{stream:02x}-{sequence:016x}"), &bytes);
            if let Some(told) = bytes.get(STORE_AT..STORE_AT + 16) {
                id.copy_from_slice(told);
            }
        }
        StoreId::new(id)
    }

    fn config(&self) -> WalConfig {
        WalConfig {
            streams: usize::from(self.streams),
            segment_bytes: 64 << 10,
            ring_bytes: 64 << 10,
            flusher: false,
            recycle: 0,
        }
    }

    fn scan(&self, env: &Env, store: StoreId) -> Result<Scan, Error> {
        let clean = self.clean_end.as_ref();
        Scan::open(env, shape::home(), store, &self.config(), &self.incarnations, &self.from, clean)
    }
}

fn read_lv(input: &mut Input<'_>) -> Lv {
    let mut lv = Lv::ZERO;
    (0..STREAMS).for_each(|stream| lv.set(StreamId::new(stream), Lsn::new(input.number())));
    lv
}

fn put_lv(out: &mut Vec<u8>, lv: &Lv) {
    (0..STREAMS).for_each(|stream| out.put_varint(lv.get(StreamId::new(stream)).get()));
}

/// Scans a log made of the input.
pub fn segment(data: &[u8]) {
    let log = Log::read(&mut Input::new(data));
    let env = disk::empty();
    let store = log.lay(&env);
    let scan = match log.scan(&env, store) {
        Ok(scan) => scan,
        Err(error) => return expect_damage("a scan", &error),
    };
    let found = match read(&scan, &log.from) {
        Ok(found) => found,
        Err(error) => return expect_damage("a record", &error),
    };
    let again = log.scan(&env, store).and_then(|scan| read(&scan, &log.from));
    assert_eq!(again.ok(), Some(found.clone()), "a second scan differs");
    if log.resumed {
        resume(log, &env, store, &scan, found);
    }
}

/// Every record up to the cut.
fn read(scan: &Scan, from: &Lv) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for id in scan.streams() {
        let mut last = Lsn::new(0);
        scan.for_each(id, from.get(id), &mut |record| {
            assert!(record.stream == id && record.lsn >= last && record.end > record.lsn, "{record:?}");
            assert!(record.end <= scan.cut().get(id) || scan.cut().get(id) < from.get(id), "{record:?}");
            last = record.end;
            found.push((id.get(), record.lsn.get(), record.kind, record.body.to_vec()));
            Ok(())
        })?;
    }
    Ok(found)
}

/// A log that can be read can be written on; then everything is there that was, and what was added.
fn resume(mut log: Log, env: &Env, store: StoreId, scan: &Scan, mut found: Vec<Found>) {
    let begun = Arc::new(OnceLock::new());
    match append(&log, scan, begun.clone()) {
        Ok(added) => found.push(added),
        Err(error) => return expect_damage("a log that goes on", &error),
    }
    log.incarnations.extend(begun.get());
    log.clean_end = None;
    let again = log.scan(env, store).and_then(|scan| read(&scan, &log.from));
    let mut again = again.unwrap_or_else(|error| panic!("a log that went on: {error}"));
    again.sort();
    found.sort();
    assert!(again == found, "{} records, then {}", found.len(), again.len());
}

fn append(log: &Log, scan: &Scan, begun: Arc<OnceLock<Incarnation>>) -> Result<Found, Error> {
    let control = move |incarnation: &Incarnation| {
        let _ = begun.set(*incarnation);
        Ok(())
    };
    let wal = Wal::resume(scan, log.config(), Box::new(control))?;
    let (stream, body) = (StreamId::new(0), b"appended".to_vec());
    let credit = wal.reserve(stream, body.len())?;
    let appended = wal.append(credit, ADDED_KIND, &Lv::ZERO, &body);
    wal.wait_durable(&appended.lv)?;
    Ok((stream.get(), appended.lsn.get(), ADDED_KIND, body))
}
