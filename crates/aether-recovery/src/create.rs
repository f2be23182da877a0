//! Creating a store: atomic, with four syncs.
//!
//! The page file and the control file are written whole under names that do not count; the store exists from the
//! moment when `control` has its name. A crash before leaves no store, and the next creation begins afresh.

use crate::active::ActiveTable;
use crate::checkpoint::Checkpoints;
use crate::control::{CONTROL_NAME, CONTROL_NEW_NAME, Control, ControlFile, FIRST_NUMBER};
use crate::file_ids::FileIds;
use crate::identify::pages_path;
use crate::participant::Participants;
use crate::space::Space;
use crate::store::{FIRST_TREE_ROOT, IDS_RESERVED, PAGES_FILE, ROOTS_PAGE, Store, StoreConfig};
use crate::{open::LOCK_NAME, rank};
use aether_page::node::NodeImage;
use aether_page::space_map::{self, PageState};
use aether_page::{PageFile, PageMut, PageOp, PageType, View, copy_for_write, header, seal};
use aether_sync::atomic::AtomicU64;
use aether_sync::word::Word;
use aether_sync::{Arc, Counter, Mutex, OnceLock};
use aether_types::{Error, ErrorKind, FileId, Lv, PageNo, PageSize, Psn, Result, StoreId, Timestamp, TxnId};
use aether_vfs::{AlignedBuf, Entry, Env};
use aether_wal::buffer::page as aether_page;
use aether_wal::buffer::{Budget, DOUBLE_WRITE_NAME, NoGate, NoSource, Pool, PoolParts};
use std::path::{Path, PathBuf};

pub(crate) fn pages_name(file: FileId) -> String {
    format!("pages-{:08x}", file.get())
}

