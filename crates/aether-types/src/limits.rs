//! Every limit, in one place. What a user can meet is stated in the error that reports it.

use crate::PageSize;

/// Log streams at the most.
pub const STREAMS_MAX: usize = 16;
/// Bytes of one log group at the most (1 MiB); larger write sets are logged in several groups.
pub const GROUP_BYTES_MAX: usize = 1 << 20;
/// Bytes of a value at the most (4 GiB - 1).
pub const VALUE_BYTES_MAX: u64 = u32::MAX as u64;
/// Bytes of a value that lies with its row at the most, where rows are kept in memory (64 KiB); less with a small log ring. Longer ones go to
/// extents.
pub const MEMORY_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of a keyspace's name at the most.
pub const KEYSPACE_NAME_BYTES_MAX: usize = 255;
/// Frames in a pool at the most; a frame hint has 26 bits and 0 means none.
pub const FRAMES_MAX: usize = (1 << 26) - 1;

/// Bytes of a key at the most: a quarter of a page less the share of headers, 960 bytes at 4 KiB,
/// 16,320 at 64 KiB.
pub const fn key_bytes_max(page_size: PageSize) -> usize {
    page_size.bytes() / 4 - 64
}

/// Bytes of a value that is stored inside a leaf at the most; longer ones go to extents.
pub const fn inline_value_bytes_max(page_size: PageSize) -> usize {
    page_size.bytes() / 4 - 64
}
