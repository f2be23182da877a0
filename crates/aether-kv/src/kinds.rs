//! The kinds of indexes that a home is opened with, and the indexes that are open.
//!
//! Undo comes here first: it knows the kind of an index from the undo record, and never asks the catalog.

use crate::buffer::Budget;
use crate::keyspace::KeyspaceOptions;
use crate::lsm::index::txn::recovery::{Participants, Store};
use crate::lsm::index::txn::{Txn, TxnManager, UndoKind, UndoRecord};
use crate::lsm::index::{Anchor, BTree, IndexFactory, KindsUndo, ResidentFactory, TablesConfig, rax};
use crate::lsm::tree::{Lsm, LsmConfig, LsmFactory};
use crate::rank;
use crate::retired::ListingUndo;
use crate::rows::Rows;
use crate::slot::Slot;
use aether_sync::{Arc, Mutex};
use aether_types::{Error, ErrorKind, IndexKind, Result};
use core::fmt;
use std::collections::{BTreeMap, HashMap};

/// Index kinds by their ids. Those of the engine are always there; [`Options::register_index`](crate::Options::register_index)
/// adds others.
#[derive(Clone, Default)]
pub struct IndexKinds(BTreeMap<IndexKind, Arc<dyn IndexFactory>>);

impl fmt::Debug for IndexKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(kind, factory)| (kind.get(), factory.name()))).finish()
    }
}

impl IndexKinds {
    /// Adds a kind; the last of those with one id counts.
    pub(crate) fn register(&mut self, kind: IndexKind, factory: Arc<dyn IndexFactory>) {
        self.0.insert(kind, factory);
    }

    /// A kind of a program's own with an id of ours would be taken for ours by another program.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.keys().find(|kind| **kind < IndexKind::FIRST_FOREIGN) {
            Some(kind) => Err(Error::invalid(format!(
                "{kind} cannot be registered: those below {} are the engine's own",
                IndexKind::FIRST_FOREIGN.get()
            ))),
            None => Ok(()),
        }
    }

    /// The engine's own factory of a kind. The B+tree needs none.
    fn own(kind: IndexKind) -> Option<Arc<dyn IndexFactory>> {
        match kind {
            IndexKind::RAX => Some(Arc::new(rax::paged::FACTORY)),
            _ => None,
        }
    }

    fn find(&self, kind: IndexKind) -> Option<Arc<dyn IndexFactory>> {
        self.0.get(&kind).cloned().or_else(|| Self::own(kind))
    }
}

/// What an open home knows of its indexes.
pub(crate) struct Indexes {
    kinds: IndexKinds,
    /// The factory of rows in memory, which serves one open home.
    skiplists: Arc<ResidentFactory>,
    /// That of LSM trees, whose newest rows are in memory too.
    lsms: Arc<LsmFactory>,
    /// Those that are no B+trees, each opened once.
    open: Mutex<HashMap<u32, Open>>,
    /// What handles of a keyspace share, until nobody can ask for its index any more.
    slots: Mutex<HashMap<u32, Arc<Slot>>>,
}

/// An index that is open.
#[derive(Clone)]
struct Open {
    rows: Rows,
    /// The same, if it is an LSM tree.
    lsm: Option<Lsm>,
}

impl Indexes {
    /// `seed` is drawn by chance: see [`TablesConfig::seed`].
    pub(crate) fn new(kinds: IndexKinds, lsm: LsmConfig, seed: u64) -> Arc<Self> {
        let skiplists = Arc::new(ResidentFactory::new(TablesConfig::new(seed)));
        let lsms = Arc::new(LsmFactory::new(skiplists.clone(), lsm));
        let open = Mutex::new(rank::INDEXES, HashMap::new());
        let slots = Mutex::new(rank::SLOTS, HashMap::new());
        Arc::new(Self { kinds, skiplists, lsms, open, slots })
    }

    /// Ends the threads that work for indexes; blocks for that. Before the store is closed.
    pub(crate) fn stop(&self) {
        self.lsms.stop();
    }

    /// Who takes part in recovery.
    pub(crate) fn participants(&self, budget: &Budget) -> Participants {
        let own: Arc<dyn IndexFactory> = self.skiplists.clone();
        let all = core::iter::once(&own).chain(self.kinds.0.values());
        all.filter_map(|factory| factory.participant(budget)).collect()
    }

    /// Forgets the rows in memory that redo has met of keyspaces that are none any more.
    pub(crate) fn retain_rows(&self, is_known: impl Fn(u32) -> bool) -> Result<()> {
        self.skiplists.tables()?.retain(is_known);
        Ok(())
    }

    fn find(&self, kind: IndexKind) -> Option<Arc<dyn IndexFactory>> {
        match kind {
            IndexKind::SKIPLIST => Some(self.skiplists.clone()),
            IndexKind::LSM => Some(self.lsms.clone()),
            _ => self.kinds.find(kind),
        }
    }

    fn factory(&self, kind: IndexKind, of: &str) -> Result<Arc<dyn IndexFactory>> {
        self.find(kind).ok_or_else(|| {
            let what = format!("{of} is of {kind}, which is not registered: see Options::register_index");
            Error::new(ErrorKind::Unsupported, what)
        })
    }

    /// Fails unless `of` can be opened.
    pub(crate) fn check_kind(&self, kind: IndexKind, of: &str) -> Result<()> {
        if kind == IndexKind::BTREE {
            return Ok(());
        }
        self.factory(kind, of).map(drop)
    }

    /// What a kind is called.
    pub(crate) fn name(&self, kind: IndexKind) -> String {
        match self.find(kind) {
            _ if kind == IndexKind::BTREE => "btree".to_owned(),
            Some(factory) => factory.name().to_owned(),
            None => kind.to_string(),
        }
    }

