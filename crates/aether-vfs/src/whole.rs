//! Whole files: read, and replace durably.

use crate::{Create, File, OpenOptions, Vfs};
use aether_types::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Fills `into` from `offset`.
///
/// # Errors
/// `Corruption` if the file ends before.
pub fn read_exact_at(file: &dyn File, offset: u64, into: &mut [u8]) -> Result<()> {
    let read = file.read_at(offset, into)?;
    if read < into.len() {
        let what = format!("file ends early: {read} of {} bytes", into.len());
        return Err(Error::corruption(what).at_offset(offset));
    }
    Ok(())
}

/// All bytes of a file.
///
/// # Errors
/// `OverLimit` if it does not fit into memory.
pub fn read_file(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>> {
    let file = vfs.open(path, OpenOptions::read())?;
    let size = file.size()?;
    let mut bytes = Vec::new();
    let fits = usize::try_from(size).is_ok_and(|size| bytes.try_reserve_exact(size).is_ok());
    if !fits {
        let what = format!("a file of {size} bytes does not fit into memory");
        return Err(Error::new(ErrorKind::OverLimit, what).at_path(path));
    }
    bytes.resize(size as usize, 0);
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Creates or replaces a file so that after a crash the path leads to the old bytes or to the new ones, and, once
/// this has returned, to the new ones (F2): writes `<path>.tmp`, syncs it, renames it, syncs the directory. Blocks
/// for the device. After a failure the path still leads to one of the two.
pub fn write_file_durably(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let new = temporary(path);
    let done = write_synced(vfs, &new, bytes).and_then(|()| vfs.rename(&new, path));
    if done.is_err() {
        // Best effort: a leftover is overwritten by the next attempt.
        let _ = vfs.remove(&new);
    }
    done?;
    vfs.sync_dir(parent(path))
}

fn write_synced(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = vfs.open(path, OpenOptions::write(Create::IfMissing))?;
    file.set_size(0)?;
    file.write_at(0, bytes)?;
    file.sync()
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".tmp");
    name.into()
}

/// The directory that holds `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryVfs;

    #[test]
    fn a_file_is_replaced_whole() {
        let vfs = MemoryVfs::new();
        let path = Path::new("control");
        for bytes in [&b"the first, longer"[..], b"second"] {
            write_file_durably(&vfs, path, bytes).unwrap();
            assert_eq!(read_file(&vfs, path).unwrap(), bytes);
        }
        assert_eq!(vfs.list(Path::new("/")).unwrap().len(), 1);
    }

    #[test]
    fn a_short_file_is_corruption_at_its_offset() {
        let vfs = MemoryVfs::new();
        write_file_durably(&vfs, Path::new("a"), b"12345").unwrap();
        let file = vfs.open(Path::new("a"), OpenOptions::read()).unwrap();
        let error = read_exact_at(&*file, 3, &mut [0; 4]).unwrap_err();
        assert_eq!((error.kind(), error.place().offset), (ErrorKind::Corruption, Some(3)));
    }
}
