//! Damaged pages: made anew where that is possible, reported where it is not.
//!
//! A page whose bytes are damaged, or whose last write was lost, is looked for in the double-write area, which
//! has the newest version of every page of the last batch; then whoever knows the log is asked. What they give is
//! sealed, and counts only if it has the PSN that the page must have. It is written to its place, where it can do no
//! more harm than is done already, and synced before anybody uses it. A resident page whose bytes on disk have gone bad is
//! written again from memory by [`Pool::scrub`].

use crate::files::{Content, OpenFile};
use crate::frame::FrameState;
use crate::load::Claim;
use crate::pool::Pool;
use aether_page::{Swip, copy_for_write, header, seal, verify};
use aether_sync::atomic::Ordering::Acquire;
use aether_types::{Error, ErrorKind, FileId, PageNo, Psn, Result};
use aether_vfs::AlignedBuf;

/// Makes pages anew from what was logged. Implemented above, by who can read the log.
pub trait PageSource: Send + Sync + 'static {
    /// Fills `into` with the page as the log has it, sealed; false if the log does not go back to its beginning. Blocks.
    fn rebuild(&self, file: FileId, page: PageNo, into: &mut [u8]) -> bool;
}

/// The source of a pool whose pages nobody logs.
#[derive(Debug)]
pub struct NoSource;

impl PageSource for NoSource {
    fn rebuild(&self, _: FileId, _: PageNo, _: &mut [u8]) -> bool {
        false
    }
}

impl Pool {
    /// Fills a claimed frame with `bytes`, or with what the page should have been.
    pub(crate) fn fill_or_repair(&self, open: &OpenFile, claim: &Claim, bytes: &mut [u8]) -> Result<()> {
        let filled = self.fill(open.id, claim, bytes);
        let Err(error) = filled else { return Ok(()) };
        // Until redo is done, a damaged page may yet begin a new life.
        if error.kind() != ErrorKind::Corruption || !self.redo_is_done.load(Acquire) {
            return Err(error);
        }
        self.repair(open, claim, bytes, error)
    }

    /// Returns `error`, which is what is wrong with the page in its place, if nobody has it.
    fn repair(&self, open: &OpenFile, claim: &Claim, bytes: &mut [u8], error: Error) -> Result<()> {
        let (file, page) = (open.id, claim.page);
        // A copy that cannot be read is none: the log is asked next.
        let copied = self.write_back.lock().copy_of(file, page, bytes).unwrap_or(false);
        let found = (copied && self.fill(file, claim, bytes).is_ok())
            || (self.source.rebuild(file, page, bytes) && self.fill(file, claim, bytes).is_ok());
        if !found {
            return Err(error);
        }
        self.put_back(open, page, bytes)?;
        self.stats.repaired.add(1);
        Ok(())
    }

    /// Writes a repaired page to its place. A store that has failed is not written: then the next load repairs it once more.
    fn put_back(&self, open: &OpenFile, page: PageNo, bytes: &[u8]) -> Result<()> {
        // One writer of pages at a time.
        let _write_back = self.write_back.lock();
        if self.check_healthy().is_err() {
            return Ok(());
        }
        let pages = open.pages()?;
        let written = pages.write(page, bytes).and_then(|()| pages.sync());
        written.inspect_err(|error| self.fail(error))
    }

    /// Reads a page from its file, also if it is resident, and compares it with what it should be; a damaged one is made
    /// anew. A page that is dirty is left alone: it will be written. A block is read and checked. Blocks for the read.
    ///
    /// # Errors
    /// `Corruption` if the page is damaged and nobody has it.
    pub fn scrub(&self, file: FileId, page: PageNo) -> Result<()> {
        let open = self.open_file(file)?;
        if let Content::Blocks(source) = &open.content {
            let mut outcome = Ok(());
            source.read(&[page], &mut |block| outcome = block.map(drop));
            return outcome;
        }
        if !self.is_resident(file, page) {
            // Loading compares.
            return self.shared(file, Swip::new(page)).map(drop);
        }
        let guard = self.shared(file, Swip::new(page))?;
        let is_newer =
            self.dirty.is_dirty(guard.frame) || self.frame(guard.frame).state() == FrameState::Writing;
        if is_newer {
            return Ok(());
        }
        let mut bytes = AlignedBuf::new(self.config.page_size.bytes());
        open.pages()?.read(page, &mut bytes)?;
        let is_same = header::psn_in(&bytes) == header::psn(guard.view());
        if is_same && verify(&bytes, self.store_seed, file, page).is_ok() {
            return Ok(());
        }
        copy_for_write(guard.view(), &mut bytes);
        seal(&mut bytes, self.store_seed);
        self.put_back(&open, page, &bytes)?;
        self.stats.repaired.add(1);
        Ok(())
    }

    /// Gives a page up: it must have `psn`, which nobody has, so every load fails until a new life begins. The rest
    /// stays readable.
    pub fn fence(&self, file: FileId, page: PageNo, psn: Psn) -> Result<()> {
        let open = self.open_file(file)?;
        open.translation.fence(page, psn)?;
        open.psns().iter().try_for_each(|psns| psns.note([(page, psn)].into_iter()))
    }
}
