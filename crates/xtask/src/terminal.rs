//! Lines to the user: results to standard output, everything else to standard error.
//!
//! A reader that went away (`cargo xtask gate | head`) is no reason to stop, so failed writes are ignored.

use std::env;
#[cfg(not(test))]
use std::io::Write;
use std::io::{self, IsTerminal};

/// What a word of the output tells at a glance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Doubtful,
    Bad,
}

#[cfg(not(test))]
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(not(test))]
pub(crate) fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Unit tests print through the macros, which the harness captures.
#[cfg(test)]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
pub(crate) fn warn(line: &str) {
    eprintln!("{line}");
}

/// `word` in the colour of `mood`, if standard output shows colours.
pub(crate) fn paint(word: &str, mood: Mood) -> String {
    if !io::stdout().is_terminal() || !wants_colour() {
        return word.to_string();
    }
    let colour = match mood {
        Mood::Good => 32,
        Mood::Doubtful => 33,
        Mood::Bad => 31,
    };
    format!("\x1b[{colour}m{word}\x1b[0m")
}

/// Whether standard error is a terminal that shows colours.
pub(crate) fn errors_in_colour() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

/// Whether someone watches standard error.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

fn wants_colour() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
