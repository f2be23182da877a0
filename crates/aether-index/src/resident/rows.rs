//! The rows of a table: a map in memory, and the stripes under whose latches it is changed.
//!
//! Who changes a row latches the stripe of its key, makes its cell and its entry, and hands both to a mini-transaction, which
//! logs the change and then puts the cell into the entry. So a row's payload changes only under its stripe's latch, and
//! only to what is in the log.

use super::below::Flush;
use super::cell::{self, Cell, EMPTY};
use super::image::{Known, UNKNOWN};
use super::memory::{Memory, Need};
use super::met::Met;
use super::rank;
use super::slices::Slices;
use crate::skiplist::{Entry, Guard, Inserted, Offset, Skiplist, SkiplistConfig};
use crate::trace;
use aether_page::node::Row;
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_sync::{Mutex, MutexGuard, Weak};
use aether_trace::planted;
use aether_txn::TxnManager;
use aether_txn::recovery::wal::buffer::Account;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{RowChange, RowOp, RowPart, STRIPES, StripePlace, first_psn, next_psn, stripe_of};
use aether_types::{Error, Lsn, Lv, PageNo, Psn, Result, StreamId, TxnId};
use std::borrow::Cow;
use std::collections::VecDeque;

/// Deleted rows taken out with each change at the most.
const PURGED_MAX: usize = 2;

/// What a stripe has of a page.
pub(super) struct Stripe {
    psn: Psn,
    lv: Lv,
    /// The numbers that redo has met.
    met: Met,
    /// Deleted rows that stay as long as a snapshot may need them: writer and key, in about the order of their going.
    ghosts: VecDeque<(TxnId, Vec<u8>)>,
}

/// The rows of a table.
pub(crate) struct Rows {
    id: u32,
    pub(super) map: Skiplist,
    stripes: Box<[Mutex<Stripe>]>,
    pub(super) slices: Slices,
    memory: Memory,
    /// All rows are here: what is not, is not there.
    is_whole: AtomicBool,
    /// Held by who makes it so.
    pub(super) opening: Mutex<()>,
    /// What slices know of which nothing was written out: what is older is of another table with this id.
    base: Mutex<Known>,
    /// Where rows go from here.
    home: Mutex<Option<Home>>,
    /// What is not here may lie below, and so a deleted row hides something.
    lies_over: AtomicBool,
}

/// Where the rows of a table go so that the log can.
#[derive(Clone)]
pub(super) enum Home {
    /// Into the image whose tree has this root.
    Image(Weak<TxnManager>, PageNo),
    /// To what lies below; this makes them go.
    Below(Weak<dyn Flush>),
}

/// The latch of a stripe.
pub(super) struct Latched<'a> {
    number: u32,
    state: MutexGuard<'a, Stripe>,
}

/// What is wanted of a row, and how urgently.
pub(super) struct Wanted<'a> {
    pub(super) key: &'a [u8],
    /// None: it is not there any more.
    pub(super) row: Option<Row<'a>>,
    pub(super) need: Need,
}

/// A change that only waits to be logged.
pub(super) struct Change<'a> {
    rows: &'a Rows,
    pin: &'a Guard<'a>,
    stripe: Latched<'a>,
    psn: Psn,
    wanted: Wanted<'a>,
    entry: Entry<'a>,
    old: u64,
    /// What the entry gets; none: it goes.
    cell: Option<Offset>,
}

impl Rows {
    /// No rows yet; what lies below them is not known.
    pub(super) fn new(id: u32, account: Account, memory_bytes_max: u64, seed: u64) -> Result<Self> {
        let map = Skiplist::new(SkiplistConfig { memory_bytes_max, seed, is_removable: true })?;
        let stripe = |_| {
            let stripe =
                Stripe { psn: Psn::new(0), lv: Lv::ZERO, met: Met::default(), ghosts: VecDeque::new() };
            Mutex::new(rank::STRIPE, stripe)
        };
        Ok(Self {
            id,
            map,
            stripes: (0..STRIPES).map(stripe).collect(),
            slices: Slices::new(),
            memory: Memory::new(account),
            is_whole: AtomicBool::new(false),
            opening: Mutex::new(rank::OPENING, ()),
            base: Mutex::new(rank::BASE, UNKNOWN),
            home: Mutex::new(rank::IMAGE, None),
            lies_over: AtomicBool::new(false),
        })
    }

