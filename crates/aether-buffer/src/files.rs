//! The files whose pages a pool holds: page files, which it reads and writes, and files of blocks, which somebody else
//! reads and nobody writes any more.

use crate::budget::{Budget, Charge};
use crate::frame::{FrameState, Resident};
use crate::pool::Pool;
use crate::psn_table::PsnTable;
use crate::rank;
use crate::translation::Translation;
use aether_page::PageFile;
use aether_sync::{Arc, OnceLock, RwLock};
use aether_types::{Error, ErrorKind, FileId, PageNo, Result};
use std::collections::BTreeMap;

/// The blocks of a file that never changes: its pages, as the pool sees it. Implemented above, by who knows the format.
///
/// A block has at most a page's bytes less [`BLOCK_OVERHEAD_BYTES`]. In its frame it stands behind a page header of type
/// [`Block`](aether_page::PageType::Block), with zeros behind it and its length in the last word.
pub trait BlockSource: Send + Sync + 'static {
    /// Reads the blocks called `pages`, which ascend, and hands out each in this order: its bytes, checked, or why there
    /// are none. Blocks; called with nothing held but the frames that are to be filled.
    fn read(&self, pages: &[PageNo], each: &mut dyn FnMut(Result<&[u8]>));
}

/// What a page has less for a block than it has bytes: its header, and the word with the block's length.
pub const BLOCK_OVERHEAD_BYTES: usize = aether_page::header::HEADER_BYTES + 8;

/// Where the pages of a file come from.
pub(crate) enum Content {
    Pages { pages: Arc<PageFile>, psns: Option<PsnTable>, _psns_memory: Charge },
    Blocks(Arc<dyn BlockSource>),
}

/// A file, and where its pages are.
pub(crate) struct OpenFile {
    pub(crate) id: FileId,
    pub(crate) content: Content,
    pub(crate) translation: Translation,
}

impl OpenFile {
    /// The page file, if it is one.
    pub(crate) fn pages(&self) -> Result<&Arc<PageFile>> {
        match &self.content {
            Content::Pages { pages, .. } => Ok(pages),
            Content::Blocks(_) => {
                Err(Error::corruption("a file of blocks where a page file is needed").at_file(self.id))
            }
        }
    }

    pub(crate) fn psns(&self) -> Option<&PsnTable> {
        match &self.content {
            Content::Pages { psns, .. } => psns.as_ref(),
            Content::Blocks(_) => None,
        }
    }
}

/// All files of a pool.
pub(crate) struct Files {
    /// The first page file: nearly every fix of a tree is in it.
    main: OnceLock<Arc<OpenFile>>,
    all: RwLock<BTreeMap<FileId, Arc<OpenFile>>>,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { main: OnceLock::new(), all: RwLock::new(rank::FILES, BTreeMap::new()) }
    }

    pub(crate) fn find(&self, id: FileId) -> Option<Arc<OpenFile>> {
        if let Some(main) = self.main.get().filter(|main| main.id == id) {
            return Some(main.clone());
        }
        self.all.read().get(&id).cloned()
    }

    /// The page files.
    pub(crate) fn paged(&self) -> Vec<Arc<OpenFile>> {
        let files = self.all.read();
        files.values().filter(|open| matches!(open.content, Content::Pages { .. })).cloned().collect()
    }

    fn add(&self, open: OpenFile) -> Result<()> {
        let mut files = self.all.write();
        if files.contains_key(&open.id) {
            let what = format!("{} is a file of the pool already", open.id);
            return Err(Error::new(ErrorKind::AlreadyExists, what));
        }
        let open = Arc::new(open);
        if matches!(open.content, Content::Pages { .. }) {
            self.main.get_or_init(|| open.clone());
        }
        files.insert(open.id, open);
        Ok(())
    }
}

impl Pool {
    /// Adds a page file, with its PSN table unless it is volatile.
    ///
    /// # Errors
    /// `OverLimit` if the budget has no memory for its tables; `AlreadyExists`.
    pub fn add_file(&self, pages: Arc<PageFile>, psns: Option<PsnTable>) -> Result<()> {
        let bytes = psns.as_ref().map_or(0, |_| PsnTable::MEMORY_BYTES);
        let psns_memory = Charge::new(self.budget.account("PSN tables"), bytes)?;
        let translation = Translation::new(self.budget.account("translation arrays"))?;
        let id = pages.id();
        let content = Content::Pages { pages, psns, _psns_memory: psns_memory };
        self.files.add(OpenFile { id, content, translation })
    }

    /// Adds a file of blocks, whose page numbers are below `end`. It is read through `source`, and never written.
    ///
    /// # Errors
    /// `OverLimit` if the budget has no memory for its table; `AlreadyExists`.
    pub fn add_blocks(&self, id: FileId, end: u64, source: Arc<dyn BlockSource>) -> Result<()> {
        let translation = Translation::up_to(end, self.budget.account("translation arrays"))?;
        self.files.add(OpenFile { id, content: Content::Blocks(source), translation })
    }

    /// Takes a file of blocks away and frees its frames; never blocks. Nobody can fix a page of it any more. A frame that
    /// somebody still holds, or is about to fill, stays as it is until the clock finds it: its file's id is never that of
    /// another.
    pub fn remove_blocks(&self, id: FileId) {
        let removed = {
            let mut files = self.files.all.write();
            let is_blocks = files.get(&id).is_some_and(|open| matches!(open.content, Content::Blocks(_)));
            if is_blocks { files.remove(&id) } else { None }
        };
        if let Some(open) = removed {
            open.translation
                .for_each_resident(|page, frame| self.free_removed(Resident::new(id, page), frame));
        }
    }

    /// Frees a frame of a file that was taken away, if the page is still in it and nobody holds it.
    fn free_removed(&self, was: Resident, index: u32) {
        let frame = self.frame(index);
        if !frame.latch.try_exclusive() {
            return;
        }
        if frame.resident() != was || frame.state() == FrameState::Loading {
            return frame.latch.release_exclusive_unchanged();
        }
        frame.set_state(FrameState::Loading);
        self.give_back(index);
    }

    /// The memory budget that the pool's memory is part of.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The page file called `id`.
    pub fn file(&self, id: FileId) -> Result<Arc<PageFile>> {
        Ok(self.open_file(id)?.pages()?.clone())
    }

    pub(crate) fn open_file(&self, id: FileId) -> Result<Arc<OpenFile>> {
        let unknown = || Error::corruption(format!("a reference to {id}, which is not part of the store"));
        self.files.find(id).ok_or_else(unknown)
    }

    /// How many page numbers below the end of a file of blocks have a frame now. For tests and tools.
    pub fn resident_pages(&self, id: FileId) -> u64 {
        let mut count = 0;
        if let Ok(open) = self.open_file(id) {
            open.translation.for_each_resident(|_: PageNo, _| count += 1);
        }
        count
    }
}
