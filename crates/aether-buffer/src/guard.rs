//! Guards: what a reader or writer of a resident page holds.

use crate::frame::Resident;
use crate::pool::Pool;
use crate::trace;
use aether_page::{PageMut, PageType, Swip, View, header};
use aether_sync::Version;
use aether_sync::atomic::Ordering::{AcqRel, Relaxed};
use aether_trace::planted;
use aether_types::{FileId, Lsn, Lv, PageNo, Psn, StreamId};
use core::cell::Cell;

/// The page changed under an optimistic reader: nothing it read may be used; begin again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart;

/// A remembered, unlatched position: usable as long as [`Optimistic::validate`] says so (P6).
#[derive(Clone, Copy)]
pub struct Optimistic<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) frame: u32,
    pub(crate) version: Version,
}

impl<'p> Optimistic<'p> {
    /// The page's words. Whatever is read must be validated before it is used.
    #[inline]
    pub fn view(&self) -> View<'p> {
        View::new(self.pool.words(self.frame))
    }

    /// Fails if anybody has written since the guard was made.
    #[inline]
    pub fn validate(&self) -> Result<(), Restart> {
        let latch = &self.pool.frame(self.frame).latch;
        let valid = trace::validate(|| latch.validate(self.version) || planted("use-unvalidated"));
        if valid { Ok(()) } else { Err(Restart) }
    }

    /// Takes the latch exclusively if nobody has written since.
    pub fn upgrade(self) -> Result<Exclusive<'p>, Restart> {
        if self.pool.frame(self.frame).latch.try_upgrade(self.version) {
            Ok(Exclusive { pool: self.pool, frame: self.frame, changed: Cell::new(false) })
        } else {
            Err(Restart)
        }
    }

    /// Takes the latch shared if nobody has written since; blocks while a writer waits.
    pub fn share(self) -> Result<Shared<'p>, Restart> {
        if !self.pool.frame(self.frame).latch.shared_while(|| self.validate().is_ok()) {
            return Err(Restart);
        }
        let shared = Shared { pool: self.pool, frame: self.frame };
        self.validate().map(|()| shared)
    }

    /// Writes the frame of a just resolved child into the reference at word `index`, if that still holds
    /// `seen`. Only under the shared latch: else the word might belong to another page by now. A hint that is
    /// not repaired is no harm.
    pub fn repair_hint(&self, index: usize, seen: Swip, frame: u32) {
        let header = self.pool.frame(self.frame);
        if !header.latch.try_shared() {
            return;
        }
        if let (true, Some(word)) =
            (header.latch.validate(self.version), self.pool.words(self.frame).get(index))
        {
            let repaired = seen.with_hint(frame).word();
            let repair = || word.compare_exchange(seen.word(), repaired, AcqRel, Relaxed).is_ok();
            trace::repair(seen.page(), frame, repair);
        }
        header.latch.release_shared();
    }

    /// The frame, for hints and positions.
    pub fn frame(&self) -> u32 {
        self.frame
    }
}

/// The latch, held shared: nobody writes while it lives.
pub struct Shared<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) frame: u32,
}

impl<'p> Shared<'p> {
    /// The page's words.
    pub fn view(&self) -> View<'_> {
        View::new(self.pool.words(self.frame))
    }

    /// An optimistic guard that stays valid until somebody writes.
    pub fn optimistic(&self) -> Optimistic<'p> {
        let version = self.pool.frame(self.frame).latch.held_version();
        Optimistic { pool: self.pool, frame: self.frame, version }
    }

    /// The page's number.
    pub fn page_no(&self) -> PageNo {
        self.pool.frame(self.frame).resident().page()
    }

    /// The vector of the last log group that changed the page.
    pub fn page_lv(&self) -> Lv {
        self.pool.dirty.page_lv(self.frame)
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.pool.frame(self.frame).latch.release_shared();
    }
}

/// The latch, held exclusively. Released with a new version if the page was changed.
pub struct Exclusive<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) frame: u32,
    pub(crate) changed: Cell<bool>,
}

impl<'p> Exclusive<'p> {
    /// The page's words.
    pub fn view(&self) -> View<'_> {
        View::new(self.pool.words(self.frame))
    }

    /// The page's words, to be changed: by a mini-transaction, or by who loads the page.
    pub fn page_mut(&mut self) -> PageMut<'_> {
        self.changed.set(true);
        PageMut::new(self.pool.words(self.frame))
    }

    /// The file of the page.
    pub fn file(&self) -> FileId {
        self.resident().file()
    }

    /// The number of the page.
    pub fn page_no(&self) -> PageNo {
        self.resident().page()
    }

    pub(crate) fn resident(&self) -> Resident {
        self.pool.frame(self.frame).resident()
    }

    /// A reference to this page with its frame as the hint.
    pub fn swip(&self) -> Swip {
        Swip::new(self.page_no()).with_hint(self.frame)
    }

    /// The page's sequence number.
    pub fn psn(&self) -> Psn {
        header::psn(self.view())
    }

    /// The vector of the last log group that changed the page.
    pub fn page_lv(&self) -> Lv {
        self.pool.dirty.page_lv(self.frame)
    }

    /// Remembers that the page is about to be changed by a group that `stream` will place at or after
    /// `position`; called before the claim (P5).
    pub fn mark_dirty(&mut self, stream: StreamId, position: Lsn) {
        debug_assert!(!header::is_type(self.view(), PageType::Block), "a block never changes");
        self.pool.dirty.mark(self.frame, stream, position);
    }

    /// Stamps the page after a change: its new sequence number and vector.
    pub fn stamp(&mut self, psn: Psn, lv: &Lv) {
        header::set_psn(self.page_mut(), psn);
        self.pool.dirty.set_page_lv(self.frame, lv);
    }

    /// An optimistic guard for after the release; only sound to validate once this guard is dropped.
    pub fn downgrade(self) -> Shared<'p> {
        let shared = Shared { pool: self.pool, frame: self.frame };
        self.pool.frame(self.frame).latch.downgrade();
        core::mem::forget(self);
        shared
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        let latch = &self.pool.frame(self.frame).latch;
        if !self.changed.get() {
            return latch.release_exclusive_unchanged();
        }
        trace::unlatch(self.frame, || match planted("write-without-a-version") {
            false => latch.release_exclusive(),
            true => latch.release_exclusive_unchanged(),
        });
    }
}
