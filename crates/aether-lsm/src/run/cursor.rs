//! A cursor over a run: every version, both ways, holding no latch between steps.
//!
//! A run never changes, so a position is a block and a place in it, and stays true. The cursor copies a window of entries at a
//! time, and gives out what it copied.

use super::block::{Data, Index, Window};
use super::read::Run;
use super::version::Entry;
use aether_index::txn::recovery::wal::buffer::page::Swip;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::{Access, ScanRing};
use aether_types::{PageNo, Result};

/// Blocks that a cursor has loaded ahead of it.
const AHEAD: usize = 8;
/// The same for a scan that is known to be long: the more blocks to a read, the fewer reads.
const SCAN_AHEAD: usize = 32;

/// A position among the entries of a run: at one of them, or at neither end's beyond.
pub struct RunCursor {
    run: Arc<Run>,
    ring: Option<Arc<ScanRing>>,
    /// Blocks to be loaded ahead, if there is a ring.
    ahead: usize,
    at: At,
    window: Window,
    /// Places of the entry: item in the window, window in the block, block in its chain, entry in the index block, index block.
    item: usize,
    window_no: usize,
    windows: usize,
    follower: u64,
    following: u64,
    first: Swip,
    entry: usize,
    entries: usize,
    leaf: usize,
    /// Bytes of the file before the window; kept by scans alone.
    passed_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Before,
    Entry,
    Behind,
}

/// Which end of a block, or of what is above it, is entered.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

impl RunCursor {
    /// A cursor before the first entry.
    pub fn new(run: Arc<Run>) -> Self {
        Self {
            run,
            ring: None,
            ahead: AHEAD,
            at: At::Before,
            window: Window::default(),
            item: 0,
            window_no: 0,
            windows: 0,
            follower: 0,
            following: 0,
            first: Swip::new(PageNo::new(0)),
            entry: 0,
            entries: 0,
            leaf: 0,
            passed_bytes: 0,
        }
    }

    /// The same for a long way forward: blocks are loaded ahead, into a few frames that are used again.
    pub fn scan(run: Arc<Run>) -> Self {
        let ring = run.scan_ring();
        let ahead = SCAN_AHEAD.min(ring.ahead_max()).max(2);
        Self { ring: Some(ring), ahead, ..Self::new(run) }
    }

    /// From now on blocks are loaded ahead into the frames of `ring`, or not any more.
    pub(crate) fn read_ahead(&mut self, ring: Option<Arc<ScanRing>>) {
        self.ring = ring;
    }

    /// The run.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// About how many bytes of the file a scan has behind it: all of them at its end.
    pub(crate) fn passed_bytes(&self) -> u64 {
        if self.at == At::Behind { self.run.info().bytes } else { self.passed_bytes }
    }

