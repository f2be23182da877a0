//! loom: the word by which an owner and those who make entries in its name agree. Run by `cargo xtask loom -p aether-txn`.
#![cfg(loom)]

use aether_sync::Arc;
use aether_txn::LockOwner;
use loom::sync::Mutex;
use loom::thread;

/// Two make entries in the name of a transaction that ends: none is left behind, and one that is made was seen by the
/// owner or by nobody.
#[test]
fn no_entry_outlives_its_owner() {
    loom::model(|| {
        let owner = Arc::new(LockOwner::new());
        let table = Arc::new(Mutex::new(0));
        let makers: Vec<_> = (0..2)
            .map(|_| {
                let (owner, table) = (owner.clone(), table.clone());
                thread::spawn(move || {
                    let mut entries = table.lock().unwrap();
                    if owner.try_adopt() {
                        *entries += 1;
                    }
                })
            })
            .collect();
        if owner.end() {
            *table.lock().unwrap() = 0;
        }
        makers.into_iter().for_each(|maker| maker.join().unwrap());
        assert_eq!(*table.lock().unwrap(), 0, "an entry that nobody will remove");
        assert!(owner.is_ended());
    });
}
