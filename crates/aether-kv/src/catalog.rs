//! The catalog: tree 1, a keyspace of the engine's own.
//!
//! | key | value |
//! |---|---|
//! | `i` | the next tree id (bincode `u32`) |
//! | `n` and a keyspace's name | its entry (bincode [`Entry`]) |
//! | `d` and a tree id (4, big-endian) | a dropped keyspace whose pages are still to be freed (bincode [`Entry`]) |
//! | `p` and a global transaction id | a prepared transaction ([`Prepared`]) |
//! | `r` and a page number (8, big-endian) | extents of a replaced value, the first of them at that page, still to be freed (a stub of them) |
//! | `o` and a global transaction id | how a prepared transaction ended: 1 committed, 2 rolled back |
//!
//! The keyspace `default` is tree 2, there from the beginning, and has no entry. Once it is converted it has one, and the control file says
//! so.

use crate::keyspace::KeyspaceOptions;
use crate::kinds::Indexes;
use crate::lsm::index::txn::recovery::FIRST_TREE_ROOT;
use crate::lsm::index::txn::{LockMode, Prepared, ReadView, Txn, TxnManager};
use crate::lsm::index::{Anchor, BTree, Cursor, OrderedCursor, OrderedIndex};
use crate::rows::Rows;
use aether_sync::Arc;
use aether_types::{Error, ErrorKind, IndexKind, PageNo, Result, limits};
use serde::{Deserialize, Serialize};

/// Trees made with the store: the catalog and the keyspace `default`.
pub(crate) const INITIAL_TREES: u32 = 2;
/// The keyspace that is always there.
pub(crate) const DEFAULT_NAME: &str = "default";
pub(crate) const CATALOG_ID: u32 = 1;
pub(crate) const DEFAULT_ID: u32 = 2;
const FIRST_FREE_ID: u32 = 16;

/// What the catalog says of a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: u32,
    pub(crate) root: u64,
    /// The kind of its index, as a number: 0 for a B+tree.
    pub(crate) kind: u32,
}

/// The catalog of a home.
pub(crate) struct Catalog(BTree);

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| Error::invalid(format!("a catalog entry cannot be written: {error}")))
}

pub(crate) fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    let decoded = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
    let (value, length) =
        decoded.map_err(|error| Error::corruption(format!("a damaged catalog entry: {error}")))?;
    if length < bytes.len() {
        let rest = bytes.len() - length;
        return Err(Error::corruption(format!("a damaged catalog entry: {rest} bytes after its end")));
    }
    Ok(value)
}

fn name_key(name: &str) -> Vec<u8> {
    [b"n", name.as_bytes()].concat()
}

fn dropped_key(id: u32) -> Vec<u8> {
    [&b"d"[..], &id.to_be_bytes()].concat()
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let largest = limits::KEYSPACE_NAME_BYTES_MAX;
    if name.is_empty() || name.len() > largest {
        return Err(Error::invalid(format!(
            "a keyspace's name has 1 to {largest} bytes, not {}",
            name.len()
        )));
    }
    Ok(())
}

impl Entry {
    /// The keyspace `default`, which the catalog does not list.
    pub(crate) fn of_default() -> Self {
        Self { id: DEFAULT_ID, root: FIRST_TREE_ROOT.offset(1).get(), kind: IndexKind::BTREE.get() }
    }

    /// What names its index.
    pub(crate) fn anchor(&self) -> Anchor {
        Anchor { kind: self.kind(), id: self.id, root: PageNo::new(self.root) }
    }

    fn of(at: Anchor) -> Self {
        Self { id: at.id, root: at.root.get(), kind: at.kind.get() }
    }

    /// The kind of its index.
    pub(crate) fn kind(&self) -> IndexKind {
        IndexKind::new(self.kind)
    }

