//! What a frame shows: the tree in numbers, and how fast the load is.

use aether::lsm::LsmStat;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates that are remembered.
const RATES: usize = 40;

/// What the load has done so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Puts and deletions.
    pub(crate) puts: u64,
    pub(crate) gets: u64,
}

/// A frame.
#[derive(Clone, Default, Debug)]
pub(crate) struct Frame {
    /// Since the load began.
    pub(crate) elapsed: Duration,
    pub(crate) counts: Counts,
    /// Since the frame before.
    pub(crate) gets_per_second: u64,
    /// The same of the last frames, the oldest first.
    pub(crate) puts_per_second: Vec<u64>,
    pub(crate) memtable_bytes: u64,
    pub(crate) stat: LsmStat,
}

/// Makes frames of what it is told, one after the other.
pub(crate) struct Gatherer {
    start: Instant,
    last: (Instant, Counts),
    puts_per_second: VecDeque<u64>,
    memtable_bytes: u64,
}

impl Gatherer {
    pub(crate) fn new(memtable_bytes: u64) -> Self {
        let now = Instant::now();
        Self { start: now, last: (now, Counts::default()), puts_per_second: VecDeque::new(), memtable_bytes }
    }

    pub(crate) fn gather(&mut self, counts: Counts, stat: LsmStat) -> Frame {
        let (now, (then, before)) = (Instant::now(), self.last);
        let rate = |done: u64| (done as f64 / now.duration_since(then).as_secs_f64().max(1e-3)) as u64;
        self.puts_per_second.push_back(rate(counts.puts - before.puts));
        if self.puts_per_second.len() > RATES {
            self.puts_per_second.pop_front();
        }
        self.last = (now, counts);
        Frame {
            elapsed: now.duration_since(self.start),
            counts,
            gets_per_second: rate(counts.gets - before.gets),
            puts_per_second: self.puts_per_second.iter().copied().collect(),
            memtable_bytes: self.memtable_bytes,
            stat,
        }
    }
}
