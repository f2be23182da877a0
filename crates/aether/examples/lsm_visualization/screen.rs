//! Where frames go: a terminal that is drawn over, lines of JSON, or the last frame alone.

use crate::arguments::Arguments;
use crate::draw::draw;
use crate::frame::Frame;
use crate::json;
use std::io::{IsTerminal, Write, stdout};

enum How {
    /// Each frame over the one before, which had so many lines.
    Live {
        lines: usize,
        has_colours: bool,
    },
    Json,
    Last(Vec<String>),
}

/// Where frames go.
pub(crate) struct Screen(How);

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self(match arguments {
            Arguments { json: true, .. } => How::Json,
            Arguments { once: false, .. } if stdout().is_terminal() => How::Live { lines: 0, has_colours },
            _ => How::Last(Vec::new()),
        })
    }

    pub(crate) fn show(&mut self, frame: &Frame) {
        match &mut self.0 {
            How::Live { lines, has_colours } => {
                let drawn = draw(frame, *has_colours);
                write(&over(*lines, &drawn));
                *lines = drawn.len();
            }
            How::Json => write(&format!("{}\n", json::line(frame))),
            How::Last(last) => *last = draw(frame, false),
        }
    }

    pub(crate) fn end(self) {
        if let How::Last(lines) = self.0 {
            write(&format!("{}\n", lines.join("\n")));
        }
    }
}

/// Whoever has stopped reading is told nothing.
fn write(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What draws `lines` over a frame of so many: up to its first line, each line anew, and nothing of what lay below. Lines that are too
/// long are cut off meanwhile.
fn over(before: usize, lines: &[String]) -> String {
    let up = if before > 0 { format!("\x1b[{before}A\r") } else { String::new() };
    let lines: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[?7l{up}{lines}\x1b[J\x1b[?7h")
}