    /// The index; `name` for an error.
    ///
    /// # Errors
    /// `Unsupported` for a kind that is not registered; those of its factory.
    pub(crate) fn open(&self, indexes: &Indexes, txns: &Arc<TxnManager>, name: &str) -> Result<Rows> {
        let at = Anchor { kind: self.kind(), id: self.id, root: PageNo::new(self.root) };
        indexes.open(txns, at, &format!("the keyspace `{name}`"))
    }
}

impl Catalog {
    pub(crate) fn new(txns: &Arc<TxnManager>) -> Self {
        Self(BTree::open(txns.clone(), FIRST_TREE_ROOT, CATALOG_ID))
    }

    pub(crate) fn tree(&self) -> &BTree {
        &self.0
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, view: &ReadView, key: &[u8]) -> Result<Option<T>> {
        let mut bytes = Vec::new();
        if !self.0.get_into(view, key, &mut bytes)? {
            return Ok(None);
        }
        decode(&bytes).map(Some)
    }

    /// The keyspace called `name`, or `NotFound`.
    pub(crate) fn find(&self, view: &ReadView, name: &str) -> Result<Entry> {
        if name == DEFAULT_NAME {
            return Ok(self.listed_default(view)?.unwrap_or_else(Entry::of_default));
        }
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no keyspace `{name}`"));
        self.get(view, &name_key(name))?.ok_or_else(missing)
    }

    /// The entry of `default`, if it has been converted.
    fn listed_default(&self, view: &ReadView) -> Result<Option<Entry>> {
        if !view.manager().store().has_default_listed() {
            return Ok(None);
        }
        self.get(view, &name_key(DEFAULT_NAME))
    }

