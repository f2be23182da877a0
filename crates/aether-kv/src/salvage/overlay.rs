//! A home that can be opened, recovered and thrown away: what is written stays in memory, the files keep as they are.
//!
//! It holds what a store does, on one directory: files are opened, grown, renamed, removed. Directories are not moved.

use crate::rank;
use aether_sync::{Arc, Mutex};
use aether_types::{Error, ErrorKind, Result};
use aether_vfs::{Create, Entry, File, OpenOptions, Vfs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: u64 = 4096;

/// A file system over another one, which it never changes.
pub(super) struct Overlay {
    below: Arc<dyn Vfs>,
    /// Files that were opened for writing, created or moved here; none: removed.
    files: Mutex<BTreeMap<PathBuf, Option<Arc<Shadow>>>>,
}

/// A file as it would be.
struct Shadow {
    below: Option<Arc<dyn File>>,
    state: Mutex<State>,
}

struct State {
    size: u64,
    /// Bytes of the file below that still show.
    shown: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK_BYTES as usize]>>,
}

impl Overlay {
    pub(super) fn new(below: Arc<dyn Vfs>) -> Self {
        Self { below, files: Mutex::new(rank::OVERLAY_NAMES, BTreeMap::new()) }
    }

    /// The file of this name, as the overlay has it; `None`: look below.
    fn known(&self, path: &Path) -> Option<Option<Arc<Shadow>>> {
        self.files.lock().get(path).cloned()
    }

    /// The file of this name, from below if need be.
    fn take_up(&self, path: &Path) -> Result<Arc<Shadow>> {
        match self.known(path) {
            Some(Some(shadow)) => Ok(shadow),
            Some(None) => Err(Error::new(ErrorKind::NotFound, "there is no such file").at_path(path)),
            None => {
                let shadow = Arc::new(Shadow::over(Some(self.below.open(path, OpenOptions::read())?))?);
                self.files.lock().insert(path.to_path_buf(), Some(shadow.clone()));
                Ok(shadow)
            }
        }
    }

    fn create(&self, path: &Path) -> Result<Arc<Shadow>> {
        let shadow = Arc::new(Shadow::over(None)?);
        self.files.lock().insert(path.to_path_buf(), Some(shadow.clone()));
        Ok(shadow)
    }
}

impl Shadow {
    fn over(below: Option<Arc<dyn File>>) -> Result<Self> {
        let size = below.as_ref().map_or(Ok(0), |file| file.size())?;
        let state = State { size, shown: size, blocks: BTreeMap::new() };
        Ok(Self { below, state: Mutex::new(rank::OVERLAY_BYTES, state) })
    }

    /// Fills `into` with what lies below; zeros beyond what shows.
    fn read_below(&self, state: &State, offset: u64, into: &mut [u8]) -> Result<()> {
        into.fill(0);
        let shown = state.shown.saturating_sub(offset).min(into.len() as u64) as usize;
        if let Some(below) = self.below.as_ref().filter(|_| shown > 0) {
            below.read_at(offset, &mut into[..shown])?;
        }
        Ok(())
    }
}

/// The parts of a range that lie in one block each: the block, where in it, and where in the range.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let place = offset + at as u64;
        let within = (place % BLOCK_BYTES) as usize;
        let end = length.min(at + BLOCK_BYTES as usize - within);
        let part = (place / BLOCK_BYTES, within, at..end);
        at = end;
        (!part.2.is_empty()).then_some(part)
    })
}

impl Vfs for Overlay {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let shadow = match (self.take_up(path), options.create) {
            (Ok(_), Create::New) => {
                return Err(Error::new(ErrorKind::AlreadyExists, "the file exists").at_path(path));
            }
            (Ok(shadow), _) => shadow,
            (Err(error), Create::IfMissing | Create::New) if error.kind() == ErrorKind::NotFound => {
                self.create(path)?
            }
            (Err(error), _) => return Err(error),
        };
        Ok(Arc::new(Handle(shadow)))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.take_up(path)?;
        self.files.lock().insert(path.to_path_buf(), None);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let shadow = self.take_up(from)?;
        let mut files = self.files.lock();
        files.insert(from.to_path_buf(), None);
        files.insert(to.to_path_buf(), Some(shadow));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly, "directories are not created in an overlay").at_path(path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut names: BTreeMap<String, Entry> =
            self.below.list(dir)?.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for (path, shadow) in self.files.lock().iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            match shadow {
                Some(shadow) => {
                    let size = shadow.state.lock().size;
                    names.insert(name.clone(), Entry { name, is_dir: false, size });
                }
                None => drop(names.remove(&name)),
            }
        }
        Ok(names.into_values().collect())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

