//! Freeing a tree that is not open, by what its manifest says. No run is read: one that is damaged or missing is in nobody's way.

use super::LsmFactory;
use super::manifest::{Listed, Manifest};
use crate::run::RunHome;
use aether_index::resident::{Below, NewestBelow, wait_for_all_streams};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::{Durability, Txn, TxnManager};
use aether_index::{Anchor, BTree, Index};
use aether_types::{Result, Timestamp};

/// What lies below rows that are about to go: nobody asks.
struct Nothing;

impl Below for Nothing {
    fn mark(&self) -> u64 {
        0
    }

    fn newest(&self, _txn: &Txn, _key: &[u8], _from: Timestamp) -> Result<Option<NewestBelow>> {
        Ok(None)
    }
}

impl LsmFactory {
    /// Frees all of a tree that was dropped and is not open, but for the root of its manifest, which is what it returns: its files by
    /// their names, its rows in memory with their large values. Nobody uses the tree. Blocks. Done again after a crash it goes on where it
    /// was.
    ///
    /// # Errors
    /// `Corruption` for a damaged manifest, and if changes that the log should have are missing; those of pages and of the log.
    pub fn free_unopened(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<BTree> {
        let manifest = Manifest::of(txns, at);
        let listed = manifest.read()?;
        self.made.lock().remove(&at.id);
        self.free_rows(txns, at, &manifest, &listed)?;
        // The drop may be in another stream than the manifest, and files do not come back.
        wait_for_all_streams(txns.store())?;
        let home = RunHome::of(txns.store());
        for file in listed.files() {
            // What cannot be removed now is a leftover for the next open. What is missing is gone.
            let _ = home.remove(file);
        }
        manifest.tree().clear()?;
        Ok(manifest.tree().clone())
    }

    /// Takes the rows out of memory, durably: from then on the manifest knows those that the log has, and so their large values are
    /// freed once.
    fn free_rows(
        &self,
        txns: &Arc<TxnManager>,
        at: Anchor,
        manifest: &Manifest,
        listed: &Listed,
    ) -> Result<()> {
        let rows = self.rows.tables()?.open_over(txns, at, Arc::new(Nothing), listed.known.as_deref())?;
        let mut txn = manifest.begin();
        let known = rows.clear_rows(&mut txn)?;
        manifest.put_known(&mut txn, &known)?;
        manifest.commit(txn, Durability::Sync)?;
        rows.cleared();
        txns.collect()
    }
}
