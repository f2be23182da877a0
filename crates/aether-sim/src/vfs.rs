//! The traits of `aether-vfs` over a simulated disk.

use crate::disk::{check_end, exists};
use crate::fault::{Errno, Twist};
use crate::log::OpKind;
use crate::names::{FileNo, Target, missing};
use crate::sim::{Passage, Sim, State, failed};
use crate::trace;
use aether_sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use aether_types::{Error, ErrorKind, Result};
use aether_vfs::{Create, Entry, File, Mode, OpenOptions, Vfs};
use std::path::{Path, PathBuf};

/// The files of a [`Sim`].
#[derive(Clone, Debug)]
pub struct SimVfs {
    sim: Sim,
}

impl SimVfs {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim }
    }

    /// Runs one operation on the names: `check` it, count it, do it.
    fn change(
        &self,
        kind: OpKind,
        path: &Path,
        check: impl FnOnce(&State) -> Result<()>,
        act: impl FnOnce(&mut State) -> Result<()>,
    ) -> Result<()> {
        let state = self.sim.state();
        state.check_power(path)?;
        check(&state)?;
        let (mut state, passage) = self.sim.begin(state, (kind, path, 0, 0))?;
        act(&mut state)?;
        passage.end(path)
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let (mut state, _) = self.sim.pass(OpKind::Open, path)?;
        state.check_handles(path)?;
        let file = match find(&state, path, options)? {
            Some(file) => file,
            None => {
                state.disk.names.spot(path)?;
                let (begun, passage) = self.sim.begin(state, (OpKind::Create, path, 0, 0))?;
                state = begun;
                create(&mut state, path, &passage)?
            }
        };
        *state.handles.entry(file).or_default() += 1;
        drop(state);
        let holds_lock = AtomicBool::new(false);
        Ok(Arc::new(SimFile { sim: self.sim.clone(), path: path.to_path_buf(), file, options, holds_lock }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let check = |state: &State| state.disk.names.check_remove(path).map(drop);
        self.change(OpKind::Remove, path, check, |state| state.disk.remove(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let check = |state: &State| state.disk.names.check_rename(from, to).map(drop);
        self.change(OpKind::Rename, from, check, |state| state.disk.rename(from, to))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let check = |state: &State| match state.disk.names.find(path) {
            Some(_) => Err(exists("cannot create the directory", path)),
            None => state.disk.names.spot(path).map(drop),
        };
        self.change(OpKind::CreateDir, path, check, |state| state.disk.create_dir(path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let (state, _) = self.sim.pass(OpKind::List, dir)?;
        state.disk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let state = self.sim.state();
        state.check_power(dir)?;
        let no = state.disk.names.dir(dir, "cannot sync the directory")?;
        let (mut state, passage) = self.sim.begin(state, (OpKind::SyncDir, dir, 0, 0))?;
        passage.end(dir)?;
        state.disk.names.sync(no);
        state.forget_unreachable();
        Ok(())
    }
}

/// The file at `path`; `None` if it is to be created.
fn find(state: &State, path: &Path, options: OpenOptions) -> Result<Option<FileNo>> {
    if options.create != Create::No && !options.write {
        return Err(Error::invalid("a file is created only for writing").at_path(path));
    }
    match state.disk.names.find(path) {
        Some(Target::Dir(_)) => Err(Error::invalid("this is not a regular file").at_path(path)),
        Some(_) if options.create == Create::New => Err(exists("cannot open", path)),
        Some(Target::File(no)) => Ok(Some(no)),
        None if options.create == Create::No => Err(missing("cannot open", path)),
        None => Ok(None),
    }
}

/// Another thread may have been faster while this one was stuck.
fn create(state: &mut State, path: &Path, passage: &Passage) -> Result<FileNo> {
    let no = match state.disk.names.find(path) {
        Some(Target::File(no)) => no,
        _ => state.disk.create(path)?,
    };
    passage.end(path)?;
    Ok(no)
}

struct SimFile {
    sim: Sim,
    path: PathBuf,
    file: FileNo,
    options: OpenOptions,
    holds_lock: AtomicBool,
}

impl SimFile {
    fn check_writer(&self) -> Result<()> {
        if self.options.write {
            return Ok(());
        }
        let what = "the file was opened for reading only";
        Err(Error::new(ErrorKind::ReadOnly, what).at_path(&self.path))
    }

    fn write(&self, state: &mut State, passage: &Passage, offset: u64, from: &[u8]) -> Result<()> {
        let is_durable = self.options.mode == Mode::DirectDurable && !passage.in_flight;
        let disk = &mut state.disk;
        let fits = match passage.twist {
            Twist::Lose => disk.write(self.file, offset, &self.present(disk, offset, from.len()), is_durable),
            Twist::Misdirect => {
                let intended = self.present(disk, offset, from.len());
                let len = from.len() as u64;
                let wrong = offset.checked_sub(len).unwrap_or(offset + len);
                check_end(&self.path, wrong, len)?;
                disk.write(self.file, offset, &intended, is_durable)
                    && disk.write(self.file, wrong, from, is_durable)
            }
            Twist::Short => {
                disk.write(self.file, offset, &from[..from.len() / 2], is_durable);
                return Err(failed(OpKind::Write, &self.path, Errno::Eio));
            }
            Twist::None | Twist::Fail(_) | Twist::DropDirty | Twist::Stale | Twist::Stuck => {
                disk.write(self.file, offset, from, is_durable)
            }
        };
        if fits { Ok(()) } else { Err(failed(OpKind::Write, &self.path, Errno::Enospc)) }
    }

    /// What the file holds there now; zeroes past its end.
    fn present(&self, disk: &crate::disk::Disk, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        disk.file(self.file).live().read(offset, &mut bytes);
        bytes
    }

    /// Puts back what the newest writes have replaced.
    fn take_back(&self, state: &State, offset: u64, into: &mut [u8]) {
        let end = offset + into.len() as u64;
        for (&(_, at), old) in state.replaced.range((self.file, 0)..(self.file, end)) {
            let from = at.max(offset);
            let until = (at + old.len() as u64).min(end);
            if from < until {
                let part = &old[(from - at) as usize..(until - at) as usize];
                into[(from - offset) as usize..(until - offset) as usize].copy_from_slice(part);
            }
        }
    }

    fn locked(&self, state: &State) -> Error {
        let mut text = [0; 1024];
        let read = state.disk.file(self.file).live().read(0, &mut text);
        let holder = String::from_utf8_lossy(&text[..read]);
        Error::new(ErrorKind::Locked, format!("in use by {}", holder.trim())).at_path(&self.path)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let passed = self.sim.pass(OpKind::Read, &self.path);
        let (state, twist) = passed.map_err(|error| error.at_offset(offset))?;
        let read = state.disk.file(self.file).live().read(offset, into);
        if twist == Twist::Stale {
            self.take_back(&state, offset, &mut into[..read]);
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check_writer()?;
        check_end(&self.path, offset, from.len() as u64)?;
        let record = (OpKind::Write, &*self.path, offset, from.len() as u64);
        let begun = self.sim.begin(self.sim.state(), record);
        let is_durable = self.options.mode == Mode::DirectDurable;
        if begun.is_err() && is_durable && !self.sim.is_off() {
            trace::fail_sync(&self.path);
        }
        let (mut state, passage) = begun.map_err(|error| error.at_offset(offset))?;
        if state.faults.wants_replaced() {
            let bytes = self.present(&state.disk, offset, from.len());
            state.replaced.insert((self.file, offset), bytes);
        }
        let span = (offset, from.len());
        let written = trace::write(&self.path, span, passage.in_flight, || {
            self.write(&mut state, &passage, offset, from)?;
            passage.end(&self.path)
        });
        if written.is_ok() && is_durable {
            trace::sync(&self.path, span);
        }
        written.map_err(|error| error.at_offset(offset))
    }

    fn sync(&self) -> Result<()> {
        let (mut state, passage) = self.sim.begin(self.sim.state(), (OpKind::Sync, &self.path, 0, 0))?;
        passage.end(&self.path)?;
        let file = state.disk.file_mut(self.file);
        if passage.twist == Twist::DropDirty {
            file.drop_dirty();
            return Err(failed(OpKind::Sync, &self.path, Errno::Eio));
        }
        file.sync();
        trace::sync(&self.path, (0, 0));
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        let state = self.sim.state();
        state.check_power(&self.path)?;
        Ok(state.disk.file(self.file).live().size())
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.check_writer()?;
        check_end(&self.path, size, 0)?;
        let (mut state, passage) =
            self.sim.begin(self.sim.state(), (OpKind::SetSize, &self.path, size, 0))?;
        state.disk.set_size(self.file, size);
        passage.end(&self.path)
    }

    /// Not counted as an operation, although it writes the holder's name.
    fn lock(&self, holder: &str) -> Result<()> {
        self.check_writer()?;
        let mut state = self.sim.state();
        state.check_power(&self.path)?;
        if !state.locked.insert(self.file) && !self.holds_lock.load(Relaxed) {
            return Err(self.locked(&state));
        }
        self.holds_lock.store(true, Relaxed);
        let text = format!("process {}: {holder}\n", std::process::id());
        state.disk.set_size(self.file, 0);
        state.disk.write(self.file, 0, text.as_bytes(), false);
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.sim.state();
        if self.holds_lock.load(Relaxed) {
            state.locked.remove(&self.file);
        }
        if let Some(count) = state.handles.get_mut(&self.file) {
            *count -= 1;
            if *count == 0 {
                state.handles.remove(&self.file);
            }
        }
    }
}
