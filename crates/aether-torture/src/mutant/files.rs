//! The file system that lies.

use super::switch::Switch;
use super::{Mutant, Role};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Error, ErrorKind, Result};
use aether_vfs::{Entry, File, Mode, OpenOptions, Vfs};
use std::path::{Path, PathBuf};

const LATE: Rank = Rank::new(892, "torture late writes");

/// Where a slot of the control file has its vectors, 16 numbers each; after the first stands the checkpoint's stream.
const CONTROL_VECTORS: usize = 61;

/// A view of `inner` with the bug of `switch`.
pub(super) fn wrap(inner: Arc<dyn Vfs>, switch: Arc<Switch>) -> Arc<dyn Vfs> {
    Arc::new(Wrapped { inner, switch })
}

struct Wrapped {
    inner: Arc<dyn Vfs>,
    switch: Arc<Switch>,
}

impl Wrapped {
    /// Writes of this file are to be volatile although the engine asks for durable ones.
    fn is_volatile(&self, role: Role) -> bool {
        match role {
            Role::Log => self.switch.keeps_log_volatile(),
            Role::DoubleWrite => self.switch.is(Mutant::SkipDoubleWriteSync),
            _ => false,
        }
    }

    /// The segment after the one that goes, goes too: to a name that no reader of the log knows.
    fn hide_next(&self, path: &Path) {
        if let Some(next) = next_segment(path).filter(|_| self.switch.is(Mutant::SegmentDeletedEarly)) {
            // Where there is none, there is nothing to do wrong.
            let _ = self.inner.rename(&next, &hidden(&next));
        }
    }

    /// Where the file is: the engine does not miss what the bug has hidden.
    fn whereabouts(&self, path: &Path) -> PathBuf {
        let hidden = hidden(path);
        let is_hidden = self.switch.is(Mutant::SegmentDeletedEarly)
            && Role::of(path) == Role::Log
            && self.inner.open(&hidden, OpenOptions::read()).is_ok();
        if is_hidden { hidden } else { path.to_path_buf() }
    }
}

fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("hidden-{name}"))
}

/// True if a slot of the control file names a checkpoint.
fn names_checkpoint(slot: &[u8]) -> bool {
    let mut left = 16;
    for (at, byte) in slot.iter().enumerate().skip(CONTROL_VECTORS) {
        left -= usize::from(*byte < 0x80);
        if left == 0 {
            return slot.get(at + 1).is_some_and(|stream| *stream != u8::MAX);
        }
    }
    false
}

/// The path of the segment with the next number, if `path` is that of a segment.
fn next_segment(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (stream, number) = name.strip_prefix("log-")?.split_once('-')?;
    let next = u64::from_str_radix(number, 16).ok()? + 1;
    Some(path.with_file_name(format!("log-{stream}-{next:016x}")))
}

