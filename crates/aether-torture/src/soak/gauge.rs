//! What the process and its store take.

use crate::oracle::Verdict;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Since the beginning.
    pub seconds: f64,
    /// Memory of the process that is resident, in bytes; 0 where the system does not tell.
    pub resident_bytes: u64,
    /// Handles of the process; 0 where the system does not tell.
    pub open_files: u64,
    /// Files of the home.
    pub files: u64,
    /// Their sizes together.
    pub home_bytes: u64,
}

impl Sample {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "resident_bytes": self.resident_bytes,
            "open_files": self.open_files,
            "files": self.files,
            "home_bytes": self.home_bytes,
        })
    }
}

/// Reads what this process and one home take.
#[derive(Debug)]
pub struct Gauge {
    home: PathBuf,
}

impl Gauge {
    /// A gauge of a home.
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_path_buf() }
    }

    /// One reading.
    ///
    /// # Errors
    /// If the home cannot be listed.
    pub fn read(&self, seconds: f64) -> Verdict<Sample> {
        let (files, home_bytes) =
            self.files().map_err(|error| format!("{}: {error}", self.home.display()))?;
        let open_files = fs::read_dir("/proc/self/fd").map_or(0, |handles| handles.count() as u64);
        Ok(Sample { seconds, resident_bytes: resident_bytes().unwrap_or(0), open_files, files, home_bytes })
    }

    /// How many files there are and their bytes. One that goes meanwhile does not count.
    fn files(&self) -> std::io::Result<(u64, u64)> {
        let sizes: Vec<u64> = fs::read_dir(&self.home)?
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .map(|metadata| metadata.len())
            .collect();
        Ok((sizes.len() as u64, sizes.iter().sum()))
    }
}

/// The line `VmRSS` of Linux.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
