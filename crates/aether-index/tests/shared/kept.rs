//! What lies below rows in memory, here in memory too: every version that was handed over.

use aether_index::resident::{Below, Leaver, Leaving, NewestBelow, Resident, Tables};
use aether_index::rows::Seen;
use aether_index::txn::{ReadView, Txn, TxnManager};
use aether_index::{Anchor, IndexKind};
use aether_sync::atomic::{AtomicU64, Ordering::SeqCst};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{PageNo, Result, Timestamp};
use std::collections::BTreeMap;

/// The versions by key, of each the newest first.
pub(crate) struct Kept {
    versions: Mutex<BTreeMap<Vec<u8>, Vec<Leaver>>>,
    mark: AtomicU64,
    /// Looks so far, each with the oldest version that it asked for.
    pub(crate) looks: Mutex<Vec<Timestamp>>,
}

impl Kept {
    fn new() -> Arc<Self> {
        let versions = Mutex::new(Rank::new(990, "what was handed over"), BTreeMap::new());
        let looks = Mutex::new(Rank::new(991, "looks below"), Vec::new());
        Arc::new(Self { versions, mark: AtomicU64::new(0), looks })
    }

    /// An empty table over nothing.
    pub(crate) fn table(txns: &Arc<TxnManager>, tables: &Arc<Tables>, id: u32) -> (Resident, Arc<Self>) {
        let (kept, at) = (Self::new(), Anchor { kind: IndexKind::SKIPLIST, id, root: PageNo::new(0) });
        let known = tables.known_at_creation(txns.store(), id).unwrap();
        (tables.open_over(txns, at, kept.clone(), Some(&known)).unwrap(), kept)
    }

    /// A whole flush.
    pub(crate) fn flush(&self, table: &Resident) {
        if let Some(leaving) = table.begin_flush(false) {
            self.finish(table, leaving);
        }
    }

    /// All of a flush that has begun.
    pub(crate) fn finish(&self, table: &Resident, mut leaving: Leaving) {
        let (mut leavers, mut stubs) = (Vec::new(), Vec::new());
        let sink = &mut |leaver| {
            leavers.push(leaver);
            Ok(())
        };
        while table.leave(&mut leaving, u64::MAX, sink).unwrap().is_some() {}
        {
            let mut versions = self.versions.lock();
            for leaver in leavers.into_iter().rev() {
                versions.entry(leaver.key.clone()).or_default().insert(0, leaver);
            }
        }
        self.mark.fetch_add(1, SeqCst);
        table.left(&leaving);
        while table.take_out(&mut leaving, &mut stubs).is_some() {}
    }

    /// What a view shows of `key`, in memory and here.
    pub(crate) fn get(&self, table: &Resident, view: &ReadView, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        match table.get_row(view, key, &mut value).unwrap() {
            Seen::Missing => {
                let versions = self.versions.lock();
                let seen = versions.get(key)?.iter().find(|version| version.at <= view.at())?;
                seen.value.clone()
            }
            seen => seen.is_there().then_some(value),
        }
    }
}

impl Below for Kept {
    fn mark(&self) -> u64 {
        self.mark.load(SeqCst)
    }

    fn newest(&self, _txn: &Txn, key: &[u8], from: Timestamp) -> Result<Option<NewestBelow>> {
        self.looks.lock().push(from);
        let versions = self.versions.lock();
        let newest = versions.get(key).and_then(|versions| versions.first());
        Ok(newest.map(|newest| NewestBelow { at: newest.at, is_there: newest.value.is_some() }))
    }
}
