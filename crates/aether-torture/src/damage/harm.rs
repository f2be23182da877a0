//! What can happen to a file at rest.

use super::specimen::{Files, Slip, Specimen};
use crate::rng::Rng;
use crate::shape;
use aether_sim::Sim;
use aether_types::Result;
use aether_vfs::{Create, OpenOptions};
use core::fmt;

/// What bytes are overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filler {
    /// Zeros.
    Zeros,
    /// 0xFF.
    Ones,
    /// Chance.
    Garbage(u64),
}

impl Filler {
    fn bytes(self, length: u64) -> Vec<u8> {
        match self {
            Self::Zeros => vec![0; length as usize],
            Self::Ones => vec![0xff; length as usize],
            Self::Garbage(seed) => Rng::new(seed).bytes(length as usize),
        }
    }
}

/// One thing that happens to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A bit flips.
    Flip(u64),
    /// `.1` bytes at `.0` are overwritten.
    Fill(u64, u64, Filler),
    /// Two pieces of `.2` bytes change places.
    Swap(u64, u64, u64),
    /// The piece at `.0` is overwritten by the one at `.1`; both have `.2` bytes.
    Copy(u64, u64, u64),
    /// `.1` bytes at `.0` are what they were at the earlier moment `.2`.
    Stale(u64, u64, usize),
    /// The whole file is what it was at an earlier moment.
    StaleFile(usize),
    /// The file is cut to this length.
    Cut(u64),
    /// The file goes on for so many bytes more.
    Extend(u64, Filler),
    /// The file is not there.
    Remove,
    /// The file is empty.
    Empty,
    /// One write to the file went wrong while the store was used.
    Slip(Slip),
}

/// The file's bytes after the harm: none if it is gone.
type After = Option<Vec<u8>>;

impl Harm {
    /// Brings it about on a machine. False if nothing has changed by it.
    ///
    /// # Errors
    /// Of the machine's file system; there are none.
    pub fn befall(&self, specimen: &Specimen, file: &str, sim: &Sim) -> Result<bool> {
        let Some(before) = specimen.files.get(file) else { return Ok(false) };
        let after = self.after(before, file, &specimen.older);
        if after.as_deref() == Some(&before[..]) {
            return Ok(false);
        }
        let (vfs, path) = (sim.env().vfs, shape::home().join(file));
        let Some(after) = after else { return vfs.remove(&path).map(|()| true) };
        let open = vfs.open(&path, OpenOptions::write(Create::No))?;
        open.set_size(after.len() as u64)?;
        write_changes(&*open, before, &after)?;
        open.sync().map(|()| true)
    }

    fn after(&self, before: &[u8], file: &str, older: &[Files]) -> After {
        let mut bytes = before.to_vec();
        match *self {
            Self::Flip(bit) => bytes[(bit / 8) as usize] ^= 1 << (bit % 8),
            Self::Fill(at, length, with) => put(&mut bytes, at, &with.bytes(length)),
            Self::Swap(one, other, length) => {
                put(&mut bytes, one, piece(before, other, length));
                put(&mut bytes, other, piece(before, one, length));
            }
            Self::Copy(to, from, length) => put(&mut bytes, to, piece(before, from, length)),
            Self::Stale(at, length, when) => {
                let old = older.get(when).and_then(|files| files.get(file));
                put(&mut bytes, at, old.map_or(&[][..], |old| piece(old, at, length)));
            }
            Self::StaleFile(when) => {
                return older.get(when).and_then(|f| f.get(file)).map(|old| old.to_vec());
            }
            Self::Cut(length) => bytes.truncate(length as usize),
            Self::Extend(by, with) => bytes.extend(with.bytes(by)),
            Self::Remove => return None,
            Self::Empty => bytes.clear(),
            Self::Slip(_) => {}
        }
        Some(bytes)
    }
}

fn piece(bytes: &[u8], at: u64, length: u64) -> &[u8] {
    let rest = bytes.get(at as usize..).unwrap_or_default();
    &rest[..rest.len().min(length as usize)]
}

/// Overwrites what there is; the file does not grow.
fn put(bytes: &mut [u8], at: u64, with: &[u8]) {
    let room = bytes.get_mut(at as usize..).unwrap_or_default();
    let count = room.len().min(with.len());
    room[..count].copy_from_slice(&with[..count]);
}

/// Writes the sectors that differ.
fn write_changes(file: &dyn aether_vfs::File, before: &[u8], after: &[u8]) -> Result<()> {
    for (index, sector) in after.chunks(512).enumerate() {
        let at = index * 512;
        if before.get(at..at + sector.len()) != Some(sector) {
            file.write_at(at as u64, sector)?;
        }
    }
    Ok(())
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flip(bit) => write!(f, "bit {} of byte {} flipped", bit % 8, bit / 8),
            Self::Fill(at, length, with) => write!(f, "{length} bytes at {at} overwritten with {with:?}"),
            Self::Swap(one, other, length) => write!(f, "{length} bytes at {one} and {other} swapped"),
            Self::Copy(to, from, length) => write!(f, "{length} bytes at {from} copied over those at {to}"),
            Self::Stale(at, length, when) => write!(f, "{length} bytes at {at} as at moment {when}"),
            Self::StaleFile(when) => write!(f, "the whole file as at moment {when}"),
            Self::Cut(length) => write!(f, "cut to {length} bytes"),
            Self::Extend(by, with) => write!(f, "extended by {by} bytes of {with:?}"),
            Self::Remove => f.write_str("removed"),
            Self::Empty => f.write_str("emptied"),
            Self::Slip(slip) => write!(f, "a write went wrong: {slip:?}"),
        }
    }
}
