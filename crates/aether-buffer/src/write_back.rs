//! Write-back: dirty pages to their files in batches, log before data, protected against tearing.
//!
//! For each page, under its shared latch: state to writing, first-dirty moved to `writing`, bytes copied out
//! with hints as 0. Then, without any latch: seal, wait for the log (P1), double-write, write in place in file
//! order, sync. Only that sync, which began after the writes returned, ends `writing` (P5). One batch is under
//! way at a time.

use crate::frame::{FrameState, Resident};
use crate::gate::Durable;
use crate::pool::Pool;
use crate::torn::{BATCH_PAGES, Batch, DoubleWrite};
use crate::trace;
use aether_page::{View, copy_for_write, header, seal};
use aether_trace::planted;
use aether_types::{FileId, Lv, PageNo, PageSize, Psn, Result};

/// The batch under way and its protection.
pub(crate) struct WriteBack {
    batch: Batch,
    frames: Vec<u32>,
    double_write: Option<DoubleWrite>,
    hand: usize,
}

impl WriteBack {
    pub(crate) fn new(page_size: PageSize, double_write: Option<DoubleWrite>) -> Self {
        Self { batch: Batch::new(page_size), frames: Vec::new(), double_write, hand: 0 }
    }

    /// The page as the last batch has it; false if it was not in it.
    pub(crate) fn copy_of(&self, file: FileId, page: PageNo, into: &mut [u8]) -> Result<bool> {
        self.double_write.as_ref().map_or(Ok(false), |area| area.copy_of(file, page, into))
    }
}

impl Pool {
    /// Writes back one batch of COOL pages, so that they can be evicted.
    pub(crate) fn write_back_cool(&self) -> Result<usize> {
        self.write_back(|index| self.frame(index).state() == FrameState::Cool)
    }

    /// Writes back one batch of pages that were first dirtied below `bound`: what holds a checkpoint back.
    /// Returns how many; 0 means that none was found that could be latched. Blocks for the log and the disk.
    pub fn write_back_below(&self, bound: &Lv) -> Result<usize> {
        self.write_back(|index| self.dirty.is_below(index, bound))
    }

    /// Writes back everything that is dirty; blocks until it is durable.
    ///
    /// # Errors
    /// As any write-back: once one has failed, all later ones do.
    pub fn flush_all(&self) -> Result<()> {
        self.check_healthy()?;
        while self.is_any_dirty() {
            if self.write_back(|_| true)? == 0 {
                aether_sync::thread::yield_now();
            }
        }
        // A batch of another thread may still be on its way.
        drop(self.write_back.lock());
        self.check_healthy()
    }

    fn is_any_dirty(&self) -> bool {
        (0..self.config.num_frames as u32).any(|index| self.dirty.is_dirty(index))
    }

    /// The first log position of each stream that some page on disk may not contain yet: the component-wise
    /// minimum over `start` and all frames' first-dirty and `writing` positions (P5). The caller reads the claim
    /// positions into `start` first.
    pub fn redo_start(&self, start: Lv) -> Lv {
        let mut lowest = start;
        (0..self.config.num_frames as u32).for_each(|index| self.dirty.lower(index, &mut lowest));
        lowest
    }

    fn write_back(&self, wanted: impl Fn(u32) -> bool) -> Result<usize> {
        let checks_early = planted("go-on-after-failure") && self.check_healthy().is_ok();
        let mut under_way = self.write_back.lock();
        // Under the lock: once a batch has failed, its copies in the double-write area may be all that is left of pages.
        if !checks_early {
            self.check_healthy()?;
        }
        let this = &mut *under_way;
        self.choose(this, wanted);
        let lv = self.copy_out(this);
        if this.batch.is_empty() {
            return Ok(0);
        }
        let written = trace::log_is_ahead(|| Durable::up_to(&*self.gate, &lv))
            .and_then(|proof| self.write_batch(this, &lv, proof))
            .and_then(|()| self.note_psns(&this.batch));
        if let Err(error) = &written {
            self.fail(error);
        } else {
            for (&index, (_, page, bytes)) in this.frames.iter().zip(this.batch.iter()) {
                trace::clean(page, header::psn_in(bytes), || self.finish_writing(index));
            }
            self.stats.pages_written.add(this.frames.len() as u64);
            self.stats.batches.add(1);
        }
        written.map(|()| this.frames.len())
    }

