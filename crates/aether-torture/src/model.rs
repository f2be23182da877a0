//! What a store holds, as plain sorted maps.

mod bulk;

pub use bulk::Range;

use crate::kind::Kind;
use aether_sync::Arc;
use aether_types::IndexKind;
use std::collections::BTreeMap;

/// A key or a value, shared between the states that hold it.
pub type Bytes = Arc<[u8]>;

/// The rows of one keyspace.
pub type Rows = BTreeMap<Bytes, Bytes>;

/// The content of a store: its keyspaces, what they are, and their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Rows by keyspace.
    pub spaces: BTreeMap<String, Rows>,
    /// The kind of index of each.
    pub kinds: BTreeMap<String, IndexKind>,
}

/// One call of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates a keyspace of a kind.
    Create(&'static str, Kind),
    /// Drops a keyspace.
    Drop(&'static str),
    /// Puts a value.
    Put(&'static str, Bytes, Bytes),
    /// Deletes a key.
    Delete(&'static str, Bytes),
    /// Puts sorted rows in bulk, each key once.
    Ingest(&'static str, Arc<[(Bytes, Bytes)]>),
    /// Deletes all keys of a range.
    DeleteRange(&'static str, Range),
    /// Sets a savepoint.
    Savepoint,
    /// Rolls back to the newest savepoint and forgets it.
    Rollback,
    /// Rolls back to a savepoint, the oldest one being 0, and keeps it; those set later are forgotten.
    RollbackTo(usize),
}

impl Op {
    /// True for a call that takes the keyspace for its transaction alone, in an LSM tree.
    pub fn is_bulk(&self) -> bool {
        matches!(self, Self::Ingest(..) | Self::DeleteRange(..))
    }
}

impl State {
    /// Takes in a keyspace, or replaces it.
    pub fn add(&mut self, space: &str, kind: IndexKind, rows: Rows) {
        self.kinds.insert(space.to_owned(), kind);
        self.spaces.insert(space.to_owned(), rows);
    }

    fn remove(&mut self, space: &str) {
        self.kinds.remove(space);
        self.spaces.remove(space);
    }

    /// The same with a keyspace converted to a kind.
    #[must_use]
    pub fn converted(&self, space: &str, kind: Kind) -> Self {
        let mut state = self.clone();
        state.kinds.insert(space.to_owned(), kind.index());
        state
    }

    /// The rows of a keyspace, if there is one of this name.
    pub fn rows(&self, space: &str) -> Option<&Rows> {
        self.spaces.get(space)
    }

    /// The value of a key.
    pub fn get(&self, space: &str, key: &[u8]) -> Option<&Bytes> {
        self.rows(space)?.get(key)
    }

    /// The state after a transaction of these calls commits here.
    pub fn after(&self, ops: &[Op]) -> Self {
        let mut draft = Draft::new(self.clone());
        ops.iter().for_each(|op| draft.apply(op));
        draft.state
    }

    /// The first difference to `other`, in words; none if they are equal.
    pub fn difference(&self, other: &State) -> Option<String> {
        let kinds = || format!("kinds {:?}, expected {:?}", self.kinds, other.kinds);
        self.difference_of_rows(other).or_else(|| (self.kinds != other.kinds).then(kinds))
    }

    /// The same, whatever the keyspaces are.
    pub fn difference_of_rows(&self, other: &State) -> Option<String> {
        let names = |state: &State| state.spaces.keys().cloned().collect::<Vec<_>>();
        if names(self) != names(other) {
            return Some(format!("keyspaces {:?}, expected {:?}", names(self), names(other)));
        }
        self.spaces.iter().zip(other.spaces.values()).find_map(|((name, rows), expected)| {
            rows_difference(rows, expected).map(|what| format!("keyspace {name}: {what}"))
        })
    }
}

/// A state inside a transaction, with its savepoints.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the transaction sees.
    pub state: State,
    savepoints: Vec<State>,
}

impl Draft {
    /// A transaction that begins at `state`.
    pub fn new(state: State) -> Self {
        Self { state, savepoints: Vec::new() }
    }

    /// True if a transaction may make this call here.
    pub fn permits(&self, op: &Op) -> bool {
        match op {
            Op::Create(space, _) => self.state.rows(space).is_none(),
            Op::Drop(space)
            | Op::Put(space, ..)
            | Op::Delete(space, _)
            | Op::Ingest(space, _)
            | Op::DeleteRange(space, _) => self.state.rows(space).is_some(),
            Op::Savepoint => true,
            Op::Rollback => !self.savepoints.is_empty(),
            Op::RollbackTo(depth) => *depth < self.savepoints.len(),
        }
    }

    /// Makes the change of one call. A call on a missing keyspace changes nothing.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(space, kind) => self.state.add(space, kind.index(), Rows::new()),
            Op::Drop(space) => self.state.remove(space),
            Op::Put(space, key, value) => self.put(space, key, value),
            Op::Delete(space, key) => self.delete(space, key),
            Op::Ingest(space, rows) => rows.iter().for_each(|(key, value)| self.put(space, key, value)),
            Op::DeleteRange(space, range) => self.delete_range(space, range),
            Op::Savepoint => self.savepoints.push(self.state.clone()),
            Op::Rollback => self.state = self.savepoints.pop().unwrap_or_else(|| self.state.clone()),
            Op::RollbackTo(depth) => self.roll_back_to(*depth),
        }
    }

    fn roll_back_to(&mut self, depth: usize) {
        if let Some(savepoint) = self.savepoints.get(depth) {
            self.state = savepoint.clone();
            self.savepoints.truncate(depth + 1);
        }
    }

    fn put(&mut self, space: &str, key: &Bytes, value: &Bytes) {
        if let Some(rows) = self.state.spaces.get_mut(space) {
            rows.insert(key.clone(), value.clone());
        }
    }

    fn delete(&mut self, space: &str, key: &Bytes) {
        if let Some(rows) = self.state.spaces.get_mut(space) {
            rows.remove(key);
        }
    }

    fn delete_range(&mut self, space: &str, range: &Range) {
        if let Some(rows) = self.state.spaces.get_mut(space) {
            rows.retain(|key, _| !range.has(key));
        }
    }
}

pub(crate) fn rows_difference(rows: &Rows, expected: &Rows) -> Option<String> {
    if rows == expected {
        return None;
    }
    if let Some(key) = expected.keys().find(|key| !rows.contains_key(*key)) {
        return Some(format!(
            "key {} is missing ({} rows, expected {})",
            show(key),
            rows.len(),
            expected.len()
        ));
    }
    if let Some(key) = rows.keys().find(|key| !expected.contains_key(*key)) {
        let (seen, wanted) = (rows.len(), expected.len());
        return Some(format!("key {} should not be there ({seen} rows, expected {wanted})", show(key)));
    }
    let key = rows.keys().find(|key| rows.get(*key) != expected.get(*key))?;
    Some(format!("key {} has a wrong value", show(key)))
}

/// A key as text, cut short.
pub fn show(key: &[u8]) -> String {
    format!("\"{}\" ({} bytes)", key[..key.len().min(24)].escape_ascii(), key.len())
}
