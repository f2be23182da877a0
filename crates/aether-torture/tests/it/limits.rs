//! Page offsets beyond 32 bits, without writing 4 GiB: most of the file is a hole.

use aether_kv::buffer::BufferConfig;
use aether_kv::buffer::page::{space_map, types::PageSize};
use aether_kv::lsm::index::txn::recovery::{Opening, StoreConfig};
use aether_kv::{DbEnv, Durability, Options};
use aether_types::StreamId;
use aether_vfs::Env;
use std::path::Path;
use tempfile::TempDir;

/// Room for the change of one map page.
const GROUP_BYTES: usize = 4096;

/// Pages taken at once where some are in use already.
const FEW: u64 = 64;

fn options(page_size: PageSize) -> Options {
    let buffer = BufferConfig { num_frames: 256, page_size, ..BufferConfig::default() };
    Options { buffer, durability: Durability::None, ..Options::default() }
}

/// Takes every page below `bytes` out of the space map, as large values would, and writes none of them.
fn take_space(home: &Path, options: &Options, bytes: u64) {
    let config = StoreConfig { buffer: options.buffer.clone(), ..StoreConfig::default() };
    let opening = Opening::begin(Env::real(), home, config, false).unwrap();
    let (store, losers, _) = opening.scan().unwrap().redo().unwrap().into_parts();
    assert!(losers.is_empty());
    let take = |count| {
        let mut mtr = store.mtr(StreamId::new(0), GROUP_BYTES).unwrap();
        let (first, _) = mtr.allocate_run(count).unwrap();
        mtr.commit();
        first.get()
    };
    // Of the first map page, what is free; the last step goes to the second one, which the next run fills up.
    let covered = space_map::entries_per_page(options.buffer.page_size) as u64;
    while take(FEW) <= covered {}
    take(covered - FEW);
    let pages = bytes / options.buffer.page_size.bytes() as u64;
    while take(covered) < pages {}
    store.checkpoint().unwrap();
    store.close().unwrap();
    store.release_lock();
}

fn row(number: u32) -> (Vec<u8>, Vec<u8>) {
    (number.to_be_bytes().to_vec(), vec![number as u8; 500 + number as usize % 3000])
}

#[test]
fn a_page_file_beyond_4_gibibytes() {
    for page_bytes in [4096, 65536] {
        let dir = TempDir::new().unwrap();
        let home = dir.path().join("home");
        let options = options(PageSize::new(page_bytes).unwrap());
        DbEnv::open(&home, options.clone()).unwrap().close().unwrap();
        take_space(&home, &options, 4 << 30);
        for _ in 0..2 {
            let env = DbEnv::open(&home, options.clone()).unwrap();
            let space = env.keyspace("default").unwrap();
            let mut txn = env.begin().unwrap();
            (0..5000).map(row).for_each(|(key, value)| txn.put(&space, &key, &value).unwrap());
            txn.put(&space, b"large", &vec![7; 3 << 20]).unwrap();
            txn.commit().unwrap();
            env.close().unwrap();
        }
        let env = DbEnv::open(&home, options.clone()).unwrap();
        let space = env.keyspace("default").unwrap();
        let snapshot = env.snapshot().unwrap();
        let rows: Vec<_> = snapshot.iter(&space).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(
            rows.iter().take(5000).cloned().eq((0..5000).map(row)),
            "rows differ at pages of {page_bytes}"
        );
        assert!(rows[5000].1 == vec![7; 3 << 20] && rows.len() == 5001);
        assert_eq!(env.verify().unwrap().problems, Vec::<String>::new());
        let size = home.join("pages-00000001").metadata().unwrap().len();
        assert!(size > 4 << 30, "the page file has {size} bytes: its offsets fit 32 bits");
    }
}