    /// The table's id.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Latches the stripe of `key`; blocks.
    pub(super) fn latch(&self, key: &[u8]) -> Latched<'_> {
        self.latch_stripe(stripe_of(key))
    }

    fn latch_stripe(&self, number: u32) -> Latched<'_> {
        Latched { number, state: self.stripes[number as usize].lock() }
    }

    /// Waits until every change that has begun is done; blocks.
    pub(super) fn wait_for_changes(&self) {
        (0..STRIPES).for_each(|number| drop(self.latch_stripe(number)));
    }

    /// The row of `key` as it stands.
    pub(super) fn find<'g>(&self, pin: &'g Guard<'_>, key: &[u8]) -> Option<Cell<'g>> {
        Cell::in_entry(pin, &pin.get(key)?)
    }

    /// Makes a change of a row ready; nothing of it can fail afterwards. `life` is the store's incarnation.
    ///
    /// # Errors
    /// `OverLimit` without memory, or without sequence numbers: then nothing has changed.
    pub(super) fn prepare<'a>(
        &'a self,
        pin: &'a Guard<'a>,
        stripe: Latched<'a>,
        life: u64,
        wanted: Wanted<'a>,
    ) -> Result<Change<'a>> {
        let psn = next_psn(stripe.state.psn, life)?;
        let bytes = wanted.key.len() + wanted.row.as_ref().map_or(0, |row| row.value.len());
        self.cover(bytes, wanted.need)?;
        let cell = match &wanted.row {
            None if self.is_whole() => None,
            row => Some(pin.add_value(&cell::encode(psn, row.as_ref()))?),
        };
        let entry = match pin.insert(wanted.key, EMPTY) {
            Ok(inserted) => inserted.entry(),
            Err(error) => {
                cell.into_iter().for_each(|cell| free(pin, cell.get().into()));
                return Err(error);
            }
        };
        Ok(Change { rows: self, pin, stripe, psn, wanted, entry, old: entry.payload(), cell })
    }

    /// Sees to it that a row of so many bytes is paid for.
    pub(super) fn cover(&self, row_bytes: usize, need: Need) -> Result<()> {
        self.memory.cover(&self.map, row_bytes, need)
    }

    /// Takes a few deleted rows out that nobody needs any more. Nothing is logged: redo brings them back as deleted.
    pub(super) fn purge(&self, pin: &Guard<'_>, stripe: &mut Latched<'_>, manager: &TxnManager) {
        if self.lies_over() {
            return;
        }
        for _ in 0..PURGED_MAX {
            let front = stripe.state.ghosts.front();
            if front.is_none_or(|(writer, _)| !manager.is_forgotten(*writer)) {
                return;
            }
            let Some((writer, key)) = stripe.state.ghosts.pop_front() else { return };
            let Some(entry) = pin.get(&key) else { continue };
            let payload = entry.payload();
            let is_it =
                |cell: Cell<'_>| cell.flags().is_ghost() && cell.version().is_some_and(|at| at.0 == writer);
            if Cell::of(pin, payload).is_some_and(is_it) {
                trace::purge(stripe.number, || self.take_out(pin, entry, payload));
            }
        }
    }

    /// Takes an entry out, under its stripe's latch.
    pub(super) fn take_out(&self, pin: &Guard<'_>, entry: Entry<'_>, payload: u64) {
        pin.remove(entry, payload).expect("the stripe's latch is held");
        free(pin, payload);
    }

    /// Lets what was removed be used again; true if something may be free now. Call without access to the map.
    pub(super) fn reclaim(&self) -> bool {
        (0..3).fold(false, |any, _| self.map.reclaim() | any)
    }

    /// Takes in what a group did to rows of a stripe.
    ///
    /// # Errors
    /// `Corruption` for a row of another stripe, or a number that was there before; `OverLimit` if the map is full.
    pub(super) fn redo(&self, part: &RowPart<'_>) -> Result<()> {
        let mut stripe = self.latch_stripe(part.place.stripe);
        if !stripe.state.met.add(part.place.psn) {
            return Err(Error::corruption(format!("two groups have {} of a stripe of rows", part.place.psn)));
        }
        stripe.state.psn = stripe.state.psn.max(part.place.psn);
        stripe.state.lv.join(&part.lv);
        let pin = self.map.pin();
        part.ops.iter().try_for_each(|op| {
            if stripe_of(op.key()) != part.place.stripe {
                return Err(Error::corruption("a row is logged in another's stripe").at_key(op.key()));
            }
            self.slices.mark(op.key(), part.stream, part.lsn);
            self.redo_row(&pin, part.place.psn, op)
        })
    }

    /// The newest change of a row counts, in whatever order they come.
    fn redo_row(&self, pin: &Guard<'_>, psn: Psn, op: &RowOp<'_>) -> Result<()> {
        let (key, row) = match op {
            RowOp::Set { key, row } => (*key, Some(row)),
            RowOp::Remove { key } => (*key, None),
        };
        if !planted("older-row-wins") && self.find(pin, key).is_some_and(|cell| cell.psn() > psn) {
            return Ok(());
        }
        self.cover(key.len() + row.map_or(0, |row| row.value.len()), Need::Urgent)?;
        let cell = pin.add_value(&cell::encode(psn, row))?;
        let entry = match pin.insert(key, cell.get().into())? {
            Inserted::New(_) => return Ok(()),
            Inserted::Found(entry) => entry,
        };
        let old = entry.payload();
        entry.replace(old, cell.get().into()).expect("the stripe's latch is held");
        free(pin, old);
        Ok(())
    }

    /// Whether all rows are here.
    pub(super) fn is_whole(&self) -> bool {
        // Acquire: pairs with the release in `attach`.
        self.is_whole.load(Acquire)
    }

    /// All rows are here that are not below, and they may go to `home`.
    pub(super) fn attach(&self, home: Home) {
        *self.home.lock() = Some(home);
        self.is_whole.store(true, Release);
    }

    /// Where rows go is about to go itself: nothing is written out any more.
    pub(super) fn detach(&self) {
        *self.home.lock() = None;
        self.is_whole.store(false, Release);
        self.slices.reset();
    }

    /// Where rows go; none before the table is opened.
    pub(super) fn home(&self) -> Option<Home> {
        self.home.lock().clone()
    }

    /// From now on what is not here may lie below.
    pub(super) fn lie_over(&self) {
        self.lies_over.store(true, Relaxed);
    }

    pub(super) fn lies_over(&self) -> bool {
        self.lies_over.load(Relaxed)
    }

    /// What the first slice of a table that is made while the incarnation `life` is written knows: all that was before.
    pub(super) fn known_at_creation(&self, life: u64) -> Known {
        self.known().map(|psn| psn.max(first_psn(life)))
    }

    pub(super) fn set_base(&self, known: Known) {
        *self.base.lock() = known;
    }

    /// What a slice knows of which nothing was written out.
    pub(super) fn base(&self) -> Known {
        *self.base.lock()
    }

    /// Up to which change of each stripe all rows stand as they are changed; blocks until changes that have begun are done.
    pub(super) fn known(&self) -> Known {
        core::array::from_fn(|number| {
            let stripe = number as u32;
            trace::read_known(stripe, || self.latch_stripe(stripe).state.psn)
        })
    }

    /// Behind what the image knows, no change of a stripe may be missing among those that redo has met.
    ///
    /// # Errors
    /// `Corruption`.
    pub(super) fn check_met(&self, known: &Known) -> Result<()> {
        for (number, known) in known.iter().enumerate() {
            let mut stripe = self.latch_stripe(number as u32);
            core::mem::take(&mut stripe.state.met).check(*known)?;
            stripe.state.psn = stripe.state.psn.max(*known);
        }
        Ok(())
    }
}

