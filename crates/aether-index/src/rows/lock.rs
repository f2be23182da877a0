//! Locks on keys and ranges: who has written rows there is found under the shared latches of their leaves.

use super::{Leaves, Rows, Stop, Towards, retry};
use aether_page::node::Node;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{LockMode, Resource, Txn};
use aether_types::{Result, TxnId};
use core::ops::Bound;
use std::collections::HashMap;

/// The writers of rows, each with the key of one of its rows: who waits for that waits for the writer's end, and then
/// looks again.
type Writers = HashMap<TxnId, Vec<u8>>;

impl<L: Leaves> Rows<L> {
    /// Locks one key, `S` or `X`, whether it is there or not, until the transaction ends or is rolled back to a savepoint
    /// before. Who reads is not kept from it. Blocks.
    ///
    /// # Errors
    /// `Conflict` for a transaction that does not wait, `TimedOut`, `Deadlock`, `OverLimit`, `InvalidInput`, `TxnOver`.
    pub fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()> {
        self.check_key(key)?;
        let resource = Resource::key(self.id(), key);
        txn.lock_rows(&resource, mode, &mut || {
            let mut writers = Writers::new();
            retry(|| self.writers_in_leaf(key, &resource, &mut writers))?;
            Ok(writers.into_iter().collect())
        })
    }

    /// Locks the keys between two bounds, those that are not there among them. Blocks.
    ///
    /// # Errors
    /// As [`Rows::lock_key`].
    pub fn lock_range(
        &self,
        txn: &mut Txn,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        mode: LockMode,
    ) -> Result<()> {
        let resource = Resource::range(self.id(), from, to)?;
        let Resource::Range { from, .. } = &resource else { return Ok(()) };
        txn.lock_rows(&resource, mode, &mut || Ok(self.writers_from(from, &resource)?.into_iter().collect()))
    }

    fn writers_from(&self, from: &[u8], range: &Resource) -> Result<Writers> {
        let (mut writers, mut next) = (Writers::new(), Some(from.to_vec()));
        while let Some(key) = next {
            let upper = retry(|| self.writers_in_leaf(&key, range, &mut writers))?;
            next = upper.filter(|upper| *upper > key && reaches(range, upper));
        }
        Ok(writers)
    }

    /// Adds the writers of versions on what is locked in the leaf of `key`; returns where the next leaf begins.
    fn writers_in_leaf(
        &self,
        key: &[u8],
        locked: &Resource,
        writers: &mut Writers,
    ) -> Result<Option<Vec<u8>>, Stop> {
        let leaf = self.leaf(Towards::Key(key), &Access::Normal)?.node.share()?;
        let node = Node::new(leaf.view());
        let one = matches!(locked, Resource::Key { .. });
        let slots = match node.search(key) {
            Ok(slot) if one => slot..slot + 1,
            Err(_) if one => 0..0,
            Ok(slot) | Err(slot) => slot..node.count(),
        };
        for slot in slots {
            let Some((writer, _)) = node.version(slot) else { continue };
            let mut key = Vec::with_capacity(node.key_len(slot));
            node.key_into(slot, &mut key);
            if !writers.contains_key(&writer) && locked.overlaps(&Resource::key(self.id(), &key)) {
                writers.insert(writer, key);
            }
        }
        Ok(node.upper())
    }
}

/// Does the range go on at `key`?
fn reaches(range: &Resource, key: &[u8]) -> bool {
    matches!(range, Resource::Range { to, .. } if to.as_ref().is_none_or(|to| key < &to[..]))
}
