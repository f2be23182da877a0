//! A store as the log sees it: a home, a control file, and a history to compare with.

use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Lsn, Lv, Result, StoreId, StreamId};
use aether_vfs::{Env, read_file, write_file_durably};
use aether_wal::{Appended, Control, Incarnation, Scan, Wal, WalConfig};
use std::path::Path;

pub(crate) const STORE: StoreId = StoreId::new([5; 16]);
pub(crate) const HOME: &str = "/home";
/// Elsewhere, so that writing it makes no name of a log file durable.
const STATE: &str = "/state";

/// A record as found: stream, position, kind, body.
pub(crate) type Found = (u8, u64, u8, Vec<u8>);

/// What the upper layers would keep in the control file.
#[derive(Clone, Default, Debug)]
pub(crate) struct State {
    pub(crate) incarnations: Vec<Incarnation>,
    pub(crate) from: Lv,
    pub(crate) clean_end: Option<Lv>,
}

pub(crate) fn small(streams: usize) -> WalConfig {
    WalConfig { streams, segment_bytes: 64 << 10, ring_bytes: 64 << 10, flusher: false, recycle: 1 }
}

pub(crate) fn stream(id: u8) -> StreamId {
    StreamId::new(id)
}

/// Creates the home durably.
pub(crate) fn create(env: &Env) {
    env.vfs.create_dir(Path::new(HOME)).unwrap();
    env.vfs.create_dir(Path::new(STATE)).unwrap();
    env.vfs.sync_dir(Path::new("/")).unwrap();
    write_state(env, &State::default()).unwrap();
}

/// An open store.
pub(crate) struct Store {
    pub(crate) env: Env,
    pub(crate) wal: Arc<Wal>,
    pub(crate) cut: Lv,
    /// What the scan found, in order of streams.
    pub(crate) found: Vec<Found>,
}

impl Store {
    pub(crate) fn open(env: &Env, config: &WalConfig) -> Result<Self> {
        let state = read_state(env)?;
        let scan = Scan::open(
            env,
            Path::new(HOME),
            STORE,
            config,
            &state.incarnations,
            &state.from,
            state.clean_end.as_ref(),
        )?;
        let found = read_all(&scan, &state.from)?;
        let wal = Wal::resume(&scan, config.clone(), control(env))?;
        Ok(Self { env: env.clone(), wal, cut: scan.cut(), found })
    }

    pub(crate) fn append(&self, id: u8, deps: &Lv, body: &[u8]) -> Result<Appended> {
        let credit = self.wal.reserve(stream(id), body.len())?;
        Ok(self.wal.append(credit, 16, deps, body))
    }

    /// Appends to stream 0 and waits.
    pub(crate) fn commit(&self, body: &[u8]) -> Result<Appended> {
        let appended = self.append(0, &Lv::ZERO, body)?;
        self.wal.wait_durable(&appended.lv)?;
        Ok(appended)
    }

    /// Moves the start of redo to what is claimed now, and forgets the log below.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let from = self.wal.positions();
        self.wal.wait_durable(&self.wal.slv_join())?;
        let mut state = read_state(&self.env)?;
        state.from = from;
        let outlived = self.wal.outlived(&state.incarnations);
        state.incarnations.drain(..outlived);
        write_state(&self.env, &state)?;
        match self.wal.truncate_below(&from) {
            // The log stays usable.
            Err(_) if self.wal.poisoned().is_none() => Ok(()),
            other => other,
        }
    }

    pub(crate) fn close(self) -> Result<()> {
        let ends = self.wal.close()?;
        let mut state = read_state(&self.env)?;
        state.clean_end = Some(ends);
        write_state(&self.env, &state)
    }

    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.found.iter().map(|(_, _, _, body)| body.clone()).collect()
    }
}

fn control(env: &Env) -> Control {
    let env = env.clone();
    Box::new(move |incarnation| {
        let mut state = read_state(&env)?;
        state.incarnations.push(*incarnation);
        state.clean_end = None;
        write_state(&env, &state)
    })
}

pub(crate) fn read_all(scan: &Scan, from: &Lv) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for id in scan.streams() {
        let mut last = Lsn::new(0);
        scan.for_each(id, from.get(id), &mut |record| {
            assert!(record.lsn >= last && record.end > record.lsn && record.lv.get(id) == record.end);
            assert!(scan.cut().covers(&record.lv), "{record:?} beyond {:?}", scan.cut());
            last = record.end;
            found.push((id.get(), record.lsn.get(), record.kind, record.body.to_vec()));
            Ok(())
        })?;
    }
    Ok(found)
}

const PARTS: u8 = 4;

fn put_lv(out: &mut String, lv: &Lv) {
    (0..PARTS).for_each(|id| out.push_str(&format!(" {}", lv.get(stream(id)).get())));
}

pub(crate) fn write_state(env: &Env, state: &State) -> Result<()> {
    let mut text = String::from("from 0");
    put_lv(&mut text, &state.from);
    if let Some(clean) = &state.clean_end {
        text.push_str("\nclean 0");
        put_lv(&mut text, clean);
    }
    for incarnation in &state.incarnations {
        text.push_str(&format!("\nbegan {}", incarnation.epoch));
        put_lv(&mut text, &incarnation.cut);
        put_lv(&mut text, &incarnation.start);
    }
    write_file_durably(&*env.vfs, &Path::new(STATE).join("control"), text.as_bytes())
}

pub(crate) fn read_state(env: &Env) -> Result<State> {
    let bytes = read_file(&*env.vfs, &Path::new(STATE).join("control"))?;
    let mut state = State::default();
    for line in std::str::from_utf8(&bytes).unwrap().lines() {
        let (word, numbers) = line.split_once(' ').unwrap();
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
        let lv = |skip: usize| {
            let mut lv = Lv::ZERO;
            (0..PARTS).for_each(|id| lv.set(stream(id), Lsn::new(numbers[skip + usize::from(id)])));
            lv
        };
        match word {
            "from" => state.from = lv(1),
            "clean" => state.clean_end = Some(lv(1)),
            _ => state.incarnations.push(Incarnation {
                epoch: numbers[0],
                cut: lv(1),
                start: lv(1 + PARTS as usize),
            }),
        }
    }
    Ok(state)
}

/// A list that many threads add to.
pub(crate) fn shared<T>(value: T) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(Rank::new(1, "test"), value))
}
