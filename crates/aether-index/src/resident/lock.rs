//! Locks on keys and ranges: who has changed rows there is found among the rows, once every change is done that did not
//! know of the lock.

use super::Resident;
use super::cell::Cell;
use crate::skiplist::Guard;
use aether_txn::{LockMode, Resource, Txn};
use aether_types::{Result, TxnId};
use core::ops::Bound;
use std::collections::HashMap;

/// The writers of rows, each with the key of one of its rows.
type Writers = HashMap<TxnId, Vec<u8>>;

impl Resident {
    /// Locks one key, `S` or `X`, whether it is there or not, until the transaction ends or is rolled back to a savepoint
    /// before. Who reads is not kept from it. Blocks.
    ///
    /// # Errors
    /// `Conflict` for a transaction that does not wait, `TimedOut`, `Deadlock`, `OverLimit`, `InvalidInput`, `TxnOver`.
    pub fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()> {
        self.check_key(key)?;
        let resource = Resource::key(self.id(), key);
        txn.lock_rows(&resource, mode, &mut || {
            let rows = &self.0.rows;
            let pin = rows.map.pin();
            let _stripe = rows.latch(key);
            let writer = rows.find(&pin, key).and_then(|cell| cell.version());
            Ok(writer.map(|(writer, _)| (writer, key.to_vec())).into_iter().collect())
        })
    }

    /// Locks the keys between two bounds, those that are not there among them. Blocks.
    ///
    /// # Errors
    /// As [`Resident::lock_key`].
    pub fn lock_range(
        &self,
        txn: &mut Txn,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        mode: LockMode,
    ) -> Result<()> {
        let resource = Resource::range(self.id(), from, to)?;
        let Resource::Range { from, .. } = &resource else { return Ok(()) };
        txn.lock_rows(&resource, mode, &mut || {
            // The lock stands in the table. A writer that has latched its stripe from now on finds it there; one that had
            // it latched before is waited for, and its row is found.
            self.0.rows.wait_for_changes();
            Ok(self.writers_in(&self.0.rows.map.pin(), from, &resource).into_iter().collect())
        })
    }

    fn writers_in(&self, pin: &Guard<'_>, from: &[u8], range: &Resource) -> Writers {
        let mut writers = Writers::new();
        let entries = pin.scan(Bound::Included(from), Bound::Unbounded);
        let is_inside = |key: &[u8]| range.overlaps(&Resource::key(self.id(), key));
        for entry in entries {
            let key = entry.key();
            if !is_inside(&key) {
                break;
            }
            if let Some((writer, _)) = Cell::in_entry(pin, &entry).and_then(Cell::version) {
                writers.entry(writer).or_insert(key);
            }
        }
        writers
    }
}