/// Frees the cell that a payload stood for.
pub(super) fn free(pin: &Guard<'_>, payload: u64) {
    if payload != EMPTY {
        pin.free_value(Offset::new(payload as u32)).expect("the cell of a row");
    }
}

impl RowChange for Change<'_> {
    fn place(&self) -> StripePlace {
        StripePlace { table: self.rows.id, stripe: self.stripe.number, psn: self.psn }
    }

    fn lv(&self) -> Lv {
        self.stripe.state.lv
    }

    fn op(&self) -> RowOp<'_> {
        let key = self.wanted.key;
        match &self.wanted.row {
            None => RowOp::Remove { key },
            Some(row) => RowOp::Set { key, row: Row { value: Cow::Borrowed(&row.value), ..*row } },
        }
    }

    fn mark_dirty(&mut self, stream: StreamId, position: Lsn) {
        let (rows, key) = (self.rows, self.wanted.key);
        trace::mark_row(self.place(), stream, || rows.slices.mark(key, stream, position));
    }

    fn apply(&mut self, lv: &Lv) {
        (self.stripe.state.psn, self.stripe.state.lv) = (self.psn, *lv);
        let ghost = self.wanted.row.as_ref().filter(|row| row.ghost && !self.rows.lies_over());
        if let Some((writer, _)) = ghost.and_then(|row| row.version) {
            self.stripe.state.ghosts.push_back((writer, self.wanted.key.to_vec()));
        }
        match self.cell {
            Some(cell) => {
                let changed = self.entry.replace(self.old, cell.get().into());
                changed.expect("the stripe's latch is held");
            }
            None => self.pin.remove(self.entry, self.old).expect("the stripe's latch is held"),
        }
        free(self.pin, self.old);
    }
}
