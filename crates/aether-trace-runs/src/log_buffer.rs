//! Runs of one log stream, for `tla/log_buffer`: writers append records and wait for some of them; the power goes, or
//! the process dies, and the log goes on.

mod told;

use crate::{Dice, Trace};
use aether_sim::{CrashPolicy, Sim, file_number};
use aether_sync::{Arc, Mutex, Rank, thread};
use aether_trace::{act, name_thread, take};
use aether_types::{Lv, Result, StoreId, StreamId};
use aether_vfs::{Env, read_file};
use aether_wal::{Control, FIRST_KIND, Incarnation, Scan, Wal, WalConfig};
use std::collections::BTreeMap;
use std::path::Path;

const HOME: &str = "/home";
const STORE: StoreId = StoreId::new([7; 16]);
const STREAM: StreamId = StreamId::new(0);
/// Taken under no lock of the log.
const CONTROL: Rank = Rank::new(1, "incarnations");

/// Positions of the first byte of each log file, by its number in events.
pub(crate) type Segments = BTreeMap<u64, u64>;

/// What a control file would hold.
#[derive(Clone, Default)]
struct State {
    incarnations: Vec<Incarnation>,
    clean_end: Option<Lv>,
}

struct Life<'a> {
    sim: &'a Sim,
    state: Arc<Mutex<State>>,
    seed: u64,
    writers: u64,
    commits: u64,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a disk that is sound takes a directory")]
pub fn trace(seed: u64) -> Trace {
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let mut sim = Sim::new(seed);
    let env = sim.env();
    let made = env.vfs.create_dir(Path::new(HOME)).and_then(|()| env.vfs.sync_dir(Path::new("/")));
    made.expect("a directory can be made");
    let state = Arc::new(Mutex::new(CONTROL, State::default()));
    let (writers, lives) = (1 + dice.below(4), 1 + dice.below(4));
    let mut segments = Segments::new();
    for number in 0..lives {
        let most = if dice.once_in(3) { 40 } else { 12 };
        let commits = 2 + dice.below(most);
        let life = Life { sim: &sim, state: state.clone(), seed: dice.next(), writers, commits };
        // An open that a power cut has ended counts too.
        let _ = life.live(number == 0);
        segments.extend(segments_of(&sim.fork().env()));
        sim = next_machine(&sim, &mut dice);
    }
    told::translate(take(), &segments)
}

fn next_machine(sim: &Sim, dice: &mut Dice) -> Sim {
    let policies = CrashPolicy::all(dice.next());
    if dice.once_in(3) { sim.kill_image() } else { sim.crash_image(policies[dice.below(13) as usize]) }
}

/// Reads the headers of the log files: where a file begins is at offset 56 (docs/formats.md).
fn segments_of(env: &Env) -> Segments {
    let mut found = Segments::new();
    for entry in env.vfs.list(Path::new(HOME)).unwrap_or_default() {
        let path = Path::new(HOME).join(&entry.name);
        let first = read_file(&*env.vfs, &path).ok().and_then(|bytes| bytes.get(56..64)?.try_into().ok());
        if let (Some(first), false) = (first.map(u64::from_le_bytes), entry.name.contains("free")) {
            found.insert(file_number(&path), first);
        }
    }
    found
}

impl Life<'_> {
    fn live(&self, is_first: bool) -> Result<()> {
        let mut dice = Dice::new(self.seed, 1);
        let cut = self.sim.op_count() + 1 + dice.below(self.commits * self.writers + 12);
        if !is_first {
            self.sim.cut_power_at(cut);
        }
        let wal = self.open()?;
        wal.start()?;
        if is_first && !dice.once_in(3) {
            self.sim.cut_power_at(self.sim.op_count() + dice.below(self.commits * self.writers + 1));
        }
        self.work(&wal);
        if dice.once_in(4) {
            let ends = wal.close()?;
            self.state.lock().clean_end = Some(ends);
        }
        Ok(())
    }

    fn open(&self) -> Result<Arc<Wal>> {
        let config = WalConfig {
            streams: 1,
            segment_bytes: 256 << 10,
            ring_bytes: told::RING_BYTES as usize,
            flusher: self.seed % 2 == 0,
            recycle: 1,
        };
        let State { incarnations, clean_end } = self.state.lock().clone();
        let (env, home) = (self.sim.env(), Path::new(HOME));
        let scan =
            Scan::open(&env, home, STORE, &config, &incarnations, &Lv::ZERO, clean_end.as_ref())?;
        let state = self.state.clone();
        let control: Control = Box::new(move |incarnation| {
            let mut state = state.lock();
            state.incarnations.push(*incarnation);
            state.clean_end = None;
            Ok(())
        });
        Wal::resume(&scan, config, control)
    }

    fn work(&self, wal: &Arc<Wal>) {
        let threads = (1..=self.writers).map(|number| {
            let (wal, dice, commits) = (wal.clone(), Dice::new(self.seed, 10 + number), self.commits);
            thread::spawn("writer", move || {
                name_thread(number);
                // The power cut ends it.
                let _ = write(&wal, dice, commits);
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            // A panic was reported by the thread.
            let _ = thread.join();
        }
    }
}

/// Appends records, of which it waits for some.
fn write(wal: &Wal, mut dice: Dice, commits: u64) -> Result<()> {
    // Of some, hardly anyone waits: then the ring runs full.
    let (waits, large) = if dice.once_in(4) { (40, 2) } else { (2, 8) };
    for _ in 0..commits {
        let most = if dice.once_in(large) { 8000 } else { 200 };
        let body = vec![1; dice.below(most) as usize];
        let credit = wal.reserve(STREAM, body.len())?;
        let appended = wal.append(credit, FIRST_KIND, &Lv::ZERO, &body);
        if dice.once_in(waits) {
            wal.wait_durable(&appended.lv)?;
        } else {
            act("GoOn", || (), |()| []);
        }
    }
    Ok(())
}
