//! Where a run took place.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;

/// What a reader must know of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
    load_before: f64,
    load_after: f64,
}

fn first_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_start_matches([':', ' ', '\t']).to_owned())
}

/// Threads that wanted a processor, on average over the last minute.
fn load() -> f64 {
    let text = first_of("/proc/loadavg", "").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

impl Machine {
    /// This one, before the run.
    pub fn here() -> Self {
        let memory = first_of("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let load = load();
        Self {
            processor: first_of("/proc/cpuinfo", "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load_before: load,
            load_after: load,
        }
    }

    /// Notes the load after the run.
    pub fn finished(&mut self) {
        self.load_after = load();
    }

    /// More than this run and the system's own work.
    fn is_shared(&self) -> bool {
        self.load_before > 0.5
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, processors, memory_gib, kernel, load_before, load_after } = self;
        write!(out, "{processor}, {processors} processors, {memory_gib} GiB, Linux {kernel}; ")?;
        write!(out, "load average {load_before:.1} before the run, {load_after:.1} after it")?;
        if self.is_shared() {
            write!(
                out,
                ". **Other work ran beside it**: compare within a row, prefer CPU time, and trust no tail latency"
            )?;
        }
        Ok(())
    }
}
