//! Runs of the buffer pool, for `tla/frames`: threads read and change a few pages in fewer frames, and evict and write back
//! beside that.
//!
//! The pool, its files and the references with their hints are the code under test; who reads, changes or evicts
//! which page is decided here. A pool has at least 16 frames: most are held all the time by pages that take no part.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::wal::buffer::page::{PageFile, PageType, Swip, header};
use aether_index::txn::recovery::wal::buffer::{
    Access, Budget, BufferConfig, DoubleWrite, Exclusive, NoGate, NoSource, Pool, PoolParts, Shared,
};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::{act, take};
use aether_types::{FileId, Lsn, Lv, PageNo, PageSize, Psn, Result, StoreId, StreamId};
use aether_vfs::Env;
use std::path::Path;

const HOME: &str = "/home";
const STORE: StoreId = StoreId::new([5; 16]);
const FILE: FileId = FileId::new(1);
const STREAM: StreamId = StreamId::new(0);
const FRAMES: usize = 16;
/// Frames of the pages that take part, as in `trace.cfg`.
const FRAMES_IN_USE: u64 = 4;
/// Pages that take part.
const PAGES: u64 = 7;
/// The page that refers to those that take part.
const PARENT: u64 = PAGES + 1;
const THREADS_MAX: u64 = 4;
/// A page's two words. A page is loaded upwards: who sees the right one new sees also the left one new.
const LEFT: usize = 40;
const RIGHT: usize = 20;
/// Where the parent has its references.
const CHILDREN: usize = 20;

struct World {
    pool: Arc<Pool>,
    /// The frame of the parent, which stays there.
    parent: u32,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a pool on a disk that is sound has all it needs")]
pub fn trace(seed: u64) -> Trace {
    let pool = open(seed).expect("a pool on a sound disk opens");
    // Others have no use for these frames.
    let parent = pool.create(FILE, PageNo::new(PARENT)).expect("a frame is free");
    let parent = refer(parent);
    let others =
        (PARENT + 1..PARENT + FRAMES as u64 - FRAMES_IN_USE).map(|page| pool.create(FILE, PageNo::new(page)));
    let others = others.collect::<Result<Vec<_>>>().expect("frames are free");
    // What has led here is the spec's initial state.
    drop(take());
    let world = Arc::new(World { pool: pool.clone(), parent: parent.optimistic().frame() });
    let mut dice = Dice::new(seed, 0);
    let threads = (1..=2 + dice.below(THREADS_MAX - 1)).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            // That all frames are in use at once ends it.
            let _ = world.work(&mut dice);
        })
    });
    stage::join(threads);
    let told = told::translate(take());
    drop((parent, others));
    told
}

/// A pool whose pages are in their file and nowhere else.
fn open(seed: u64) -> Result<Arc<Pool>> {
    let env = Sim::new(seed).env();
    env.vfs.create_dir(Path::new(HOME))?;
    let path = Path::new(HOME).join("pages");
    let file = Arc::new(PageFile::create(&*env.vfs, &path, STORE, FILE, PageSize::MIN)?);
    let before = pool(&env, &file)?;
    for page in 1..=PAGES {
        let mut guard = before.create(FILE, PageNo::new(page))?;
        header::init(guard.page_mut(), PageType::Slotted, FILE, PageNo::new(page), Psn::new(1));
        [LEFT, RIGHT].iter().for_each(|at| guard.page_mut().put_word(*at, word(page, 0)));
        guard.mark_dirty(STREAM, Lsn::new(1));
    }
    before.flush_all()?;
    pool(&env, &file)
}

fn pool(env: &Env, file: &Arc<PageFile>) -> Result<Arc<Pool>> {
    let config = BufferConfig {
        num_frames: FRAMES,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let double_write = DoubleWrite::open(env, Path::new(HOME), STORE, PageSize::MIN)?;
    let (gate, source, budget) = (Arc::new(NoGate), Arc::new(NoSource), Budget::unlimited());
    let pool = Pool::new(
        config,
        PoolParts { gate, double_write: Some(double_write), source, store: STORE, budget },
    )?;
    pool.add_file(file.clone(), None)?;
    Ok(pool)
}

/// Makes a page refer to those that take part, each said to be in the first of their frames.
fn refer(mut parent: Exclusive<'_>) -> Shared<'_> {
    for page in 1..=PAGES {
        let swip = Swip::new(PageNo::new(page)).with_hint(FRAMES as u32 - FRAMES_IN_USE as u32);
        parent.page_mut().put_word(CHILDREN + page as usize, swip.word());
    }
    parent.downgrade()
}

impl World {
    fn work(&self, dice: &mut Dice) -> Result<()> {
        // One page or two that all want, or many.
        let pages = [1, 2, PAGES][dice.below(3) as usize];
        // All come for the same page at first.
        self.read(1)?;
        for _ in 0..3 + dice.below(4) {
            let page = 1 + dice.below(pages);
            match dice.below(10) {
                0..=2 => self.read(page)?,
                3..=4 => self.write(page)?,
                5 => drop(self.write_back()?),
                6..=7 => drop(self.pool.evict_page(FILE, PageNo::new(page))),
                _ => {
                    self.write_back()?;
                    self.pool.evict_page(FILE, PageNo::new(page));
                }
            }
        }
        Ok(())
    }

    fn write_back(&self) -> Result<usize> {
        self.pool.write_back_below(&Lv::at(STREAM, Lsn::new(u64::MAX)))
    }

    /// Reads a page in the way of an index: hint, page, words, and only then whether all that was true.
    fn read(&self, page: u64) -> Result<()> {
        let parent = self.pool.optimistic(
            FILE,
            Swip::new(PageNo::new(PARENT)).with_hint(self.parent),
            &Access::Normal,
        )?;
        let at = CHILDREN + page as usize;
        let swip = || Swip::from_word(parent.view().word(at));
        let swip = act("Start", swip, |swip| [page, swip.hint().map_or(0, |frame| u64::from(frame) + 1)]);
        let child = self.pool.optimistic(FILE, swip, &Access::Normal)?;
        if swip.hint() != Some(child.frame()) {
            parent.repair_hint(at, swip, child.frame());
        }
        act("ReadLeft", || child.view().word(LEFT), |word| parts(*word));
        act("ReadRight", || child.view().word(RIGHT), |word| parts(*word));
        if child.validate().is_ok() {
            act("Use", || (), |()| []);
        }
        Ok(())
    }

    fn write(&self, page: u64) -> Result<()> {
        let mut guard = self.pool.exclusive(FILE, Swip::new(PageNo::new(page)))?;
        let psn = guard.psn().next();
        let now = guard.view().word(LEFT) + 1;
        let write_left = || {
            guard.mark_dirty(STREAM, Lsn::new(psn.get()));
            guard.page_mut().put_word(LEFT, now);
        };
        act("WriteLeft", write_left, |()| []);
        let write_right = || {
            guard.page_mut().put_word(RIGHT, now);
            guard.stamp(psn, &Lv::ZERO);
        };
        act("WriteRight", write_right, |()| []);
        Ok(())
    }
}

/// A word of a page: which page, and how often it was changed.
fn word(page: u64, changes: u64) -> u64 {
    page << 32 | changes
}

fn parts(word: u64) -> [u64; 2] {
    [word >> 32, word & 0xffff_ffff]
}