    pub(crate) fn create(
        &self,
        txn: &mut Txn,
        name: &str,
        options: KeyspaceOptions,
        indexes: &Indexes,
    ) -> Result<Entry> {
        check_name(name)?;
        if self.find(txn.view(), name).is_ok() {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("the keyspace `{name}` exists")));
        }
        let entry = self.make(txn, options, indexes)?;
        self.0.put(txn, &name_key(name), &encode(&entry)?)?;
        Ok(entry)
    }

    /// Makes an empty index with a new id.
    fn make(&self, txn: &mut Txn, options: KeyspaceOptions, indexes: &Indexes) -> Result<Entry> {
        let id = self.get(txn.view(), b"i")?.unwrap_or(FIRST_FREE_ID);
        let next: u32 = id.checked_add(1).ok_or_else(|| Error::corruption("the last tree id is taken"))?;
        self.0.put(txn, b"i", &encode(&next)?)?;
        Ok(Entry::of(indexes.create(txn, options, id)?))
    }

    /// Makes an index for a conversion: listed as dropped, so that it goes with a crash.
    pub(crate) fn create_dropped(
        &self,
        txn: &mut Txn,
        options: KeyspaceOptions,
        indexes: &Indexes,
    ) -> Result<Entry> {
        let entry = self.make(txn, options, indexes)?;
        self.0.put(txn, &dropped_key(entry.id), &encode(&entry)?)?;
        Ok(entry)
    }

    /// Gives a keyspace the index `new`, listed as dropped until now, in the place of `old`.
    ///
    /// # Errors
    /// As [`Catalog::check_is`]; `Conflict` if somebody drops the keyspace.
    pub(crate) fn switch(&self, txn: &mut Txn, name: &str, old: &Entry, new: &Entry) -> Result<()> {
        self.check_is(txn.view(), name, old)?;
        if name == DEFAULT_NAME {
            txn.store().note_default_listed()?;
        }
        self.0.put(txn, &name_key(name), &encode(new)?)?;
        self.0.put(txn, &dropped_key(old.id), &encode(old)?)?;
        self.forget_dropped(txn, new.id)
    }

    /// Fails unless the index of a keyspace is that of `entry`.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn check_is(&self, view: &ReadView, name: &str, entry: &Entry) -> Result<()> {
        if self.find(view, name)? == *entry {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("the keyspace `{name}` was dropped meanwhile")))
    }

    /// Takes a keyspace's name away; its pages are freed later.
    pub(crate) fn drop_keyspace(&self, txn: &mut Txn, name: &str) -> Result<Entry> {
        if name == DEFAULT_NAME {
            return Err(Error::invalid("the keyspace `default` cannot be dropped"));
        }
        // At the level `ReadCommitted` a conversion could come in between.
        self.0.lock_key(txn, &name_key(name), LockMode::X)?;
        let entry = self.find(txn.read(), name)?;
        self.0.delete(txn, &name_key(name))?;
        self.0.put(txn, &dropped_key(entry.id), &encode(&entry)?)?;
        Ok(entry)
    }

    pub(crate) fn with_prefix<T>(
        &self,
        view: &ReadView,
        prefix: u8,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut cursor = Cursor::new(self.0.clone());
        cursor.seek(&[prefix]);
        let mut found = Vec::new();
        while let Some((key, value)) = cursor.next(view)?.filter(|(key, _)| key.first() == Some(&prefix)) {
            found.push(each(&key[1..], value)?);
        }
        Ok(found)
    }

    /// All keyspaces, `default` first, the others by name.
    pub(crate) fn list(&self, view: &ReadView) -> Result<Vec<(String, Entry)>> {
        let mut all = vec![(DEFAULT_NAME.to_owned(), self.find(view, DEFAULT_NAME)?)];
        let mut named = self.with_prefix(view, b'n', |name, value| {
            let name = String::from_utf8(name.to_vec())
                .map_err(|_| Error::corruption("a keyspace's name is not UTF-8"))?;
            Ok((name, decode(value)?))
        })?;
        named.retain(|(name, _)| name != DEFAULT_NAME);
        all.append(&mut named);
        Ok(all)
    }

    /// Dropped keyspaces whose pages are still to be freed.
    pub(crate) fn dropped(&self, view: &ReadView) -> Result<Vec<Entry>> {
        self.with_prefix(view, b'd', |_, value| decode(value))
    }

    /// Prepared transactions, by their global ids.
    pub(crate) fn prepared(&self, view: &ReadView) -> Result<Vec<(Vec<u8>, Prepared)>> {
        self.with_prefix(view, b'p', |gtid, row| Ok((gtid.to_vec(), Prepared::decode(row)?)))
    }

    /// A row that says that a transaction is prepared.
    pub(crate) fn put_prepared(&self, txn: &mut Txn, gtid: &[u8], row: &Prepared) -> Result<()> {
        self.0.put(txn, &[b"p", gtid].concat(), &row.encode())
    }

    /// A row that says how it ended, instead.
    pub(crate) fn decide(&self, txn: &mut Txn, gtid: &[u8], committed: bool) -> Result<()> {
        self.0.put(txn, &[b"o", gtid].concat(), &[if committed { 1 } else { 2 }])?;
        self.0.delete(txn, &[b"p", gtid].concat()).map(|_| ())
    }

    /// How a prepared transaction ended, if that is known and not forgotten.
    pub(crate) fn decision(&self, view: &ReadView, gtid: &[u8]) -> Result<Option<bool>> {
        let mut row = Vec::new();
        if !self.0.get_into(view, &[b"o", gtid].concat(), &mut row)? {
            return Ok(None);
        }
        match row[..] {
            [1] => Ok(Some(true)),
            [2] => Ok(Some(false)),
            _ => Err(Error::corruption("a damaged outcome of a prepared transaction")),
        }
    }

    pub(crate) fn forget_decision(&self, txn: &mut Txn, gtid: &[u8]) -> Result<bool> {
        self.0.delete(txn, &[b"o", gtid].concat())
    }

    /// Takes an index off the list of dropped ones, with its root: all else of it is free. Blocks.
    pub(crate) fn remove_dropped(&self, id: u32, index: &dyn OrderedIndex) -> Result<()> {
        self.0.remove_with_root(&dropped_key(id), index)
    }

    fn forget_dropped(&self, txn: &mut Txn, id: u32) -> Result<()> {
        self.0.delete(txn, &dropped_key(id)).map(|_| ())
    }
}