struct Handle(Arc<Shadow>);

impl File for Handle {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let state = self.0.state.lock();
        let length = state.size.saturating_sub(offset).min(into.len() as u64) as usize;
        let into = &mut into[..length];
        self.0.read_below(&state, offset, into)?;
        for (block, within, range) in parts(offset, length) {
            if let Some(bytes) = state.blocks.get(&block) {
                let count = range.len();
                into[range].copy_from_slice(&bytes[within..within + count]);
            }
        }
        Ok(length)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        let mut state = self.0.state.lock();
        for (block, within, range) in parts(offset, from.len()) {
            if !state.blocks.contains_key(&block) {
                let mut bytes = Box::new([0; BLOCK_BYTES as usize]);
                self.0.read_below(&state, block * BLOCK_BYTES, &mut bytes[..])?;
                state.blocks.insert(block, bytes);
            }
            let bytes = state.blocks.get_mut(&block).expect("inserted above");
            bytes[within..within + range.len()].copy_from_slice(&from[range]);
        }
        state.size = state.size.max(offset + from.len() as u64);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.state.lock().size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let mut state = self.0.state.lock();
        if size < state.size {
            state.shown = state.shown.min(size);
            let kept = size / BLOCK_BYTES;
            state.blocks.retain(|block, _| *block <= kept);
            if let Some(last) = state.blocks.get_mut(&kept) {
                last[(size % BLOCK_BYTES) as usize..].fill(0);
            }
        }
        state.size = size;
        Ok(())
    }

    /// The lock of the home below is the caller's affair.
    fn lock(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "the helpers of tests may")]
mod tests {
    use super::*;
    use aether_vfs::{Env, read_file};

    fn write(vfs: &dyn Vfs, name: &str, offset: u64, bytes: &[u8]) {
        let file = vfs.open(Path::new(name), OpenOptions::write(Create::IfMissing)).unwrap();
        file.write_at(offset, bytes).unwrap();
    }

    #[test]
    fn what_is_done_above_shows_above_and_not_below() {
        let below = Env::memory().vfs;
        below.create_dir(Path::new("home")).unwrap();
        write(&*below, "home/a", 0, &[1; 10_000]);
        write(&*below, "home/b", 0, &[2; 10]);
        let above = Overlay::new(below.clone());
        write(&above, "home/a", 4_000, &[9; 200]);
        write(&above, "home/c", 5, &[3; 5]);
        above.rename(Path::new("home/b"), Path::new("home/d")).unwrap();
        let mut wanted = vec![1; 10_000];
        wanted[4_000..4_200].fill(9);
        assert_eq!(read_file(&above, Path::new("home/a")).unwrap(), wanted);
        assert_eq!(read_file(&above, Path::new("home/c")).unwrap(), [0, 0, 0, 0, 0, 3, 3, 3, 3, 3]);
        assert_eq!(read_file(&above, Path::new("home/d")).unwrap(), [2; 10]);
        let names = |vfs: &dyn Vfs| {
            let entries = vfs.list(Path::new("home")).unwrap();
            entries.into_iter().map(|entry| (entry.name, entry.size)).collect::<Vec<_>>()
        };
        assert_eq!(names(&above), [("a".into(), 10_000), ("c".into(), 10), ("d".into(), 10)]);
        assert_eq!(names(&*below), [("a".into(), 10_000), ("b".into(), 10)]);
        assert_eq!(read_file(&*below, Path::new("home/a")).unwrap(), [1; 10_000]);
        assert!(above.open(Path::new("home/b"), OpenOptions::read()).is_err());
    }

    #[test]
    fn a_file_that_is_cut_and_grown_shows_zeros() {
        let below = Env::memory().vfs;
        write(&*below, "f", 0, &[1; 9_000]);
        let above = Overlay::new(below.clone());
        let file = above.open(Path::new("f"), OpenOptions::write(Create::No)).unwrap();
        file.write_at(5_000, &[7; 100]).unwrap();
        file.set_size(5_050).unwrap();
        file.set_size(9_000).unwrap();
        let mut wanted = vec![0; 9_000];
        wanted[..5_000].fill(1);
        wanted[5_000..5_050].fill(7);
        assert_eq!(read_file(&above, Path::new("f")).unwrap(), wanted);
    }
}
