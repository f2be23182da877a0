//! The disk of a simulation: names and files, and everything that is done to them.

use crate::crash::{Chooser, CrashPolicy, Unsynced};
use crate::data::Data;
use crate::names::{FileNo, Names, Target};
use aether_types::{Error, ErrorKind, Result};
use aether_vfs::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The largest file: the simulation keeps a table of chunks.
const SIZE_MAX: u64 = 1 << 36;

/// Copies share the bytes of files.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) names: Names,
    files: BTreeMap<FileNo, Data>,
    /// The order of the next change.
    next_order: u64,
    /// What a [`Fault::DiskFull`](crate::Fault::DiskFull) leaves.
    space: Option<u64>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { names: Names::new(), files: BTreeMap::new(), next_order: 1, space: None }
    }

    pub(crate) fn take_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order - 1
    }

    pub(crate) fn set_space(&mut self, space: Option<u64>) {
        self.space = space;
    }

    #[allow(clippy::expect_used)]
    pub(crate) fn file(&self, no: FileNo) -> &Data {
        self.files.get(&no).expect("a file lives as long as a name or handle leads to it")
    }

    #[allow(clippy::expect_used)]
    pub(crate) fn file_mut(&mut self, no: FileNo) -> &mut Data {
        self.files.get_mut(&no).expect("a file lives as long as a name or handle leads to it")
    }

    pub(crate) fn create(&mut self, path: &Path) -> Result<FileNo> {
        let spot = self.names.spot(path)?;
        let order = self.take_order();
        let no = self.names.create_file(order, spot);
        self.files.insert(no, Data::default());
        Ok(no)
    }

    /// Writes what there is space for; true if that was all.
    pub(crate) fn write(&mut self, no: FileNo, offset: u64, bytes: &[u8], is_durable: bool) -> bool {
        let order = self.take_order();
        let space = self.space;
        let file = self.file_mut(no);
        let fits = space.map_or(bytes.len(), |space| file.live().fitting(offset, bytes.len(), space));
        let before = file.live().allocated_if(space.is_some());
        file.write(order, offset, &bytes[..fits], is_durable);
        let after = file.live().allocated_if(space.is_some());
        self.space = space.map(|space| space.saturating_sub(after - before));
        fits == bytes.len()
    }

    pub(crate) fn set_size(&mut self, no: FileNo, size: u64) {
        let order = self.take_order();
        let before = self.file(no).live().allocated();
        self.file_mut(no).set_size(order, size);
        self.free(before - self.file(no).live().allocated());
    }

    pub(crate) fn free(&mut self, bytes: u64) {
        self.space = self.space.map(|space| space + bytes);
    }

    fn free_target(&mut self, target: Option<Target>) {
        if let Some(Target::File(no)) = target {
            self.free(self.file(no).live().allocated());
        }
    }

    pub(crate) fn remove(&mut self, path: &Path) -> Result<()> {
        let (spot, target) = self.names.check_remove(path)?;
        let order = self.take_order();
        self.names.remove(order, spot, target);
        self.free_target(Some(target));
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let Some((old, new, target)) = self.names.check_rename(from, to)? else { return Ok(()) };
        let replaced = self.names.find(to);
        let order = self.take_order();
        self.names.rename(order, old, new, target);
        self.free_target(replaced);
        Ok(())
    }

    pub(crate) fn create_dir(&mut self, path: &Path) -> Result<()> {
        if self.names.find(path).is_some() {
            return Err(exists("cannot create the directory", path));
        }
        let spot = self.names.spot(path)?;
        let order = self.take_order();
        self.names.create_dir(order, spot);
        Ok(())
    }

    pub(crate) fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let entry = |(name, target): (&aether_sync::Arc<str>, Target)| match target {
            Target::Dir(_) => Entry { name: name.to_string(), is_dir: true, size: 0 },
            Target::File(no) => {
                Entry { name: name.to_string(), is_dir: false, size: self.file(no).live().size() }
            }
        };
        Ok(self.names.list(dir)?.map(entry).collect())
    }

    pub(crate) fn flip(&mut self, path: &Path, byte: u64, bit: u8) {
        if let Some(Target::File(no)) = self.names.find(path) {
            self.file_mut(no).flip(byte, bit);
        }
    }

    /// Forgets the files that no name leads to, before or after any crash, and no handle.
    pub(crate) fn forget_unreachable(&mut self, in_use: impl Iterator<Item = FileNo>) {
        let mut kept = self.names.files();
        kept.extend(in_use);
        self.files.retain(|no, _| kept.contains(no));
    }

    /// What a power cut leaves.
    pub(crate) fn survivor(&self, policy: CrashPolicy) -> Self {
        let mut chooser = Chooser::new(policy, self.unsynced());
        let names = self.names.survivor(&mut chooser);
        let reachable: BTreeSet<FileNo> = names.files();
        let mut files = BTreeMap::new();
        for no in reachable {
            if let Some(file) = self.files.get(&no) {
                files.insert(no, file.survivor(&mut chooser));
            }
        }
        let space = self.space.map(|space| (space + self.used()).saturating_sub(used(&files)));
        Self { names, files, next_order: self.next_order, space }
    }

    /// What the files take that a name leads to.
    pub(crate) fn used(&self) -> u64 {
        let named = self.names.live_files();
        named.filter_map(|no| self.files.get(&no)).map(|file| file.live().allocated()).sum()
    }

    fn unsynced(&self) -> Unsynced {
        let changes = || self.files.values().flat_map(Data::pending).filter(|change| !change.is_durable);
        let newest_write = changes().filter(|change| change.is_write()).map(|change| change.order).max();
        let orders = self.names.unsynced().chain(changes().map(|change| change.order)).collect();
        Unsynced { orders, newest_write }
    }
}

fn used(files: &BTreeMap<FileNo, Data>) -> u64 {
    files.values().map(|file| file.live().allocated()).sum()
}

/// Refuses what is beyond the largest file.
pub(crate) fn check_end(path: &Path, offset: u64, len: u64) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= SIZE_MAX => Ok(()),
        _ => Err(Error::new(ErrorKind::Full, "beyond the largest file").at_path(path).at_offset(offset)),
    }
}

pub(crate) fn exists(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("{what}: it exists already")).at_path(path)
}
