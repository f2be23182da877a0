//! Files that are kept for reuse.

use crate::store::{HOME, Store, create, small};
use aether_sim::Sim;
use aether_wal::WalConfig;
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
