//! Every way out of the command: the exit codes, and failures with their code and text.

use aether::{Error, ErrorKind};
use std::io::{self, Write};
use std::process::ExitCode;

/// The table of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the key or keyspace was not found; `demo`: an acknowledged row is missing
  2  wrong usage or bad input (malformed line, key over the limit, no such home, table or kind of index, a
     keyspace that is of that kind already, an engine that this build cannot import)
  3  refused: damaged or foreign data, or a version this build does not know
  4  the home, or the source of an import, is in use by another process
  5  input, output, permission or full disk
  6  a conflict, a commit in doubt, or another condition

NO_COLOR is obeyed. A reader that closes the pipe ends the command quietly.";

/// An exit code that `--help` documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Absent = 1,
    BadInput = 2,
    Damaged = 3,
    InUse = 4,
    System = 5,
    Other = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// How a command ends.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Told to the user, with a code.
    Told { exit: Exit, message: String },
    /// Whoever read our output has gone; nothing is told.
    PipeClosed,
}

impl Failure {
    /// A failure with a code and a text.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told { exit, message: message.into() }
    }

    /// Wrong usage or input.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, message)
    }

    /// An operating-system error while doing `what`.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self::new(Exit::System, format!("{what}: {error}"))
    }

    /// A failed write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::system("writing the output", error),
        }
    }

    /// The same failure with `context: ` in front and `after` behind its text.
    pub(crate) fn within(self, context: &str, after: &str) -> Self {
        match self {
            Self::Told { exit, message } => Self::new(exit, format!("{context}: {message}{after}")),
            Self::PipeClosed => Self::PipeClosed,
        }
    }

    /// Tells the user on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Told { exit, message } => {
                warn(message);
                (*exit).into()
            }
            Self::PipeClosed => Exit::Done.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(exit_of(error.kind()), error.to_string())
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::NotFound => Exit::Absent,
        ErrorKind::InvalidInput | ErrorKind::AlreadyExists => Exit::BadInput,
        ErrorKind::Corruption | ErrorKind::Unsupported => Exit::Damaged,
        ErrorKind::Locked => Exit::InUse,
        ErrorKind::Io | ErrorKind::Full | ErrorKind::ReadOnly => Exit::System,
        _ => Exit::Other,
    }
}

/// One line on stderr; a closed stderr is no reason to fail.
pub(crate) fn warn(message: &str) {
    let _ = writeln!(io::stderr(), "aether: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_documented_codes() {
        for (kind, exit) in [
            (ErrorKind::NotFound, Exit::Absent),
            (ErrorKind::InvalidInput, Exit::BadInput),
            (ErrorKind::Corruption, Exit::Damaged),
            (ErrorKind::Locked, Exit::InUse),
            (ErrorKind::Full, Exit::System),
            (ErrorKind::InDoubt, Exit::Other),
        ] {
            assert_eq!(exit_of(kind), exit);
        }
    }

    #[test]
    fn a_closed_pipe_is_quiet() {
        let failure = Failure::output(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure.within("x", "y"), Failure::PipeClosed));
    }
}
