//! Laying what redo has met over the image, when a table is opened.

use super::cell::{self, Cell, EMPTY};
use super::image::{self, Known, SliceImage, UNKNOWN};
use super::memory::Need;
use super::rows::{Home, Rows, free};
use super::slices::Extent;
use crate::skiplist::{Guard, Inserted};
use aether_sync::Arc;
use aether_txn::TxnManager;
use aether_txn::recovery::stripe_of;
use aether_types::{Error, PageNo, Result};

impl Rows {
    /// Fills the table from its image, whose tree has the root `root`, below what redo has met. From then on all rows are
    /// here. Done again after an error it begins anew. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` for a damaged slice, which it names, and if a change is missing that the log should have.
    pub(super) fn be_whole(&self, manager: &Arc<TxnManager>, root: PageNo) -> Result<()> {
        let _one_at_a_time = self.opening.lock();
        if self.is_whole() {
            return Ok(());
        }
        let (mut extents, mut known) = (Vec::new(), UNKNOWN);
        let tree = image::tree(manager.clone(), root, self.id());
        image::for_each(&tree, &manager.view(), |lower, upper, slice, bytes| {
            let is_dirty = self.lay_slice(lower, upper, &slice)?;
            known.iter_mut().zip(slice.known).for_each(|(known, psn)| *known = psn.max(*known));
            let is_known = slice.is_written;
            if !is_known {
                self.set_base(slice.known);
            }
            extents.push((Extent { key: lower.to_vec(), bytes, is_known }, is_dirty));
            Ok(())
        })
        .map_err(|error| self.named(error))?;
        if extents.is_empty() {
            // Its maker has not committed yet, or it was dropped and nothing but the root is left: what redo has met is of rows that are gone.
            known = self.known_at_creation(manager.store().incarnation());
            self.drop_known(&self.map.pin(), &[], None, &known);
            self.set_base(known);
        }
        self.check_met(&known).map_err(|error| self.named(error))?;
        self.slices.lay(&extents);
        self.drop_removed(manager);
        self.attach(Home::Image(Arc::downgrade(manager), root));
        Ok(())
    }

    /// Keeps of what redo has met what lies below does not know. From then on all rows are here that are not there. `known`: as for
    /// [`Leaving::known`](super::Leaving::known); none if nothing was ever handed over.
    ///
    /// # Errors
    /// `Corruption` if a change is missing that the log should have.
    pub(super) fn lay_over(&self, manager: &TxnManager, known: Option<&Known>) -> Result<()> {
        let _one_at_a_time = self.opening.lock();
        self.lie_over();
        let known = known.copied().unwrap_or_else(|| self.known_at_creation(manager.store().incarnation()));
        let is_dirty = self.drop_known(&self.map.pin(), &[], None, &known);
        self.check_met(&known).map_err(|error| self.named(error))?;
        let all = Extent { key: Vec::new(), bytes: 0, is_known: true };
        self.slices.lay(&[(all, is_dirty)]);
        self.drop_removed(manager);
        Ok(())
    }

    /// Says of which table an error is.
    fn named(&self, error: Error) -> Error {
        error.within(format_args!("table {} of rows in memory", self.id()))
    }

    /// Puts a slice below what redo has met of it; true if there is something.
    fn lay_slice(&self, lower: &[u8], upper: Option<&[u8]>, slice: &SliceImage) -> Result<bool> {
        let pin = self.map.pin();
        let is_dirty = self.drop_known(&pin, lower, upper, &slice.known);
        for (key, row) in &slice.rows {
            let psn = slice.known[stripe_of(key) as usize];
            self.cover(key.len() + row.value.len(), Need::Urgent)?;
            let cell = pin.add_value(&cell::encode(psn, Some(row)))?;
            if let Inserted::Found(_) = pin.insert(key, cell.get().into())? {
                free(&pin, cell.get().into());
            }
        }
        Ok(is_dirty)
    }

    /// Takes out what a slice knows better; true if something is left. What redo met of it may be old: the log may have begun behind
    /// a later change.
    fn drop_known(&self, pin: &Guard<'_>, lower: &[u8], upper: Option<&[u8]>, known: &Known) -> bool {
        let mut cursor = pin.cursor();
        let (mut found, mut is_dirty) = (cursor.seek(lower), false);
        while found && upper.is_none_or(|upper| cursor.key() < upper) {
            let stripe = stripe_of(cursor.key());
            let entry = cursor.entry().expect("it stands at a key");
            let payload = entry.payload();
            match Cell::of(pin, payload) {
                Some(cell) if cell.psn() > known[stripe as usize] => is_dirty = true,
                _ => self.take_out(pin, entry, payload),
            }
            found = cursor.next();
        }
        is_dirty
    }

    /// Takes entries out whose row is not there for anybody.
    pub(super) fn drop_removed(&self, manager: &TxnManager) {
        let is_forgotten = |cell: Cell<'_>| {
            let version = cell.version();
            version.is_none_or(|(writer, _)| manager.is_forgotten(writer))
        };
        let hides_nothing =
            |cell: Cell<'_>| cell.flags().is_ghost() && !self.lies_over() && is_forgotten(cell);
        let is_gone = |cell: Cell<'_>| cell.is_removed() || hides_nothing(cell);
        let pin = self.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.first();
        while found {
            let entry = cursor.entry().expect("it stands at a key");
            let payload = entry.payload();
            if payload == EMPTY || Cell::of(&pin, payload).is_some_and(is_gone) {
                self.take_out(&pin, entry, payload);
            }
            found = cursor.next();
        }
    }
}
