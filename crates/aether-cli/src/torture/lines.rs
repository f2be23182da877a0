//! Lines to standard output, each by one write.

use crate::exit::{Failure, Outcome};
use aether_sync::{Mutex, Rank};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Taken last of all.
const OUTPUT: Rank = Rank::new(990, "the output of torture");

/// Standard output, unbuffered, shared by the clients: what was said stays said when the process is killed.
pub(super) struct Lines(Mutex<File>);

impl Lines {
    /// Lines to standard output.
    pub(super) fn to_stdout() -> Outcome<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(|error| Failure::output(&error))?;
        Ok(Self(Mutex::new(OUTPUT, File::from(out))))
    }

    /// Writes a line, newline included. Lines stand in the order of these calls. Blocks on the reader.
    pub(super) fn write(&self, line: &str) -> Outcome<()> {
        let mut out = self.0.lock();
        // A write to a pipe or file takes the whole line unless a signal cuts it; then the rest follows.
        out.write_all(line.as_bytes()).map_err(|error| Failure::output(&error))
    }
}
