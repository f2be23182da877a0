//! The sizes of the store under test: so small that a short script splits, evicts, merges and recycles.

use aether_kv::buffer::BufferConfig;
use aether_kv::wal::WalConfig;
use aether_kv::{Durability, Options};
use aether_types::PageSize;
use std::path::Path;

/// Frames of the pool; far fewer than the script has pages.
pub const FRAMES: usize = 32;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// The longest key at [`PAGE_BYTES`].
pub const KEY_BYTES_MAX: usize = PAGE_BYTES / 4 - 64;

/// Where the store lives in its simulated file system.
pub fn home() -> &'static Path {
    Path::new("/home")
}

/// A store in one thread, with everything as small as it may be.
pub fn options() -> Options {
    Options {
        create: true,
        buffer: buffer(),
        wal: WalConfig {
            segment_bytes: 64 << 10,
            ring_bytes: 128 << 10,
            flusher: false,
            ..WalConfig::default()
        },
        max_recovery_bytes: 128 << 10,
        durability: Durability::Sync,
        background: false,
        ..Options::default()
    }
}

fn buffer() -> BufferConfig {
    BufferConfig {
        num_frames: FRAMES,
        page_size: PageSize::default(),
        enable_page_provider: false,
        prefetch_threads: 0,
        partitions: 1,
        ..BufferConfig::default()
    }
}