    /// Makes an empty index as part of a transaction. Blocks.
    pub(crate) fn create(&self, txn: &mut Txn, options: KeyspaceOptions, id: u32) -> Result<Anchor> {
        let kind = options.kind;
        if kind == IndexKind::BTREE {
            let root = BTree::create(txn, id)?.root();
            return Ok(Anchor { kind, id, root });
        }
        let factory = self.factory(kind, "the new keyspace")?;
        txn.store().note_index_kinds()?;
        match options.merge_policy {
            None => factory.create(txn, kind, id),
            Some(policy) if kind == IndexKind::LSM => self.lsms.create_tree(txn, kind, id, policy),
            Some(policy) => {
                Err(Error::invalid(format!("{kind} has no merge policies, so it cannot have `{policy}`")))
            }
        }
    }

    /// The index that `at` names. The first to ask for one opens it, and others wait for that.
    pub(crate) fn open(&self, txns: &Arc<TxnManager>, at: Anchor, of: &str) -> Result<Rows> {
        if at.kind == IndexKind::BTREE {
            return Ok(Rows::Tree(BTree::open(txns.clone(), at.root, at.id)));
        }
        let mut open = self.open.lock();
        if let Some(open) = open.get(&at.id).filter(|open| open.rows.anchor() == at) {
            return Ok(open.rows.clone());
        }
        let opened = if at.kind == IndexKind::LSM {
            let lsm = self.lsms.open_tree(txns, at)?;
            Open { rows: Rows::Other(Arc::new(lsm.clone())), lsm: Some(lsm) }
        } else {
            let index = self.factory(at.kind, of)?.open(txns, at)?;
            Open { rows: Rows::Other(index), lsm: None }
        };
        let rows = opened.rows.clone();
        open.insert(at.id, opened);
        Ok(rows)
    }

    /// Frees all but the root of an index that was dropped, and returns whose root that is. An LSM tree that is not open is freed
    /// without being opened. Nobody uses the index. Blocks.
    pub(crate) fn free_below(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Rows> {
        if at.kind == IndexKind::LSM && self.lsm(at.id).is_none() {
            return self.lsms.free_unopened(txns, at).map(Rows::Tree);
        }
        let rows = self.open(txns, at, "a dropped keyspace")?;
        rows.index().free_below()?;
        Ok(rows)
    }

    /// Forgets what an index that was dropped and can be neither opened nor freed needs of the log: its rows in memory are nobody's.
    pub(crate) fn give_up(&self, id: u32) {
        let is_open = self.open.lock().contains_key(&id);
        if let (false, Ok(tables)) = (is_open, self.skiplists.tables()) {
            tables.forget(id);
        }
    }

    /// Bytes of log that a restart reads for the rows in memory of an index, those of others in between among them.
    pub(crate) fn log_bytes(&self, store: &Store, id: u32) -> Result<u64> {
        let Some(log) = store.log() else { return Ok(0) };
        Ok(self.skiplists.tables()?.log_bytes(id, &log.positions()))
    }

    /// The slot of the index that `at` names. A view that shows that it is a keyspace's must be held meanwhile.
    pub(crate) fn slot(&self, txns: &Arc<TxnManager>, at: Anchor, of: &str) -> Result<Arc<Slot>> {
        let rows = self.open(txns, at, of)?;
        let mut slots = self.slots.lock();
        // What was made by a transaction that was rolled back may have had the same id.
        if let Some(slot) = slots.get(&at.id).filter(|slot| slot.rows().anchor() == at) {
            return Ok(slot.clone());
        }
        let slot = Arc::new(Slot::new(rows));
        slots.insert(at.id, slot.clone());
        Ok(slot)
    }

    /// True if somebody stands in the index whose view has moved on.
    pub(crate) fn is_pinned(&self, id: u32) -> bool {
        self.slots.lock().get(&id).is_some_and(|slot| slot.is_pinned())
    }

    /// The LSM tree with that id, if there is one and it is open.
    pub(crate) fn lsm(&self, id: u32) -> Option<Lsm> {
        self.open.lock().get(&id)?.lsm.clone()
    }

    /// Forgets an index that is no more.
    pub(crate) fn forget(&self, id: u32) {
        let slot = self.slots.lock().remove(&id);
        let open = self.open.lock().remove(&id);
        // Not under a lock: the last handle on an index may do much.
        drop((slot, open));
    }

    /// Forgets an index that was freed, and what its rows in memory need of the log. Its id is not used again.
    pub(crate) fn end(&self, id: u32) -> Result<()> {
        self.forget(id);
        self.skiplists.tables()?.forget(id);
        Ok(())
    }

    /// Lets go of all: they hold the transactions, which hold this.
    pub(crate) fn forget_all(&self) {
        // Not under the lock: the last handle on an index may do much.
        let slots = core::mem::take(&mut *self.slots.lock());
        let open = core::mem::take(&mut *self.open.lock());
        drop((slots, open));
    }

    /// Who undoes a record's change.
    fn of_record(&self, record: &UndoRecord<'_>) -> Result<Arc<dyn IndexFactory>> {
        let of = format!("a change to undo, in the index {},", record.tree);
        let factory = self.factory(record.index, &of)?;
        if record.kind == UndoKind::CreateTree {
            self.forget(record.tree);
        }
        Ok(factory)
    }

    /// Undo in a home.
    pub(crate) fn undo(self: &Arc<Self>) -> ListingUndo {
        let indexes = self.clone();
        ListingUndo(KindsUndo::new(move |record| indexes.of_record(record)))
    }
}
