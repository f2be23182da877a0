//! Rows in memory over something else: how often, and for what, a writer looks there.

use crate::kept::Kept;
use crate::world::World;
use aether_types::Timestamp;

#[test]
fn a_writer_looks_below_once() {
    let world = World::volatile(u64::MAX);
    let (table, kept) = Kept::table(&world.manager, &world.factory.tables().unwrap(), 70);
    for key in [b"a", b"b"] {
        let mut txn = world.manager.begin();
        table.put(&mut txn, key, b"value").unwrap();
        txn.commit().unwrap();
    }
    kept.flush(&table);
    assert!(table.is_empty());
    kept.looks.lock().clear();
    let mut txn = world.manager.begin();
    let newer = Timestamp::new(txn.view().at().get() + 1);
    table.put(&mut txn, b"a", b"anew").unwrap();
    assert_eq!(*kept.looks.lock(), [newer], "what the snapshot sees is of no account");
    assert!(table.delete(&mut txn, b"b").unwrap());
    assert!(!table.delete(&mut txn, b"c").unwrap());
    let all = Timestamp::new(0);
    assert_eq!(*kept.looks.lock(), [newer, all, all]);
    assert!(table.delete(&mut txn, b"a").unwrap() && !table.delete(&mut txn, b"a").unwrap());
    assert_eq!(kept.looks.lock().len(), 3, "it is in memory");
    txn.commit().unwrap();
    let view = world.manager.view();
    assert_eq!([b"a", b"b"].map(|key| kept.get(&table, &view, key)), [None, None]);
}
