//! A log on a simulated disk, through crashes.

use crate::Dice;
use aether_sim::{CrashPolicy, Sim, file_number};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Lv, Result, StoreId};
use aether_vfs::read_file;
use aether_wal::{Control, Incarnation, Scan, Wal, WalConfig};
use std::collections::BTreeMap;
use std::path::Path;

/// Where logs and stores of runs are.
pub(crate) const HOME: &str = "/home";
const STORE: StoreId = StoreId::new([7; 16]);
/// Taken under no lock of the log.
const CONTROL: Rank = Rank::new(1, "incarnations");
/// Bytes of a log file before its first record, and of what is written at once.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Of each stream's ring.
pub(crate) const RING_BYTES: u64 = 64 << 10;

/// The stream of each log file and the position of its first byte, by its number in events.
pub(crate) type Segments = BTreeMap<u64, (u64, u64)>;

/// What a control file would hold.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) incarnations: Vec<Incarnation>,
    pub(crate) clean_end: Option<Lv>,
}

/// The machine that the log is on, and its control file.
pub(crate) struct Home {
    pub(crate) sim: Sim,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Home {
    #[allow(clippy::expect_used, reason = "a disk that is sound takes a directory")]
    pub(crate) fn create(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let env = sim.env();
        let made = env.vfs.create_dir(Path::new(HOME)).and_then(|()| env.vfs.sync_dir(Path::new("/")));
        made.expect("a directory can be made");
        Self { sim, state: Arc::new(Mutex::new(CONTROL, State::default())) }
    }

    /// Opens the log; it has not begun to write.
    pub(crate) fn open(&self, streams: usize, flusher: bool) -> Result<(Scan, Arc<Wal>)> {
        let ring_bytes = RING_BYTES as usize;
        let config = WalConfig { streams, segment_bytes: 256 << 10, ring_bytes, flusher, recycle: 1 };
        let State { incarnations, clean_end } = self.state.lock().clone();
        let (env, home) = (self.sim.env(), Path::new(HOME));
        let scan = Scan::open(&env, home, STORE, &config, &incarnations, &Lv::ZERO, clean_end.as_ref())?;
        let state = self.state.clone();
        let control: Control = Box::new(move |incarnation| {
            let mut state = state.lock();
            state.incarnations.push(*incarnation);
            state.clean_end = None;
            Ok(())
        });
        let wal = Wal::resume(&scan, config, control)?;
        Ok((scan, wal))
    }

    /// Goes on with the machine after the death of the process or a power cut.
    pub(crate) fn crash(&mut self, dice: &mut Dice) {
        self.sim = after_crash(&self.sim, dice);
    }

    /// Reads the headers of the log files: where a file begins is at offset 56 (docs/formats.md).
    pub(crate) fn segments(&self) -> Segments {
        let mut found = Segments::new();
        let env = self.sim.fork().env();
        for entry in env.vfs.list(Path::new(HOME)).unwrap_or_default() {
            let path = Path::new(HOME).join(&entry.name);
            let first = read_file(&*env.vfs, &path).ok().and_then(|bytes| bytes.get(56..64)?.try_into().ok());
            let stream = entry.name.get(4..6).and_then(|stream| u64::from_str_radix(stream, 16).ok());
            if let (Some(first), Some(stream), false) = (first, stream, entry.name.contains("free")) {
                found.insert(file_number(&path), (stream, u64::from_le_bytes(first)));
            }
        }
        found
    }
}

/// The machine after the death of the process or a power cut.
pub(crate) fn after_crash(sim: &Sim, dice: &mut Dice) -> Sim {
    let policies = CrashPolicy::all(dice.next());
    let policy = policies[dice.below(policies.len() as u64) as usize];
    if dice.once_in(3) { sim.kill_image() } else { sim.crash_image(policy) }
}
