//! Reading any bytes of a file that is read in aligned parts.

use super::head::ALIGNMENT;
use aether_types::Result;
use aether_vfs::{AlignedBuf, File, read_exact_at};
use core::cell::RefCell;
use core::ops::Range;

/// The aligned part of the file in which `place` lies: where it begins, and its length.
pub(crate) fn span(place: &Range<u64>) -> (u64, usize) {
    let alignment = ALIGNMENT as u64;
    let start = place.start / alignment * alignment;
    (start, (place.end.next_multiple_of(alignment) - start) as usize)
}

/// Reads the bytes at `place` through `buffer`, which has room for its span.
pub(crate) fn read_span<'b>(file: &dyn File, place: &Range<u64>, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let (start, len) = span(place);
    read_exact_at(file, start, &mut buffer[..len])?;
    let at = (place.start - start) as usize;
    Ok(&buffer[at..at + (place.end - place.start) as usize])
}

/// Lends the thread's aligned buffer.
pub(crate) fn with_buffer<R>(bytes: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Option<AlignedBuf>> = const { RefCell::new(None) };
    }
    let mut buffer = BUFFER.with(RefCell::take).filter(|buffer| buffer.len() >= bytes);
    let result = work(&mut buffer.get_or_insert_with(|| AlignedBuf::new(bytes))[..bytes]);
    BUFFER.with(|cell| cell.replace(buffer));
    result
}