    /// Chooses dirty frames, in file order so that neighbours go out in one write.
    fn choose(&self, this: &mut WriteBack, wanted: impl Fn(u32) -> bool) {
        let count = self.config.num_frames;
        this.frames.clear();
        let mut passed = 0;
        while passed < count && this.frames.len() < BATCH_PAGES {
            let index = ((this.hand + passed) % count) as u32;
            if self.dirty.is_dirty(index) && wanted(index) {
                this.frames.push(index);
            }
            passed += 1;
        }
        this.hand = (this.hand + passed) % count;
        this.frames.sort_unstable_by_key(|&index| place(self.frame(index).resident()));
    }

    /// Copies the chosen pages that can be latched; returns the join of their vectors.
    fn copy_out(&self, this: &mut WriteBack) -> Lv {
        let mut lv = Lv::ZERO;
        this.batch.clear();
        let batch = &mut this.batch;
        this.frames.retain(|&index| {
            let frame = self.frame(index);
            let is_latched = !planted("copy-beside-a-writer") && frame.latch.try_shared();
            if !is_latched && !planted("copy-beside-a-writer") {
                return false;
            }
            let takes = trace::start_writing(index, || self.start_writing(index));
            if takes {
                let place = place(frame.resident());
                trace::copy_out(index, place.1, || self.copy_page(index, place, batch, &mut lv));
            }
            if is_latched {
                frame.latch.release_shared();
            }
            takes
        });
        batch.seal(|bytes| seal(bytes, self.store_seed));
        lv
    }

    /// Begins to write a page, under its shared latch; false if it is clean.
    fn start_writing(&self, index: u32) -> bool {
        if !self.dirty.is_dirty(index) || !self.frame(index).try_start_writing() {
            return false;
        }
        if planted("clear-before-writing") {
            self.dirty.clear_first_dirty(index);
        }
        self.dirty.start_writing(index);
        true
    }

    /// Copies a page that is to be written, under the same latch, and joins its vector to `lv`; returns its number.
    fn copy_page(&self, index: u32, (file, page): (FileId, PageNo), batch: &mut Batch, lv: &mut Lv) -> Psn {
        self.dirty.clear_first_dirty(index);
        lv.join(&self.dirty.page_lv(index));
        let words = View::new(self.words(index));
        batch.push(file, page, |bytes| copy_for_write(words, bytes));
        header::psn(words)
    }

    /// The only place where data pages are written while the store runs; needs the proof that the log is ahead.
    fn write_batch(&self, this: &mut WriteBack, lv: &Lv, _log_is_ahead: Durable) -> Result<()> {
        if let Some(area) = this.double_write.as_mut().filter(|_| !planted("write-once")) {
            area.protect(&mut this.batch, lv)?;
        }
        for run in this.batch.runs() {
            self.open_file(run.file)?.pages()?.write(run.page, run.bytes)?;
        }
        if planted("clean-when-written") {
            this.frames.drain(..).for_each(|index| self.finish_writing(index));
        }
        let files = self.files.paged();
        let mut touched = files.iter().filter(|file| this.batch.iter().any(|(id, ..)| id == file.id));
        touched.try_for_each(|file| file.pages()?.sync())
    }

    /// Before `writing` ends: who computes a redo start afterwards finds the writes noted.
    fn note_psns(&self, batch: &Batch) -> Result<()> {
        self.files.paged().iter().filter_map(|open| Some((open.id, open.psns()?))).try_for_each(
            |(file, psns)| {
                let own = batch.iter().filter(|(id, ..)| *id == file);
                psns.note(own.map(|(_, page, bytes)| (page, header::psn_in(bytes))))
            },
        )
    }

    fn finish_writing(&self, index: u32) {
        trace::end_writing(index, || {
            self.dirty.end_writing(index);
            self.frame(index).set_state(FrameState::Cool);
        });
    }
}

fn place(resident: Resident) -> (FileId, PageNo) {
    (resident.file(), resident.page())
}