impl Vfs for Wrapped {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.switch.record("open", path, (0, 0), &[]);
        let role = Role::of(path);
        let pretends = options.mode == Mode::DirectDurable && self.is_volatile(role);
        let options = if pretends { options.with_mode(Mode::Direct) } else { options };
        let inner = self.inner.open(path, options)?;
        Ok(Arc::new(WrappedFile {
            inner,
            path: path.to_path_buf(),
            role,
            pretends,
            switch: self.switch.clone(),
            late: Mutex::new(LATE, Vec::new()),
        }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.switch.record("remove", path, (0, 0), &[]);
        self.hide_next(path);
        self.inner.remove(&self.whereabouts(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.switch.record("rename", from, (0, 0), to.as_os_str().as_encoded_bytes());
        self.hide_next(from);
        self.inner.rename(&self.whereabouts(from), to)?;
        self.switch.note_rename();
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.switch.record("create_dir", path, (0, 0), &[]);
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.switch.record("sync_dir", dir, (0, 0), &[]);
        if self.switch.skips_directory_sync() {
            return Ok(());
        }
        self.inner.sync_dir(dir)
    }
}

struct WrappedFile {
    inner: Arc<dyn File>,
    path: PathBuf,
    role: Role,
    /// The engine believes that each write is durable when it returns, and is wrong.
    pretends: bool,
    switch: Arc<Switch>,
    /// Writes that a sync or the next write overtakes.
    late: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl WrappedFile {
    fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        let switch = &self.switch;
        match self.role {
            Role::Pages if switch.loses_page_write() => Ok(()),
            Role::Pages if switch.is(Mutant::ReorderAcrossSync) => {
                self.late.lock().push((offset, from.to_vec()));
                Ok(())
            }
            Role::Log if switch.is(Mutant::HalfLogWrite) && offset >= 4096 => {
                self.bring_late()?;
                let half = from.len() / 2;
                self.late.lock().push((offset + half as u64, from[half..].to_vec()));
                self.inner.write_at(offset, &from[..half])
            }
            Role::DoubleWrite if switch.is(Mutant::TornPageWithoutCopy) => Ok(()),
            Role::Control if switch.is(Mutant::ControlInPlace) => self.inner.write_at(0, from),
            Role::Control if switch.is(Mutant::LoseCheckpoint) && names_checkpoint(from) => Ok(()),
            _ => self.inner.write_at(offset, from),
        }
    }

    fn bring_late(&self) -> Result<()> {
        let late = std::mem::take(&mut *self.late.lock());
        late.iter().try_for_each(|(offset, bytes)| self.inner.write_at(*offset, bytes))
    }

    /// The page that is there now.
    fn present(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.inner.read_at(offset, &mut bytes).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    fn skips_sync(&self) -> bool {
        match self.role {
            Role::Log => self.switch.log_is_late(),
            Role::FreeLog => self.switch.is(Mutant::SegmentBeforeDurable),
            Role::Pages => self.switch.is(Mutant::ForgetPageSync),
            _ => false,
        }
    }

    /// What the engine gets to hear of a failed write.
    fn hush_write(&self, error: Error) -> Result<()> {
        let hushed = match error.kind() {
            ErrorKind::Full => self.switch.is(Mutant::DiskFullAsSuccess),
            _ => self.switch.is(Mutant::ShortWriteAsWhole) && !is_power_off(&error),
        };
        if hushed { Ok(()) } else { Err(error) }
    }
}

/// Without power nothing can be pretended.
fn is_power_off(error: &Error) -> bool {
    error.what() == "power is off"
}

impl File for WrappedFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.switch.record("read", &self.path, (offset, into.len() as u64), &[]);
        self.bring_late()?;
        let older = (self.role == Role::Pages).then(|| self.switch.take_older(offset, into.len())).flatten();
        match older {
            Some(page) => into.copy_from_slice(&page),
            None => return self.inner.read_at(offset, into),
        }
        Ok(into.len())
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.switch.record("write", &self.path, (offset, from.len() as u64), from);
        if self.role == Role::Pages {
            self.switch.keep_older(offset, || self.present(offset, from.len()));
        }
        self.write(offset, from).or_else(|error| self.hush_write(error))?;
        let late = self.role != Role::Log || self.switch.log_is_late();
        if self.pretends && !late { self.inner.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        self.switch.record("sync", &self.path, (0, 0), &[]);
        if self.skips_sync() {
            return Ok(());
        }
        match self.inner.sync() {
            Err(error) if !self.switch.is(Mutant::FailedSyncAsSuccess) || is_power_off(&error) => Err(error),
            _ => self.bring_late(),
        }
    }

    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.switch.record("set_size", &self.path, (0, size), &[]);
        self.inner.set_size(size)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        self.inner.lock(holder)
    }
}

impl Drop for WrappedFile {
    fn drop(&mut self) {
        // Whoever closes the file cleanly finds it whole; without power it fails, which is right.
        let _ = self.bring_late();
    }
}
