//! Files that are kept for reuse.

use crate::store::{HOME, Store, create, small};
use aether_sim::{OpKind, Sim};
use aether_wal::WalConfig;
use std::collections::BTreeMap;
use std::path::Path;

/// A file that is kept for reuse and large enough becomes the reserve of the next open.
#[test]
fn what_was_kept_is_the_reserve_of_the_next_open() {
    let sim = Sim::new(1);
    let config = WalConfig { recycle: 2, ..small(1) };
    create(&sim.env());
    let store = Store::open(&sim.env(), &config).unwrap();
    for number in 0..60 {
        store.commit(&[number; 9000]).unwrap();
        store.checkpoint().unwrap();
    }
    store.close().unwrap();
    let kept = || {
        let names = sim.env().vfs.list(Path::new(HOME)).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.contains("free")).collect::<Vec<_>>()
    };
    let before = kept();
    assert_eq!(before.len(), 1);
    let store = Store::open(&sim.env(), &config).unwrap();
    store.commit(b"x").unwrap();
    // Reserves keep their names until they are needed.
    assert_eq!(kept(), before);
}

/// All of a new file was synced at once, and flushes waited behind that.
#[test]
fn large_files_are_synced_piece_by_piece() {
    let sim = Sim::new(2);
    create(&sim.env());
    let store =
        Store::open(&sim.env(), &WalConfig { flusher: false, streams: 1, ..WalConfig::default() }).unwrap();
    for _ in 0..60 {
        store.commit(&[7; 100_000]).unwrap();
    }
    let (mut unsynced, mut most) = (BTreeMap::new(), 0);
    for op in sim.log() {
        let bytes = unsynced.entry(op.path).or_insert(0);
        match op.kind {
            // The rest is written durably.
            OpKind::Write if op.len == 256 << 10 => *bytes += op.len,
            OpKind::Sync => *bytes = 0,
            _ => {}
        }
        most = most.max(*bytes);
    }
    assert_eq!(most, 2 << 20);
}
