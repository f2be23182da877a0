//! A read without a view, in the middle of which the keyspace is converted and its old index freed. An index of a program's own does that.

use super::create;
use aether::index::rows::RowsFactory;
use aether::index::txn::recovery::wal::buffer::page::UndoPtr;
use aether::index::txn::recovery::{ActiveTxn, Mtr};
use aether::index::txn::{LockMode, ReadView, Txn, TxnManager, UndoRecord};
use aether::index::{
    Anchor, Index, IndexCheck, IndexFactory, OrderedCursor, OrderedIndex, Shape, Sink, Tree,
};
use aether::{DbEnv, IndexKind, KeyspaceOptions, Options, Result};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const KIND: IndexKind = IndexKind::new(78);

type Moment = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// Done once, in the next read without a view.
static MOMENT: Moment = Mutex::new(None);

struct Factory(RowsFactory<Tree>);

struct Interrupted(Arc<dyn OrderedIndex>);

impl IndexFactory for Factory {
    fn name(&self) -> &str {
        "interrupted"
    }

    fn create(&self, txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Anchor> {
        self.0.create(txn, kind, id)
    }

    fn open(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Arc<dyn OrderedIndex>> {
        Ok(Arc::new(Interrupted(self.0.open(txns, at)?)))
    }

    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        self.0.undo(txns, txn, pointer, record)
    }
}

impl Index for Interrupted {
    fn anchor(&self) -> Anchor {
        self.0.anchor()
    }

    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.0.get_into(view, key, out)
    }

    fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        if let Some(moment) = MOMENT.lock().unwrap().take() {
            moment();
        }
        out.extend_from_slice(b"of an index that is gone");
        self.0.get_settled(key, out)
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.put(txn, key, value)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.0.delete(txn, key)
    }

    fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()> {
        self.0.lock_key(txn, key, mode)
    }

    fn lock_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>, mode: LockMode) -> Result<()> {
        self.0.lock_range(txn, from, to, mode)
    }

    fn shape(&self) -> Result<Shape> {
        self.0.shape()
    }

    fn check(&self, view: &ReadView) -> Result<IndexCheck> {
        self.0.check(view)
    }

    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        self.0.salvage(view, sink)
    }

    fn clear(&self) -> Result<()> {
        self.0.clear()
    }

    fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()> {
        self.0.free_root(mtr)
    }
}

impl OrderedIndex for Interrupted {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        self.0.cursor()
    }
}

#[test]
fn a_read_without_a_view_begins_again() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let options = Options::default().register_index(KIND, Factory(RowsFactory::new("rows")));
    let env = DbEnv::open(dir.path().join("home"), options)?;
    let db = create(&env, "rows", KIND)?;
    db.put(b"a", b"1")?;
    let other = db.clone();
    *MOMENT.lock().unwrap() = Some(Box::new(move || {
        other.env().convert("rows", KeyspaceOptions::of(IndexKind::BTREE)).unwrap();
        other.put(b"a", b"2").unwrap();
    }));
    let mut found = b"before ".to_vec();
    assert!(db.get_into(b"a", &mut found)?, "the old index is empty by now");
    assert_eq!(found, b"before 2");
    Ok(())
}
