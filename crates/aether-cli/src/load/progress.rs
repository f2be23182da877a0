//! The progress bar of `load`, on stderr when that is a terminal.

use super::Report;
use crate::show;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

const OF_KNOWN_SIZE: &str = "{bar:30} {bytes}/{total_bytes} {msg} eta {eta}";
const OF_UNKNOWN_SIZE: &str = "{spinner} {bytes} {msg}";

/// A progress bar, or nothing.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over an input of so many bytes, if that is known.
    pub(crate) fn of_bytes(bytes_total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match bytes_total {
            Some(bytes) => (ProgressBar::new(bytes), OF_KNOWN_SIZE),
            None => (ProgressBar::new_spinner(), OF_UNKNOWN_SIZE),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style))
    }

    /// So much is durable.
    pub(crate) fn at(&mut self, report: &Report) {
        if self.0.is_hidden() {
            return;
        }
        let rate = super::rate(report.rows, self.0.elapsed());
        self.0.set_message(format!("{} rows, {} rows/s", show::count(report.rows), show::count(rate)));
        self.0.set_position(report.bytes);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