    /// The entry it stands at; none before the first and behind the last one.
    pub fn entry(&self) -> Option<Entry<'_>> {
        if self.at == At::Entry { self.window.entry(self.item) } else { None }
    }

    /// Goes to the first entry.
    pub fn first(&mut self) -> Result<()> {
        self.end(End::First)
    }

    /// Goes to the last entry.
    pub fn last(&mut self) -> Result<()> {
        self.end(End::Last)
    }

    /// Goes to the newest version of the first key at or above `key`; behind the last entry if there is none. Blocks for reads.
    ///
    /// # Errors
    /// As [`Run::get`]; then the cursor stands before the first entry.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.place(key)?;
        self.settle()
    }

    /// Goes to the newest version of the first key above `key`; behind the last entry if there is none. Blocks for reads.
    ///
    /// # Errors
    /// As [`RunCursor::seek`].
    pub fn seek_behind(&mut self, key: &[u8]) -> Result<()> {
        self.seek(key)?;
        while self.entry().is_some_and(|entry| entry.key == key) {
            self.item = self.window.behind(key);
            self.settle()?;
        }
        Ok(())
    }

    /// Goes to the oldest version of the last key at or below `key`; before the first entry if there is none. Blocks for reads.
    ///
    /// # Errors
    /// As [`RunCursor::seek`].
    pub fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        self.place(key)?;
        while self.entry().is_some_and(|entry| entry.key == key) {
            self.item = self.window.behind(key);
            // Blocks of other keys are not read.
            let goes_on = self.window_no + 1 < self.windows || self.follower < self.following;
            if self.item == self.window.len() && goes_on {
                self.settle()?;
            }
        }
        self.back()
    }

    /// Goes to the oldest version of the last key below `key`; before the first entry if there is none. Blocks for reads.
    ///
    /// # Errors
    /// As [`RunCursor::seek`].
    pub fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        self.place(key)?;
        self.back()
    }

    /// Goes to where the newest version of `key` is or would be, which may be right behind the last item of a window.
    fn place(&mut self, key: &[u8]) -> Result<()> {
        self.at = At::Before;
        let Some(partition) = self.run.top.find(key) else {
            self.at = At::Behind;
            return Ok(());
        };
        self.leaf = self.run.top.leaf_of(partition);
        self.enter_leaf(|index| index.find(key))?;
        self.enter_block(|data| data.window_of(key))?;
        self.item = self.window.seek(key);
        if self.item == self.window.len() && self.window_no + 1 == self.windows && self.following > 0 {
            // What follows has versions of the last key of this block alone.
            self.enter_chain(End::Last)?;
            self.item = self.window.len();
        }
        self.at = At::Entry;
        Ok(())
    }

    /// True if the entry before, as far as it is known without reading, is of another key.
    pub(crate) fn is_newest(&self) -> bool {
        match self.item.checked_sub(1) {
            Some(before) => {
                let key = |item| self.window.entry(item).map(|entry| entry.key);
                key(before) != key(self.item)
            }
            // The first version in a block that goes on with no other is the newest of its key.
            None => self.window_no == 0 && self.follower == 0,
        }
    }

    /// Goes to the next entry: an older version of the same key, or the newest of the next one.
    ///
    /// # Errors
    /// As [`RunCursor::seek`].
    pub fn forward(&mut self) -> Result<()> {
        match self.at {
            At::Before => self.first(),
            At::Behind => Ok(()),
            At::Entry => {
                self.item += 1;
                self.settle()
            }
        }
    }

    /// Goes to the entry before.
    ///
    /// # Errors
    /// As [`RunCursor::seek`].
    pub fn back(&mut self) -> Result<()> {
        match self.at {
            At::Before => return Ok(()),
            At::Behind => return self.last(),
            At::Entry => {}
        }
        if self.item > 0 {
            self.item -= 1;
            return Ok(());
        }
        let entered = self.previous_window();
        match entered {
            Ok(true) => {
                self.item = self.window.len() - 1;
                Ok(())
            }
            Ok(false) => {
                self.at = At::Before;
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    /// Goes on to the next window if the item is behind the last one of this.
    #[inline]
    fn settle(&mut self) -> Result<()> {
        if self.at != At::Entry || self.item < self.window.len() {
            return Ok(());
        }
        match self.next_window() {
            Ok(true) => {
                self.item = 0;
                Ok(())
            }
            Ok(false) => {
                self.at = At::Behind;
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: aether_types::Error) -> Result<()> {
        self.at = At::Before;
        Err(error)
    }

    fn end(&mut self, end: End) -> Result<()> {
        self.at = At::Before;
        let leaves = self.run.top.leaves().len();
        if leaves == 0 {
            self.at = match end {
                End::First => At::Behind,
                End::Last => At::Before,
            };
            return Ok(());
        }
        self.leaf = match end {
            End::First => 0,
            End::Last => leaves - 1,
        };
        self.enter_leaf(|index| end.of(index.len()))?;
        self.enter_chain(end)?;
        self.item = end.of(self.window.len());
        self.at = At::Entry;
        Ok(())
    }

    /// Copies the next window, wherever it is; false if there is none.
    fn next_window(&mut self) -> Result<bool> {
        if self.window_no + 1 < self.windows {
            self.window_no += 1;
            return self.copy_window().map(|()| true);
        }
        if self.follower < self.following {
            self.follower += 1;
            return self.enter_block(|_| 0).map(|()| true);
        }
        if self.entry + 1 < self.entries {
            let next = self.entry + 1;
            self.enter_leaf(|_| next)?;
        } else if self.leaf + 1 < self.run.top.leaves().len() {
            self.leaf += 1;
            self.enter_leaf(|_| 0)?;
        } else {
            return Ok(false);
        }
        self.enter_chain(End::First).map(|()| true)
    }

    /// The same for the window before.
    fn previous_window(&mut self) -> Result<bool> {
        if self.window_no > 0 {
            self.window_no -= 1;
            return self.copy_window().map(|()| true);
        }
        if self.follower > 0 {
            self.follower -= 1;
            return self.enter_block(|data| data.windows() - 1).map(|()| true);
        }
        if self.entry > 0 {
            let before = self.entry - 1;
            self.enter_leaf(|_| before)?;
        } else if self.leaf > 0 {
            self.leaf -= 1;
            self.enter_leaf(|index| index.len() - 1)?;
        } else {
            return Ok(false);
        }
        self.enter_chain(End::Last).map(|()| true)
    }

    /// Reads what the index block says of one entry: the first block, and how many follow.
    fn enter_leaf(&mut self, choose: impl Fn(&Index<'_>) -> usize) -> Result<()> {
        let run = self.run.clone();
        let reference = run.top.leaf(self.leaf).expect("the index blocks are counted");
        let wants_more = self.ring.is_some();
        let ahead_max = self.ahead;
        let mut ahead = [PageNo::new(0); SCAN_AHEAD];
        let read = run.read(
            reference.swip().page(),
            || run.fix_known(reference),
            |_, view| {
                let index = Index::open(view)?;
                let entry = choose(&index);
                let next = entry + 1..(entry + 1 + ahead_max).min(index.len());
                let count = if wants_more && entry.is_multiple_of(ahead_max / 2) { next.len() } else { 0 };
                next.zip(&mut ahead).take(count).for_each(|(entry, page)| *page = index.swip(entry).page());
                Some((entry, index.len(), index.swip(entry), index.following(entry), count))
            },
        );
        let (entry, entries, first, following, count) = read?;
        (self.entry, self.entries, self.first, self.following) = (entry, entries, first, following);
        self.follower = 0;
        if let Some(ring) = &self.ring {
            run.home.pool.prefetch(run.info().file, ahead[..count].iter().copied(), ring);
        }
        Ok(())
    }

    /// Enters the blocks of the index entry that was read, at one end.
    fn enter_chain(&mut self, end: End) -> Result<()> {
        if let End::Last = end {
            self.follower = self.following;
        }
        self.enter_block(|data| end.of(data.windows()))
    }

    /// Enters a block, at the window that `choose` says.
    fn enter_block(&mut self, choose: impl Fn(&Data<'_>) -> usize) -> Result<()> {
        self.copy(|data| {
            let window = choose(data);
            (window, data.windows())
        })
    }

    /// Copies a window of the block that it is in.
    fn copy_window(&mut self) -> Result<()> {
        let place = (self.window_no, self.windows);
        self.copy(|_| place)
    }

    fn copy(&mut self, choose: impl Fn(&Data<'_>) -> (usize, usize)) -> Result<()> {
        let swip = match self.follower {
            0 => self.first,
            number => Swip::new(self.first.page().offset(number)),
        };
        let access = self.ring.as_ref().map_or(Access::Normal, Access::Scan);
        let window = &mut self.window;
        let read = self.run.read(
            swip.page(),
            || self.run.fix(swip, &access),
            |_, view| {
                let data = Data::open(view)?;
                let (number, windows) = choose(&data);
                data.read(number, window)?;
                Some((number, windows))
            },
        );
        (self.window_no, self.windows) = read?;
        if self.ring.is_some() {
            self.passed_bytes = self.bytes_before(swip.page());
        }
        Ok(())
    }

    /// Bytes of the file before the window, which is in the block `page`.
    fn bytes_before(&self, page: PageNo) -> u64 {
        let Some(block) = self.run.file.places().of(page) else { return 0 };
        let (part, whole) = (self.window_no as u64, self.windows.max(1) as u64);
        block.start + (block.end - block.start) * part / whole
    }
}

impl End {
    /// The first or the last of so many.
    fn of(self, count: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Last => count.saturating_sub(1),
        }
    }
}
