//! The progress bar of `load` and `import`, on stderr when that is a terminal.

use super::Report;
use crate::show;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

const OF_KNOWN_SIZE: &str = "{bar:30} {bytes}/{total_bytes} {msg} eta {eta}";
const OF_UNKNOWN_SIZE: &str = "{spinner} {bytes} {msg}";
#[cfg(feature = "import")]
const OF_KNOWN_ROWS: &str = "{bar:30} {msg} eta {eta}";

/// A progress bar, or nothing.
pub(crate) struct Progress {
    bar: ProgressBar,
    counts_rows: bool,
}

impl Progress {
    /// A bar over an input of so many bytes, if that is known.
    pub(crate) fn of_bytes(bytes_total: Option<u64>) -> Self {
        let template = if bytes_total.is_some() { OF_KNOWN_SIZE } else { OF_UNKNOWN_SIZE };
        Self { bar: bar(bytes_total, template), counts_rows: false }
    }

    /// A bar over so many rows, if that is known.
    #[cfg(feature = "import")]
    pub(crate) fn of_rows(rows_total: Option<u64>) -> Self {
        let template = if rows_total.is_some() { OF_KNOWN_ROWS } else { OF_UNKNOWN_SIZE };
        Self { bar: bar(rows_total, template), counts_rows: rows_total.is_some() }
    }

    /// So much is durable.
    pub(crate) fn at(&mut self, report: &Report) {
        if self.bar.is_hidden() {
            return;
        }
        let rate = super::rate(report.rows, self.bar.elapsed());
        self.bar.set_message(format!("{} rows, {} rows/s", show::count(report.rows), show::count(rate)));
        self.bar.set_position(if self.counts_rows { report.rows + report.skipped } else { report.bytes });
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar over so much, if that is known; hidden unless stderr is a terminal.
pub(crate) fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style)
}
