//! A store with one table of rows in memory, for tests of this module.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Resident, ResidentFactory, TablesConfig};
use crate::KindsUndo;
use crate::traits::{Anchor, IndexFactory};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_txn::recovery::{Opening, StoreConfig};
use aether_txn::{Durability, TxnConfig, TxnManager};
use aether_types::{IndexKind, PageNo};
use std::path::Path;

pub(super) const ID: u32 = 7;

/// The store, and the table whose image has this root; made if there is none.
pub(super) fn open(sim: &Sim, root: Option<PageNo>) -> (Arc<TxnManager>, Resident) {
    let factory = Arc::new(ResidentFactory::new(TablesConfig::new(5)));
    let scanned = Opening::begin(sim.env(), Path::new("/home"), StoreConfig::default(), true).unwrap().scan();
    let participants = |budget: &_| factory.participant(budget).into_iter().collect();
    let redone = scanned.unwrap().redo_with(participants).unwrap();
    let floor = redone.timestamp_floor();
    let (store, losers, _) = redone.into_parts();
    let (config, undo) = (TxnConfig::new(Durability::Sync), Box::new(KindsUndo::of(factory.clone())));
    let manager = TxnManager::resume(store, losers, floor, config, undo).unwrap();
    let root = root.unwrap_or_else(|| {
        let mut txn = manager.begin();
        let made = factory.create(&mut txn, IndexKind::SKIPLIST, ID).unwrap();
        txn.commit().unwrap();
        made.root
    });
    let table = factory.open_table(&manager, Anchor { kind: IndexKind::SKIPLIST, id: ID, root }).unwrap();
    (manager, table)
}
