//! Where a dump goes: standard output, or a new file that gets its name when it is whole and durable.

use crate::exit::{Failure, Outcome};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const BUFFER_BYTES: usize = 256 << 10;

/// The target of a dump.
pub(crate) enum Target {
    Stdout(BufWriter<StdoutLock<'static>>),
    File { out: BufWriter<NamedTempFile>, path: PathBuf },
}

impl Target {
    /// A new file, or standard output.
    pub(crate) fn open(path: Option<&Path>) -> Outcome<Self> {
        let Some(path) = path else {
            return Ok(Self::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())));
        };
        if path.exists() {
            return Err(Failure::input(format!("{} is there already", path.display())));
        }
        let file = NamedTempFile::new_in(directory(path)).map_err(|error| unwritten(path, &error))?;
        Ok(Self::File { out: BufWriter::with_capacity(BUFFER_BYTES, file), path: path.into() })
    }

    /// Writes something.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome<()> {
        match self {
            Self::Stdout(out) => write(out).map_err(|error| Failure::output(&error)),
            Self::File { out, path } => write(out).map_err(|error| unwritten(path, &error)),
        }
    }

    /// Hands over what is buffered; a file is synced, gets its name, and its directory is synced.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.write(|out| out.flush())?;
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { out, path } => name(out, &path).map_err(|error| unwritten(&path, &error)),
        }
    }
}

fn name(out: BufWriter<NamedTempFile>, path: &Path) -> io::Result<()> {
    let file = out.into_inner()?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    std::fs::File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::system(&format!("writing {}", path.display()), error)
}
