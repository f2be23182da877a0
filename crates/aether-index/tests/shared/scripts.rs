//! Random scripts of transactions, played to an index and to a `BTreeMap`: savepoints, rollbacks, snapshots.

use aether_index::OrderedIndex;
use aether_index::txn::{ReadView, Txn, TxnManager};
use aether_sync::Arc;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Read;

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, usize),
    Delete(Vec<u8>),
    Savepoint,
    RollBack,
}

/// What a transaction does, and how it ends.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    ops: Vec<Op>,
    commit: bool,
}

/// Keys, of which most are among `usual` ones.
pub(crate) fn key(usual: u32) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..usual).prop_map(|n| format!("user/{n:06}").into_bytes()),
        1 => vec(any::<u8>(), 0..40),
        1 => (0u8..6, 200usize..900).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn op(usual: u32) -> impl Strategy<Value = Op> {
    let len = prop_oneof![4 => 0usize..200, 2 => 200usize..900, 1 => 900usize..12_000];
    prop_oneof![
        8 => (key(usual), len).prop_map(|(key, len)| Op::Put(key, len)),
        4 => key(usual).prop_map(Op::Delete),
        1 => Just(Op::Savepoint),
        1 => Just(Op::RollBack),
    ]
}

/// A script whose keys are those of [`key`].
pub(crate) fn script(usual: u32) -> impl Strategy<Value = Script> {
    (vec(op(usual), 1..60), prop::bool::weighted(0.8)).prop_map(|(ops, commit)| Script { ops, commit })
}

/// Bytes that differ from value to value.
fn value(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + seed * 17 + len) as u8).collect()
}

/// All rows that a view shows, as a cursor gives them upward; downward it must give the same.
pub(crate) fn rows(index: &dyn OrderedIndex, view: &ReadView) -> Model {
    let mut cursor = index.cursor();
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    while let Some((key, value)) = cursor.next(view).unwrap() {
        forward.push((key.to_vec(), value.to_vec()));
    }
    while let Some((key, value)) = cursor.prev(view).unwrap() {
        backward.push((key.to_vec(), value.to_vec()));
    }
    backward.reverse();
    assert_eq!(forward, backward, "a cursor gives other rows on its way back");
    assert!(forward.is_sorted_by(|left, right| left.0 < right.0));
    forward.into_iter().collect()
}

/// An index that scripts are played to.
pub(crate) struct Stage<'i> {
    pub(crate) txns: &'i Arc<TxnManager>,
    pub(crate) index: &'i dyn OrderedIndex,
}

impl Stage<'_> {
    /// After every transaction the index is checked.
    pub(crate) fn is_a_sorted_map(&self, scripts: &[Script]) {
        let mut model = Model::new();
        for script in scripts {
            if let Some(txn) = self.play(script, &mut model) {
                txn.abort().unwrap();
            }
            self.txns.collect().unwrap();
            let found = self.index.check(&self.txns.view()).unwrap();
            assert_eq!(found.problems, Vec::<String>::new());
        }
        self.assert_same(&self.txns.begin(), &model);
    }

    /// Before every transaction a snapshot is taken; none ever shows anything else, not even while what is to be rolled back
    /// still stands there.
    pub(crate) fn has_snapshots_that_do_not_move(&self, scripts: &[Script]) {
        let mut model = Model::new();
        let mut held = Vec::new();
        for script in scripts {
            held.push((self.txns.begin(), model.clone()));
            let left = self.play(script, &mut model);
            self.txns.collect().unwrap();
            held.iter().for_each(|(txn, model)| self.assert_same(txn, model));
            drop(left);
        }
    }

    /// In and out again; and a rollback gives back the pages of a value that came to nothing.
    pub(crate) fn streams_a_large_value(&self) {
        let mut txn = self.txns.begin();
        let long = value(3, 6 << 20);
        self.index.put_from(&mut txn, b"long", long.len() as u64, &mut &long[..]).unwrap();
        let mut read = Vec::new();
        self.index.get_stream(txn.view(), b"long").unwrap().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == long);
        let free = || self.txns.store().space_stats().unwrap().free_pages;
        let before = free();
        txn.abort().unwrap();
        assert!(free() >= before + 1500, "a rollback frees the extents");
    }

    /// A transaction, up to its commit; unless it ends with one, it is left to be rolled back.
    fn play(&self, script: &Script, model: &mut Model) -> Option<Txn> {
        let mut next = model.clone();
        let mut txn = self.txns.begin();
        self.run(&mut txn, &mut next, &script.ops);
        if !script.commit {
            return Some(txn);
        }
        txn.commit().unwrap();
        *model = next;
        None
    }

    fn run(&self, txn: &mut Txn, model: &mut Model, ops: &[Op]) {
        let mut mark = (txn.savepoint(), model.clone());
        for (seed, op) in ops.iter().enumerate() {
            match op {
                Op::Put(key, len) => {
                    self.index.put(txn, key, &value(seed, *len)).unwrap();
                    model.insert(key.clone(), value(seed, *len));
                }
                Op::Delete(key) => {
                    assert_eq!(self.index.delete(txn, key).unwrap(), model.remove(key).is_some());
                }
                Op::Savepoint => mark = (txn.savepoint(), model.clone()),
                Op::RollBack => {
                    txn.rollback_to(&mark.0).unwrap();
                    *model = mark.1.clone();
                }
            }
        }
        self.assert_same(txn, model);
    }

    fn assert_same(&self, txn: &Txn, model: &Model) {
        assert_eq!(&rows(self.index, txn.view()), model);
        for (key, value) in model {
            let mut found = Vec::new();
            assert!(self.index.get_into(txn.view(), key, &mut found).unwrap());
            assert_eq!(&found, value);
        }
        assert!(!self.index.get_into(txn.view(), b"no such key", &mut Vec::new()).unwrap());
    }
}
