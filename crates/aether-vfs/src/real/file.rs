//! An open file of the operating system.

use super::is_refusal;
use crate::aligned::is_aligned;
use crate::{File, Mode, OpenOptions};
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_types::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, getpid};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A handle through the page cache, which every call may use, and perhaps one past it for aligned transfers.
pub(super) struct RealFile {
    path: PathBuf,
    cached: fs::File,
    direct: Option<fs::File>,
    /// Set when the file system has refused a direct transfer that was aligned: not asked again.
    direct_refused: AtomicBool,
    writable: bool,
    durable_writes: bool,
    owner: Pid,
}

impl RealFile {
    pub(super) fn new(path: &Path, options: OpenOptions, cached: fs::File, direct: Option<fs::File>) -> Self {
        Self {
            path: path.to_path_buf(),
            cached,
            direct,
            direct_refused: AtomicBool::new(false),
            writable: options.write,
            durable_writes: options.mode == Mode::DirectDurable,
            owner: getpid(),
        }
    }

    fn error(&self, what: &str, error: io::Error) -> Error {
        Error::io(what, &self.path, error)
    }

    fn direct_for(&self, offset: u64, bytes: &[u8]) -> Option<&fs::File> {
        let direct = self.direct.as_ref()?;
        (is_aligned(offset, bytes) && !self.direct_refused.load(Relaxed)).then_some(direct)
    }

    /// F3: the parent and its forked child share the file, the lock and the belief to be the only writer.
    fn check_writer(&self) -> Result<()> {
        if !self.writable {
            let what = "the file was opened for reading only";
            return Err(Error::new(ErrorKind::ReadOnly, what).at_path(&self.path));
        }
        if getpid() != self.owner {
            let what = format!(
                "process {} may not write through a handle of process {}: open again after a fork",
                getpid(),
                self.owner
            );
            return Err(Error::invalid(what).at_path(&self.path));
        }
        Ok(())
    }

    fn read_some(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if let Some(direct) = self.direct_for(offset, into) {
            match direct.read_at(into, offset) {
                Err(error) if is_refusal(&error) => self.direct_refused.store(true, Relaxed),
                other => return other,
            }
        }
        self.cached.read_at(into, offset)
    }

    fn write_some(&self, offset: u64, from: &[u8]) -> io::Result<usize> {
        if let Some(direct) = self.direct_for(offset, from) {
            match direct.write_at(from, offset) {
                Err(error) if is_refusal(&error) => self.direct_refused.store(true, Relaxed),
                other => return other,
            }
        }
        let written = self.cached.write_at(from, offset)?;
        if self.durable_writes {
            self.cached.sync_data()?;
        }
        Ok(written)
    }

    fn write_all(&self, offset: u64, from: &[u8]) -> io::Result<()> {
        let done = whole(from.len(), |done| self.write_some(offset + done as u64, &from[done..]))?;
        if done < from.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    fn read_all(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        whole(into.len(), |done| self.read_some(offset + done as u64, &mut into[done..]))
    }

    /// Best effort: a lock without a name is still a lock, e.g. on a full disk.
    fn sign(&self, holder: &str) {
        let text = format!("process {}: {holder}\n", self.owner);
        let _ = self.cached.set_len(0).and_then(|()| self.cached.write_all_at(text.as_bytes(), 0));
    }

    fn locked(&self) -> Error {
        let mut text = vec![0; 1024];
        let read = self.read_all(0, &mut text).unwrap_or(0);
        let holder = String::from_utf8_lossy(&text[..read]).trim().to_string();
        let holder = if holder.is_empty() { "a holder without a name".into() } else { holder };
        Error::new(ErrorKind::Locked, format!("in use by {holder}")).at_path(&self.path)
    }
}

impl File for RealFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.read_all(offset, into).map_err(|error| self.error("cannot read", error).at_offset(offset))
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check_writer()?;
        self.write_all(offset, from).map_err(|error| self.error("cannot write", error).at_offset(offset))
    }

    /// `fdatasync`: it covers the size and whatever else is needed to read the bytes back, not the time stamps.
    fn sync(&self) -> Result<()> {
        self.cached.sync_data().map_err(|error| self.error("cannot sync", error))
    }

    fn size(&self) -> Result<u64> {
        let found = self.cached.metadata().map_err(|error| self.error("cannot inspect", error))?;
        Ok(found.len())
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.check_writer()?;
        self.cached.set_len(size).map_err(|error| self.error("cannot set the size", error).at_offset(size))
    }

    /// `flock`: it belongs to the open file, so it excludes other handles of this process too.
    fn lock(&self, holder: &str) -> Result<()> {
        self.check_writer()?;
        let taken = uninterrupted(|| Ok(flock(&self.cached, FlockOperation::NonBlockingLockExclusive)?));
        match taken {
            Ok(()) => self.sign(holder),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(self.locked()),
            Err(error) => return Err(self.error("cannot lock", error)),
        }
        Ok(())
    }
}

/// Repeats a call that the system may do in part, until all is done or a call does nothing; how much is done.
fn whole(length: usize, mut some: impl FnMut(usize) -> io::Result<usize>) -> io::Result<usize> {
    let mut done = 0;
    while done < length {
        let more = uninterrupted(|| some(done))?;
        if more == 0 {
            break;
        }
        done += more;
    }
    Ok(done)
}

/// Repeats a call that a signal has interrupted before it did anything.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Create, OpenOptions, RealVfs, Vfs};

    fn plain(path: &Path) -> RealFile {
        let cached = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
        RealFile::new(path, OpenOptions::write(Create::IfMissing), cached.unwrap(), None)
    }

    #[test]
    fn a_forked_child_may_read_but_not_write() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = plain(&dir.path().join("a"));
        file.write_at(0, b"x").unwrap();
        // As a child sees it: the handle's owner is another process.
        file.owner = Pid::INIT;
        let error = file.write_at(0, b"y").unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("fork"), "{error}");
        assert!(file.set_size(0).is_err() && file.lock("child").is_err());
        assert_eq!(file.read_at(0, &mut [0]).unwrap(), 1);
    }

    #[test]
    fn short_transfers_are_finished() {
        let mut signal = true;
        let done = whole(10, |done| {
            signal = !signal;
            if signal { Err(io::ErrorKind::Interrupted.into()) } else { Ok(3.min(10 - done)) }
        });
        assert_eq!(done.unwrap(), 10);
        assert_eq!(whole(10, |done| Ok(if done < 6 { 3 } else { 0 })).unwrap(), 6);
        let fails_half_way =
            whole(10, |done| if done < 5 { Ok(5) } else { Err(io::ErrorKind::Other.into()) });
        assert!(fails_half_way.is_err());
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        let mut left = 3;
        let result = uninterrupted(|| {
            left -= 1;
            if left > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(left) }
        });
        assert_eq!(result.unwrap(), 0);
    }

    #[test]
    fn a_device_is_refused() {
        let error = RealVfs::new().open(Path::new("/dev/null"), OpenOptions::read()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
