//! Each anomaly as a script of two or three transactions, played at each level: shown, or prevented, and how.
//!
//! The scripts are those of Kleppmann's Hermitage, the names those of Adya, "Weak Consistency" (MIT, 1999), and of
//! Berenson et al., "A Critique of ANSI SQL Isolation Levels" (SIGMOD 1995); the read-only anomaly is that of Fekete,
//! O'Neil & O'Neil (SIGMOD Record 33(3)). They are driven step by step in one thread, without waits for locks, so each
//! run is the same.

mod script;

use crate::histories::level::Level;
use crate::oracle::Verdict;
use core::fmt;
use script::SCRIPTS;
use serde_json::{Value, json};

/// What became of an anomaly at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Shown,
    /// It did not.
    Prevented(How),
}

/// What prevents an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Reads show nothing uncommitted, and of what is committed a state that it does not happen in.
    Reads,
    /// A write of a row that another has changed is refused.
    Write,
    /// A commit is refused.
    Commit,
}

/// An anomaly at all levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What became of it, at each of [`Level::ALL`].
    pub outcomes: Vec<Outcome>,
}

/// Plays every script at every level.
///
/// # Errors
/// If the store does something that is neither: an unexpected error or value.
pub fn table() -> Verdict<Vec<Row>> {
    let row = |script: &script::Script| {
        let outcomes = Level::ALL.into_iter().map(|level| script.play(level)).collect::<Verdict<_>>();
        let outcomes = outcomes.map_err(|what| format!("{}: {what}", script.name))?;
        Ok(Row { name: script.name, what: script.what, outcomes })
    };
    SCRIPTS.iter().map(row).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shown => "**shown**",
            Self::Prevented(How::Reads) => "prevented: not read",
            Self::Prevented(How::Write) => "prevented: write refused",
            Self::Prevented(How::Commit) => "prevented: commit refused",
        })
    }
}

impl Row {
    /// As JSON.
    pub fn json(&self) -> Value {
        let levels = Level::ALL.into_iter().zip(&self.outcomes);
        let outcomes: serde_json::Map<_, _> =
            levels.map(|(level, outcome)| (level.name().to_owned(), outcome.json())).collect();
        json!({ "anomaly": self.name, "what": self.what, "levels": outcomes })
    }
}

impl Outcome {
    fn json(self) -> Value {
        match self {
            Self::Shown => json!({ "shown": true }),
            Self::Prevented(How::Reads) => json!({ "shown": false, "by": "reads" }),
            Self::Prevented(How::Write) => json!({ "shown": false, "by": "write" }),
            Self::Prevented(How::Commit) => json!({ "shown": false, "by": "commit" }),
        }
    }
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let names = Level::ALL.map(|level| format!("`{level}`")).join(" | ");
    let mut text = format!("| anomaly | what happens | {names} |\n|---|---|---|---|---|\n");
    for Row { name, what, outcomes } in rows {
        let cells: Vec<_> = outcomes.iter().map(Outcome::to_string).collect();
        text += &format!("| {name} | {what} | {} |\n", cells.join(" | "));
    }
    text
}
