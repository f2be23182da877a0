//! How the files of this crate begin and end, and whose their checksums are. Layout: `docs/formats.md`, "Runs".

use super::home::RunHome;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{Error, ErrorKind, FileId, Reader, Result, StoreId, Writer, checksum};
use aether_vfs::{AlignedBuf, File, Mode, OpenOptions, read_exact_at};
use std::path::Path;

/// Bytes of the header with what fills it up; what the file is for begins behind.
pub(crate) const HEADER_BYTES: usize = 4096;
const HEADER_USED: usize = 56;
/// Bytes of the footer, the last of the file.
pub(crate) const FOOTER_BYTES: usize = 64;
/// A file is so many bytes long, or a multiple.
pub(crate) const ALIGNMENT: usize = 4096;

/// The numbers of the checksums of header and footer.
const HEADER: u64 = u64::MAX;
const FOOTER: u64 = u64::MAX - 2;
const KNOWN_REQUIRED: u32 = 0;

/// Whose checksums these are: one file of one store.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(store: StoreId, file: FileId) -> Self {
        Self(store.seed() ^ u64::from(file.get()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31))
    }

    /// The seed of the part with this number.
    pub(crate) fn of(self, number: u64) -> u64 {
        self.0 ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29)
    }
}

/// A kind of files.
pub(crate) struct FileKind {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) end_magic: &'static [u8; 8],
    pub(crate) version: u32,
    /// What it is called, and what it has a length of its own of.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
}

pub(crate) fn header(kind: &FileKind, store: StoreId, file: FileId, unit_bytes: usize) -> Vec<u8> {
    let mut out = kind.magic.to_vec();
    out.put_u32(kind.version);
    out.put_u32(0);
    out.put_u32(0);
    out.put_u32(unit_bytes as u32);
    out.put_bytes(&store.bytes());
    out.put_u32(file.get());
    out.put_u32(0);
    let sum = checksum(Seed::new(store, file).of(HEADER), &out);
    out.put_u64(sum);
    out.resize(HEADER_BYTES, 0);
    out
}

/// Stamps the checksum of a header.
#[cfg(feature = "fuzzing")]
pub(super) fn seal_header(bytes: &mut [u8], store: StoreId, file: FileId) {
    let sum = checksum(Seed::new(store, file).of(HEADER), &bytes[..HEADER_USED - 8]);
    bytes[HEADER_USED - 8..HEADER_USED].copy_from_slice(&sum.to_le_bytes());
}

/// Stamps the checksum of a footer, the end of `bytes`.
#[cfg(feature = "fuzzing")]
pub(super) fn seal_footer(seed: Seed, bytes: &mut [u8]) {
    let at = bytes.len() - FOOTER_BYTES;
    let (summed, sum) = bytes[at..].split_at_mut(FOOTER_BYTES - 8);
    sum.copy_from_slice(&checksum(seed.of(FOOTER), summed).to_le_bytes());
}

/// Checks a header against what it should be.
///
/// # Errors
/// `Corruption` for a damaged or foreign file, `Unsupported` for a later version.
fn check_header(
    kind: &FileKind,
    bytes: &[u8],
    store: StoreId,
    file: FileId,
    unit_bytes: usize,
) -> Result<()> {
    let what = kind.what;
    let bad = |error: String, at| Err(Error::corruption(error).at_offset(at));
    let mut reader = Reader::new(bytes);
    if reader.bytes(8)? != kind.magic {
        return bad(format!("not a {what}"), 0);
    }
    let (version, required, _optional) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (unit, of, id, _) = (reader.u32()?, reader.bytes(16)?, reader.u32()?, reader.u32()?);
    let sum = reader.u64()?;
    if of != store.bytes() {
        return bad(format!("the {what} belongs to another store"), 24);
    }
    if id != file.get() {
        return bad(format!("the {what} calls itself {}", FileId::new(id)), 40);
    }
    if sum != checksum(Seed::new(store, file).of(HEADER), &bytes[..HEADER_USED - 8]) {
        return bad(format!("the checksum of a {what}'s header differs"), 48);
    }
    if version != kind.version || required & !KNOWN_REQUIRED != 0 {
        let known = kind.version;
        let what = format!(
            "the {what} has version {version}, required features {required:#x}; this build knows version {known}"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    if unit as usize != unit_bytes {
        return bad(format!("the {what} has another {} than the store", kind.unit), 20);
    }
    Ok(())
}

/// The footer of a file of `file_bytes`: three numbers that its kind gives a meaning.
pub(crate) fn footer(kind: &FileKind, seed: Seed, numbers: [u64; 3], file_bytes: u64) -> Vec<u8> {
    let mut out = kind.end_magic.to_vec();
    let [first, second, third] = numbers;
    [first, second, third, file_bytes, 0, 0].into_iter().for_each(|number| out.put_u64(number));
    let sum = checksum(seed.of(FOOTER), &out);
    out.put_u64(sum);
    out
}

/// Checks the footer of a file of `file_bytes`, the end of `bytes`, and reads its numbers.
///
/// # Errors
/// `Corruption`: most often the file was cut.
pub(crate) fn check_footer(kind: &FileKind, seed: Seed, bytes: &[u8], file_bytes: u64) -> Result<[u64; 3]> {
    let what = kind.what;
    let bad = |error: String| Err(Error::corruption(error).at_offset(footer_at(file_bytes)));
    let bytes = &bytes[bytes.len().saturating_sub(FOOTER_BYTES)..];
    let mut reader = Reader::new(bytes);
    if reader.bytes(8)? != kind.end_magic {
        return bad(format!("the {what} has no footer: it was cut, or never finished"));
    }
    let numbers = [reader.u64()?, reader.u64()?, reader.u64()?];
    let (stated, _, _, sum) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
    if sum != checksum(seed.of(FOOTER), &bytes[..FOOTER_BYTES - 8]) {
        return bad(format!("the checksum of a {what}'s footer differs"));
    }
    if stated != file_bytes {
        return bad(format!("the footer of a {what} states another length"));
    }
    Ok(numbers)
}

/// Where the footer of a file of `file_bytes` is.
pub(crate) fn footer_at(file_bytes: u64) -> u64 {
    file_bytes.saturating_sub(FOOTER_BYTES as u64)
}

/// Opens a file and checks its header. Returns its length and its last bytes, of which the footer is the end. Blocks.
///
/// # Errors
/// `Corruption` for a missing, cut, damaged or foreign file; `Unsupported` for a later version.
pub(crate) fn open(
    kind: &FileKind,
    home: &RunHome,
    (file, path): (FileId, &Path),
    unit_bytes: usize,
) -> Result<(Arc<dyn File>, u64, AlignedBuf)> {
    let options = OpenOptions::read().with_mode(Mode::Direct);
    let opened = home.env.vfs.open(path, options).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::corruption(format!("a {} of the store is missing", kind.what)),
        _ => error,
    })?;
    let size = opened.size()?;
    if size < (HEADER_BYTES + ALIGNMENT) as u64 || !size.is_multiple_of(ALIGNMENT as u64) {
        let what = format!("{size} bytes: the {} was cut, or never finished", kind.what);
        return Err(Error::corruption(what).at_offset(size));
    }
    let mut block = AlignedBuf::new(HEADER_BYTES);
    read_exact_at(&*opened, 0, &mut block)?;
    check_header(kind, &block, home.store, file, unit_bytes)?;
    read_exact_at(&*opened, size - ALIGNMENT as u64, &mut block)?;
    Ok((opened, size, block))
}
