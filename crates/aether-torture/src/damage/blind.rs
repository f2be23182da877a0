//! Planted bugs: what an engine could fail to look at.
//!
//! As with [`Mutant`](crate::mutant::Mutant), no engine code knows of them: a file system stands between, which mends
//! or hides what the engine should have found bad, so that it reads on as one that had not looked.

use aether_kv::buffer::page;
use aether_kv::lsm::index::txn::recovery::CONTROL_NAME;
use aether_sync::Arc;
use aether_types::{Result, StoreId, checksum};
use aether_vfs::{Entry, Env, File, OpenOptions, Vfs};
use std::path::Path;

/// A check that the engine is made to go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// The checksum of a page.
    PageChecksum,
    /// The checksum of a slot of the control file.
    ControlChecksum,
    /// The order of the slots of the control file: the newest of several good ones does not count.
    StaleControl,
    /// A log segment that is missing: the log ends there, whatever comes later or was noted before.
    MissingSegment,
    /// The end of a log segment: beyond it there are zeros.
    CutSegment,
    /// The PSN tables: a page is as it was written last if its checksum is right.
    PsnTable,
}

impl Blind {
    /// All of them.
    pub const ALL: [Blind; 6] = [
        Self::PageChecksum,
        Self::ControlChecksum,
        Self::StaleControl,
        Self::MissingSegment,
        Self::CutSegment,
        Self::PsnTable,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageChecksum => "no-page-checksum",
            Self::ControlChecksum => "no-control-checksum",
            Self::StaleControl => "stale-control",
            Self::MissingSegment => "missing-segment",
            Self::CutSegment => "cut-segment",
            Self::PsnTable => "no-psn-table",
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|blind| blind.name() == name)
    }

    /// The same files, seen without the check.
    pub fn wrap(self, env: Env) -> Env {
        Env { vfs: Arc::new(BlindVfs { inner: env.vfs.clone(), blind: self }), ..env }
    }
}

struct BlindVfs {
    inner: Arc<dyn Vfs>,
    blind: Blind,
}

impl Vfs for BlindVfs {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let inner = self.inner.open(path, options)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Arc::new(BlindFile { inner, name, blind: self.blind }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut entries = self.inner.list(dir)?;
        match self.blind {
            Blind::MissingSegment => hide_after_a_gap(&mut entries),
            Blind::CutSegment => entries.iter_mut().for_each(|entry| entry.size += 1 << 30),
            _ => {}
        }
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.inner.sync_dir(dir)
    }
}

/// The stream and sequence number in the name of a log segment.
fn segment(name: &str) -> Option<(u8, u64)> {
    let (stream, sequence) = name.strip_prefix("log-")?.split_once('-')?;
    Some((u8::from_str_radix(stream, 16).ok()?, u64::from_str_radix(sequence, 16).ok()?))
}

/// The segments behind the first gap in the numbers of a stream are not there.
fn hide_after_a_gap(entries: &mut Vec<Entry>) {
    let known: Vec<_> = entries.iter().filter_map(|entry| segment(&entry.name)).collect();
    let first = |stream| known.iter().filter(|one| one.0 == stream).map(|one| one.1).min().unwrap_or(0);
    let follows = |(stream, number): (u8, u64)| (first(stream)..number).all(|n| known.contains(&(stream, n)));
    entries.retain(|entry| segment(&entry.name).is_none_or(follows));
}

struct BlindFile {
    inner: Arc<dyn File>,
    name: String,
    blind: Blind,
}

impl BlindFile {
    fn is_page(&self, offset: u64, length: usize) -> bool {
        self.name.starts_with("pages-") && offset > 0 && length >= 4096
    }

    /// The seed of the store's checksums, from the header page.
    fn store_seed(&self) -> Result<u64> {
        let mut id = [0; 16];
        self.inner.read_at(56, &mut id)?;
        Ok(StoreId::new(id).seed())
    }

    fn mend(&self, offset: u64, read: usize, into: &mut [u8]) -> Result<usize> {
        match self.blind {
            Blind::PageChecksum if self.is_page(offset, into.len()) && into[24] != 0 => {
                let number = offset / into.len() as u64;
                into[24..32].copy_from_slice(&number.to_le_bytes());
                page::seal(into, self.store_seed()?);
            }
            Blind::ControlChecksum if self.name == CONTROL_NAME => {
                into.chunks_mut(SLOT_BYTES).for_each(mend_slot)
            }
            Blind::StaleControl if self.name == CONTROL_NAME => forget_newest(into),
            Blind::CutSegment if segment(&self.name).is_some() => {
                into[read..].fill(0);
                return Ok(into.len());
            }
            Blind::PsnTable if self.name.starts_with("psns-") => into.fill(0),
            Blind::MissingSegment if offset == 0 && segment(&self.name).is_some() => into[512..1024].fill(0),
            _ => {}
        }
        Ok(read)
    }
}

/// Bytes of a slot of the control file.
const SLOT_BYTES: usize = 32 << 10;

fn length(slot: &[u8]) -> usize {
    let field = slot.get(20..24).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes);
    field as usize
}

fn slot_sum(slot: &[u8]) -> Option<u64> {
    let body = slot.get(32..32 + length(slot))?;
    Some(checksum(0, &[&slot[..24], body].concat()))
}

fn mend_slot(slot: &mut [u8]) {
    if let Some(sum) = slot_sum(slot).filter(|_| slot.starts_with(b"AETHCTRL")) {
        slot[24..32].copy_from_slice(&sum.to_le_bytes());
    }
}

/// The number of a slot, if it is a good one.
fn slot_number(slot: &[u8]) -> Option<u64> {
    let sum = slot_sum(slot)?.to_le_bytes();
    let number = slot.get(32..40).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes)?;
    (slot[24..32] == sum).then_some(number)
}

fn forget_newest(control: &mut [u8]) {
    let mut slots: Vec<_> =
        control.chunks_mut(SLOT_BYTES).filter(|slot| slot_number(slot).is_some()).collect();
    slots.sort_by_key(|slot| slot_number(slot));
    if let [.., _, newest] = &mut slots[..] {
        newest.fill(0);
    }
}

impl File for BlindFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let read = self.inner.read_at(offset, into)?;
        self.mend(offset, read, into)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.inner.write_at(offset, from)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.inner.set_size(size)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        self.inner.lock(holder)
    }
}