/// True if `home` holds a store.
pub(crate) fn exists(env: &Env, home: &Path) -> Result<bool> {
    match env.vfs.list(home) {
        Ok(entries) => Ok(entries.iter().any(|entry| entry.name == CONTROL_NAME)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a store in `home`, a directory that does not exist, is empty, or holds the rest of a creation that
/// was cut short. The caller holds the lock if the directory exists.
pub(crate) fn create(env: &Env, home: &Path, config: &StoreConfig) -> Result<()> {
    clear_leftovers(env, home)?;
    let mut id = [0; 16];
    env.entropy.fill(&mut id);
    let id = StoreId::new(id);
    let page_size = config.buffer.page_size;
    let file = PageFile::create(&*env.vfs, &pages_path(home), id, PAGES_FILE, page_size)?;
    write_initial_pages(&file, id, page_size, config.initial_trees)?;
    file.sync()?;
    ControlFile::create(env, home, &first_control(id, config))?;
    env.vfs.rename(&home.join(CONTROL_NEW_NAME), &home.join(CONTROL_NAME))?;
    env.vfs.sync_dir(home)?;
    match home.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => env.vfs.sync_dir(parent),
        _ => env.vfs.sync_dir(Path::new(".")),
    }
}

fn first_control(id: StoreId, config: &StoreConfig) -> Control {
    Control {
        number: FIRST_NUMBER,
        features: 0,
        store: id,
        page_size: config.buffer.page_size,
        streams: config.wal.streams as u8,
        redo_start: Lv::ZERO,
        checkpoint: None,
        clean_end: Some(Lv::ZERO),
        txn_floor: TxnId::new(1),
        timestamp_floor: Timestamp::new(1),
        file_floor: FileId::new(PAGES_FILE.get() + 1),
        incarnations: Vec::new(),
    }
}

/// True if a crash has cut the creation short after the control file had its name: the names of a directory reach
/// the disk one by one, so the page file may be missing, or be that of an even earlier attempt. Nothing was ever written
/// to such a store: no incarnation has begun, and no log is there.
pub(crate) fn is_unfinished(env: &Env, home: &Path, control: &Control) -> Result<bool> {
    let written = |entry: &Entry| is_written_later(&entry.name);
    if !control.incarnations.is_empty() || env.vfs.list(home)?.iter().any(written) {
        return Ok(false);
    }
    let path = pages_path(home);
    match PageFile::open(&*env.vfs, &path, control.store, PAGES_FILE, control.page_size) {
        Err(error) => Ok(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corruption)),
        Ok(_) => Ok(false),
    }
}

/// Removes what an unfinished creation left; refuses a directory that holds anything else, before it touches any
/// of it: without its control file a store looks like the rest of a creation, but for its log.
fn clear_leftovers(env: &Env, home: &Path) -> Result<()> {
    let ours = [CONTROL_NAME, CONTROL_NEW_NAME, &pages_name(PAGES_FILE), LOCK_NAME];
    let entries = env.vfs.list(home)?;
    check_is_ours(&entries, &ours, home)?;
    let leftovers = entries.iter().filter(|entry| entry.name != LOCK_NAME);
    leftovers.into_iter().try_for_each(|entry| env.vfs.remove(&home.join(&entry.name)))
}

fn check_is_ours(entries: &[Entry], ours: &[&str], home: &Path) -> Result<()> {
    let Some(other) = entries.iter().find(|entry| !ours.contains(&entry.name.as_str())) else {
        return Ok(());
    };
    if is_part_of_a_store(&other.name) {
        let what = "the store's control file is missing; restore it from a backup, nothing was changed";
        return Err(Error::corruption(what).at_path(&home.join(CONTROL_NAME)));
    }
    let name = &other.name;
    let what = format!(
        "the directory is no store and not empty: it holds `{name}`; give an empty or a new directory"
    );
    Err(Error::invalid(what).at_path(home))
}

fn is_part_of_a_store(name: &str) -> bool {
    name.starts_with("pages-") || is_written_later(name)
}

/// True for what opening makes in a store that was created whole.
fn is_written_later(name: &str) -> bool {
    name == DOUBLE_WRITE_NAME || ["log-", "psns-", "run-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Fails if `home`, which has no control file, holds what cannot be the rest of a creation. Touches nothing.
pub(crate) fn check_creatable(env: &Env, home: &Path) -> Result<()> {
    match env.vfs.list(home) {
        Ok(entries) => check_is_ours(&entries, &[CONTROL_NEW_NAME, &pages_name(PAGES_FILE), LOCK_NAME], home),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The first pages: space map, well-known roots, empty trees.
fn initial_pages(page_size: PageSize, trees: u32) -> Vec<(PageNo, Vec<PageOp<'static>>)> {
    let covered = space_map::entries_per_page(page_size);
    let used = ROOTS_PAGE.get() as usize - 1 + trees as usize;
    let map = PageNo::new(1);
    let mut pages = vec![
        (
            map,
            vec![
                PageOp::MapInit { first: map.offset(1), covered },
                PageOp::MapSet { first: 0, count: used, state: PageState::Used, psn_floor: Psn::new(0) },
            ],
        ),
        (ROOTS_PAGE, vec![PageOp::FixedInit { record_size: 16, owner: 0, link: 0 }]),
    ];
    pages.extend((0..trees).map(|tree| {
        (
            FIRST_TREE_ROOT.offset(u64::from(tree)),
            vec![PageOp::NodeInit(NodeImage::leaf(tree + 1, None, None))],
        )
    }));
    pages
}

/// A page after `ops`, with sequence number 1, sealed.
fn build_page(ops: &[PageOp<'_>], page: PageNo, id: StoreId, page_size: PageSize) -> AlignedBuf {
    let words: Vec<Word> = (0..page_size.words()).map(|_| Word::new(0)).collect();
    header::init(PageMut::new(&words), PageType::Unwritten, PAGES_FILE, page, Psn::new(0));
    ops.iter().for_each(|op| op.apply(PageMut::new(&words), PAGES_FILE, page));
    header::set_psn(PageMut::new(&words), Psn::new(1));
    let mut bytes = AlignedBuf::new(page_size.bytes());
    copy_for_write(View::new(&words), &mut bytes);
    seal(&mut bytes, id.seed());
    bytes
}

fn write_initial_pages(file: &PageFile, id: StoreId, page_size: PageSize, trees: u32) -> Result<()> {
    for (page, ops) in initial_pages(page_size, trees) {
        file.write(page, &build_page(&ops, page, id, page_size))?;
    }
    Ok(())
}

impl Store {
    /// A store without log and home: the pages live in the pool and, if it is too small, in memory behind it.
    /// Mini-transactions work as ever; nothing survives.
    pub fn volatile(config: StoreConfig) -> Result<Arc<Self>> {
        Self::volatile_with(config, |_| Vec::new())
    }

    /// The same, with participants, which are made with the store's memory budget.
    pub fn volatile_with(
        config: StoreConfig,
        participants: impl FnOnce(&Budget) -> Participants,
    ) -> Result<Arc<Self>> {
        let env = Env::memory();
        let id = StoreId::new([7; 16]);
        let page_size = config.buffer.page_size;
        let path = PathBuf::from(pages_name(PAGES_FILE));
        let file = PageFile::create(&*env.vfs, &path, id, PAGES_FILE, page_size)?;
        write_initial_pages(&file, id, page_size, config.initial_trees)?;
        let budget = Budget::new(config.memory_bytes);
        let (gate, source) = (Arc::new(NoGate), Arc::new(NoSource));
        let parts = PoolParts { gate, double_write: None, source, store: id, budget: budget.clone() };
        let pool = Pool::new(config.buffer.clone(), parts)?;
        pool.add_file(Arc::new(file), None)?;
        let space = OnceLock::new();
        let _ = space.set(Space::new(1));
        Ok(Arc::new(Self {
            env,
            id,
            participants: participants(&budget),
            held_back: Counter::new(),
            budget,
            pool,
            durable: None,
            active: ActiveTable::new(),
            space,
            next_txn: AtomicU64::new(1),
            file_ids: FileIds::volatile(),
            streams_for_new: config.wal.streams,
            checkpoints: Checkpoints::new(),
            redo_start: Mutex::new(rank::REDO_START, Lv::ZERO),
            config,
        }))
    }
}

/// The id floors after this open reserved its share.
pub(crate) fn reserve_ids(control: &mut Control) {
    control.txn_floor = TxnId::new(control.txn_floor.get() + IDS_RESERVED);
    control.timestamp_floor = Timestamp::new(control.timestamp_floor.get() + IDS_RESERVED);
}
