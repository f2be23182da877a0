//! Loading pages: one for whoever needs it, a run of neighbours in one read for scans.
//!
//! A frame is claimed first (taken, latched exclusively, entered in the translation array), and only then the
//! file is read: bytes read earlier could be older than what another load, change and eviction have left there.

use crate::files::{BLOCK_OVERHEAD_BYTES, BlockSource, Content, OpenFile};
use crate::frame::{FrameState, Resident};
use crate::pool::{Access, Pool};
use crate::trace;
use crate::translation::Entry;
use aether_page::{PageFile, PageMut, PageType, View, header, load_words, verify};
use aether_trace::planted;
use aether_types::{Error, FileId, Lv, PageNo, Psn, Result};
use aether_vfs::AlignedBuf;
use core::cell::RefCell;

/// Pages from the first to the last of a run, at the most.
pub(crate) const RUN_PAGES: u64 = 16;
/// Unwanted pages between two wanted ones that are read along rather than around.
const GAP_PAGES: u64 = 3;

/// A page that this thread is loading.
pub(crate) struct Claim {
    pub(crate) page: PageNo,
    pub(crate) frame: u32,
    /// What stood in the translation array.
    entry: Entry,
}

impl Pool {
    /// Takes a frame for an absent page whose entry was `entry`; none if another thread was faster.
    pub(crate) fn claim(
        &self,
        open: &OpenFile,
        page: PageNo,
        entry: Entry,
        access: &Access<'_>,
    ) -> Result<Option<Claim>> {
        let frame = self.take_frame(access)?;
        // Before the array says so: who finds the frame there waits for this page, and for no other.
        let resident = Resident::new(open.id, page);
        trace::take(resident, frame, || self.frame(frame).set_resident(resident));
        let entered = trace::enter(frame, || self.enter(open, page, entry, frame));
        if !matches!(entered, Ok(true)) {
            trace::give_up(frame, || self.give_back(frame));
        }
        Ok(entered?.then_some(Claim { page, frame, entry }))
    }

    /// Enters a page in the translation array, if what stands there is still `entry`.
    fn enter(&self, open: &OpenFile, page: PageNo, entry: Entry, frame: u32) -> Result<bool> {
        let seen = if planted("enter-beside-another") { open.translation.get(page) } else { entry };
        open.translation.replace(page, seen, Entry::resident(frame))
    }

    /// Fills claimed pages, ascending, with one read, and lets go of their latches. Returns the first error; pages with an
    /// error are absent as before.
    pub(crate) fn load(&self, open: &OpenFile, claims: &[Claim], access: &Access<'_>) -> Result<()> {
        match &open.content {
            Content::Pages { pages, .. } => self.load_pages(open, pages, claims, access),
            Content::Blocks(source) => self.load_blocks(open, &**source, claims, access),
        }
    }

    fn load_pages(
        &self,
        open: &OpenFile,
        pages: &PageFile,
        claims: &[Claim],
        access: &Access<'_>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (claims.first(), claims.last()) else { return Ok(()) };
        let page_bytes = self.config.page_size.bytes();
        let place = |page: PageNo| (page.get() - first.page.get()) as usize * page_bytes;
        with_buffer(place(last.page) + page_bytes, |bytes| {
            let mut outcome = pages.read(first.page, bytes);
            let is_read = outcome.is_ok();
            for claim in claims {
                let part = &mut bytes[place(claim.page)..][..page_bytes];
                let fill = || if is_read { self.fill_or_repair(open, claim, part) } else { Ok(()) };
                let filled =
                    trace::load(claim.frame, fill, || header::psn(View::new(self.words(claim.frame))));
                if is_read && filled.is_ok() {
                    self.finish_load(claim.frame, access);
                    continue;
                }
                self.abandon(open, claim);
                outcome = outcome.and(filled);
            }
            outcome
        })
    }

    /// The page of a claim is absent as before.
    fn abandon(&self, open: &OpenFile, claim: &Claim) {
        open.translation.set(claim.page, claim.entry);
        self.give_back(claim.frame);
    }

    fn load_blocks(
        &self,
        open: &OpenFile,
        source: &dyn BlockSource,
        claims: &[Claim],
        access: &Access<'_>,
    ) -> Result<()> {
        let mut pages = [PageNo::new(0); RUN_PAGES as usize];
        let pages = &mut pages[..claims.len()];
        pages.iter_mut().zip(claims).for_each(|(page, claim)| *page = claim.page);
        let (mut waiting, mut outcome) = (claims.iter(), Ok(()));
        source.read(pages, &mut |block| {
            let claim = waiting.next().expect("a source hands out as many blocks as it was asked for");
            match block.and_then(|bytes| self.fill_block(open.id, claim, bytes)) {
                Ok(()) => self.finish_load(claim.frame, access),
                Err(error) => {
                    self.abandon(open, claim);
                    let known = core::mem::replace(&mut outcome, Ok(()));
                    outcome = known.and(Err(error));
                }
            }
        });
        assert!(waiting.next().is_none(), "a source hands out as many blocks as it was asked for");
        outcome
    }

    /// Fills a claimed frame with a block.
    fn fill_block(&self, file: FileId, claim: &Claim, bytes: &[u8]) -> Result<()> {
        let page_bytes = self.config.page_size.bytes();
        if bytes.len() > page_bytes - BLOCK_OVERHEAD_BYTES {
            let what = format!("a block of {} bytes, too long for a page", bytes.len());
            return Err(Error::corruption(what).at_file(file).at_page(claim.page));
        }
        let page = PageMut::new(self.words(claim.frame));
        header::init(page, PageType::Block, file, claim.page, Psn::new(0));
        page.put_bytes(header::HEADER_BYTES, bytes);
        page.put_u64(page_bytes - 8, bytes.len() as u64);
        self.dirty.set_page_lv(claim.frame, &Lv::ZERO);
        Ok(())
    }

    pub(crate) fn fill(&self, file: FileId, claim: &Claim, bytes: &[u8]) -> Result<()> {
        verify(bytes, self.store_seed, file, claim.page)?;
        let psn = header::psn_in(bytes);
        if !claim.entry.accepts(psn) {
            let what =
                format!("the file holds {psn} of the page, but another was written last: a write was lost");
            return Err(Error::corruption(what).at_file(file).at_page(claim.page));
        }
        load_words(bytes, self.words(claim.frame));
        self.dirty.set_page_lv(claim.frame, &Lv::ZERO);
        Ok(())
    }

    fn finish_load(&self, index: u32, access: &Access<'_>) {
        let frame = self.frame(index);
        let state = if matches!(access, Access::Normal) { FrameState::Hot } else { FrameState::Cool };
        trace::loaded(index, || {
            frame.set_state(state);
            frame.latch.release_exclusive();
        });
        if let Access::Scan(ring) = access {
            ring.remember(index, frame.latch.held_version());
        }
        self.stats.loads.add(1);
    }

    /// Loads those of the pages, ascending, that are absent, neighbours in one read, as far as there are frames. What
    /// cannot be loaded is met again by whoever fixes it.
    pub fn load_together(&self, file: FileId, pages: &[PageNo]) {
        runs(pages).for_each(|run| drop(self.load_run(file, run, &Access::Normal)));
    }

    /// Loads those of a run of pages that are absent, as far as there are frames.
    pub(crate) fn load_run(&self, file: FileId, pages: &[PageNo], access: &Access<'_>) -> Result<()> {
        let open = self.open_file(file)?;
        let mut claims = Vec::with_capacity(pages.len());
        for &page in pages {
            let entry = self.entry(&open, page)?;
            if entry.frame().is_some() {
                continue;
            }
            match self.claim(&open, page, entry, access) {
                Ok(claim) => claims.extend(claim),
                Err(_) => break,
            }
        }
        self.load(&open, &claims, access)
    }
}

/// Lends the thread's aligned buffer.
fn with_buffer<R>(bytes: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Option<AlignedBuf>> = const { RefCell::new(None) };
    }
    let mut buffer = BUFFER.with(RefCell::take).filter(|buffer| buffer.len() >= bytes);
    let lent = buffer.get_or_insert_with(|| AlignedBuf::new(bytes));
    let result = work(&mut lent[..bytes]);
    BUFFER.with(|cell| cell.replace(buffer));
    result
}

/// Parts ascending pages into runs that are worth one read each.
pub(crate) fn runs(pages: &[PageNo]) -> impl Iterator<Item = &[PageNo]> {
    let mut rest = pages;
    core::iter::from_fn(move || {
        let first = rest.first()?.get();
        let apart = |at: usize| {
            let (before, page) = (rest[at - 1].get(), rest[at].get());
            page - before > GAP_PAGES + 1 || page - first >= RUN_PAGES
        };
        let end = (1..rest.len()).find(|&at| apart(at)).unwrap_or(rest.len());
        let (run, others) = rest.split_at(end);
        rest = others;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_at_gaps_and_at_their_length() {
        let pages = [1, 2, 5, 6, 11, 12, 13, 100, 101, 104, 108, 112, 115, 116].map(PageNo::new);
        let found: Vec<Vec<u64>> =
            runs(&pages).map(|run| run.iter().map(|page| page.get()).collect()).collect();
        assert_eq!(
            found,
            [vec![1, 2, 5, 6], vec![11, 12, 13], vec![100, 101, 104, 108, 112, 115], vec![116]]
        );
    }
}
