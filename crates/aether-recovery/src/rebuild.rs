//! Damaged pages made anew from the log that is kept: every change since the last init operation, in order.
//!
//! Whoever asks is about to load the page, so nobody changes it, and all that was written of it is durable in the log.

use crate::control::{Control, ControlFile};
use crate::open::open_scan;
use crate::{group, rank};
use aether_page::{PageMut, PageOp, PageType, View, copy_for_write, header, seal};
use aether_sync::word::Word;
use aether_sync::{Arc, Mutex};
use aether_types::{FileId, PageNo, PageSize, Psn, Reader, Result};
use aether_vfs::Env;
use aether_wal::buffer::PageSource;
use aether_wal::buffer::page as aether_page;
use aether_wal::{Record, WalConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Reads the log of an open store beside its writers.
pub(crate) struct Rebuild {
    env: Env,
    home: PathBuf,
    config: WalConfig,
    control: Arc<Mutex<ControlFile>>,
    hopeless: Mutex<Hopeless>,
}

/// Pages whose lives the log does not hold; reading it all for each load of one would be a burden.
#[derive(Default)]
struct Hopeless {
    /// The control block that says which log is kept; what was found in another log does not count.
    control: u64,
    pages: BTreeSet<(FileId, PageNo)>,
}

impl Hopeless {
    /// Pages remembered at the most.
    const PAGES_MAX: usize = 1024;

    fn contains(&mut self, control: u64, page: (FileId, PageNo)) -> bool {
        if self.control != control {
            (self.control, self.pages) = (control, BTreeSet::new());
        }
        self.pages.contains(&page)
    }

    fn insert(&mut self, control: u64, page: (FileId, PageNo)) {
        if self.control == control && self.pages.len() < Self::PAGES_MAX {
            self.pages.insert(page);
        }
    }
}

/// Readings of the log before a rebuild is given up that fails each time.
const ATTEMPTS: usize = 3;

/// The changes of a page by sequence number.
type Changes = BTreeMap<Psn, Vec<PageOp<'static>>>;

impl Rebuild {
    pub(crate) fn new(env: Env, home: PathBuf, config: WalConfig, control: Arc<Mutex<ControlFile>>) -> Self {
        Self { env, home, config, control, hopeless: Mutex::new(rank::HOPELESS, Hopeless::default()) }
    }

    /// Every change of the page in the log that is kept. What is being appended meanwhile may be missing: it is of other pages.
    fn changes(&self, control: &Control, file: FileId, page: PageNo) -> Result<Changes> {
        let scan = open_scan(&self.env, &self.home, &self.config, control)?;
        let mut changes = Changes::new();
        for stream in scan.streams() {
            scan.for_each(stream, control.redo_start.get(stream), &mut |record| {
                if group::is_group(record.kind) {
                    gather(&record, control.page_size, (file, page), &mut changes)?;
                }
                Ok(())
            })?;
        }
        Ok(changes)
    }

    /// False if the log does not hold the page's life: its beginning, or a change, is missing. An error may have been of
    /// the moment.
    fn try_rebuild(&self, control: &Control, file: FileId, page: PageNo, into: &mut [u8]) -> Result<bool> {
        let changes = self.changes(control, file, page)?;
        let begins_life = |ops: &[PageOp<'_>]| ops.first().is_some_and(PageOp::is_init);
        let life = changes.iter().rev().find(|(_, ops)| begins_life(ops)).map(|(psn, _)| *psn);
        let Some(life) = life else { return Ok(false) };
        let words: Vec<Word> = (0..into.len() / 8).map(|_| Word::new(0)).collect();
        let fresh = PageMut::new(&words);
        header::init(fresh, PageType::Unwritten, file, page, Psn::new(0));
        let mut next = life;
        for (psn, ops) in changes.range(life..) {
            if *psn != next {
                return Ok(false);
            }
            for op in ops {
                op.check(View::new(&words))?;
                op.apply(fresh, file, page);
            }
            header::set_psn(fresh, *psn);
            next = psn.next();
        }
        copy_for_write(View::new(&words), into);
        seal(into, control.store.seed());
        Ok(true)
    }
}

/// Adds the part of a group that is of the page.
fn gather(
    record: &Record<'_>,
    page_size: PageSize,
    wanted: (FileId, PageNo),
    changes: &mut Changes,
) -> Result<()> {
    let mut reader = Reader::new(record.body);
    let (_, pages) = group::read_head(&mut reader)?;
    for _ in 0..pages {
        let part = group::read_page(&mut reader, page_size)?;
        if (part.file, part.page) == wanted {
            changes.insert(part.psn, part.ops.into_iter().map(PageOp::into_owned).collect());
        }
    }
    group::skip_rows(&mut reader, record.kind, page_size)?;
    reader.finish()
}

impl PageSource for Rebuild {
    fn rebuild(&self, file: FileId, page: PageNo, into: &mut [u8]) -> bool {
        for _ in 0..ATTEMPTS {
            let control = self.control.lock().current().clone();
            if self.hopeless.lock().contains(control.number, (file, page)) {
                return false;
            }
            match self.try_rebuild(&control, file, page, into) {
                Ok(true) => return true,
                Ok(false) => self.hopeless.lock().insert(control.number, (file, page)),
                // A segment that was truncated under the reader, or a flush that it met half done: look again.
                Err(_) => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{PAGES_FILE, Store, StoreConfig};
    use crate::{FIRST_TREE_ROOT, Opening};
    use aether_sim::{Errno, Fault, OpKind, Sim};
    use aether_types::StreamId;
    use std::path::Path;

    /// A store whose log has begun, and who makes its pages anew.
    fn fixture(sim: &Sim) -> (Arc<Store>, Rebuild) {
        let (env, home, config) = (sim.env(), Path::new("home"), StoreConfig::default());
        let opening = Opening::begin(env.clone(), home, config.clone(), true).unwrap();
        let (store, ..) = opening.scan().unwrap().redo().unwrap().into_parts();
        store.log().unwrap().start().unwrap();
        let control = store.durable.as_ref().unwrap().control.clone();
        (store, Rebuild::new(env, home.to_path_buf(), config.wal, control))
    }

    /// Begins the life of a page that nobody used, durably.
    fn begin_life(store: &Store) -> PageNo {
        let mut mtr = store.mtr(StreamId::new(0), store.group_bytes()).unwrap();
        let slot = mtr.allocate().unwrap();
        let page = mtr.page_no(slot);
        mtr.op(slot, PageOp::FixedInit { record_size: 16, owner: 0, link: 0 }).unwrap();
        let lv = mtr.commit();
        store.log().unwrap().wait_durable(&lv).unwrap();
        page
    }

    /// Whether the page was rebuilt, and how often files were read for that.
    fn attempt(sim: &Sim, rebuild: &Rebuild, page: PageNo) -> (bool, u64) {
        let (before, mut into) = (sim.calls(OpKind::Read), [0; 4096]);
        let rebuilt = rebuild.rebuild(PAGES_FILE, page, &mut into);
        (rebuilt, sim.calls(OpKind::Read) - before)
    }

    #[test]
    fn so_many_pages_are_remembered_and_no_more() {
        let (mut hopeless, page) =
            (Hopeless::default(), |number: usize| (PAGES_FILE, PageNo::new(number as u64)));
        (1..=Hopeless::PAGES_MAX + 1).for_each(|number| hopeless.insert(0, page(number)));
        assert!(hopeless.contains(0, page(Hopeless::PAGES_MAX)));
        assert!(!hopeless.contains(0, page(Hopeless::PAGES_MAX + 1)));
        // What was found in another log does not count, and what is found late is of that.
        assert!(!hopeless.contains(1, page(1)));
        hopeless.insert(0, page(1));
        assert!(!hopeless.contains(1, page(1)));
    }

    /// Such a page was looked for three times, and given up for good, also when it had begun a new life.
    #[test]
    fn a_page_without_a_life_is_looked_for_once_in_each_log() {
        let sim = Sim::new(1);
        let (store, rebuild) = fixture(&sim);
        let lived = begin_life(&store);
        let (rebuilt, of_one_scan) = attempt(&sim, &rebuild, lived);
        assert!(rebuilt && of_one_scan > 0);
        let next = lived.offset(1);
        assert_eq!(attempt(&sim, &rebuild, next), (false, of_one_scan));
        assert_eq!(attempt(&sim, &rebuild, next), (false, 0));
        assert_eq!(attempt(&sim, &rebuild, FIRST_TREE_ROOT), (false, of_one_scan));
        assert_eq!(begin_life(&store), next);
        rebuild.control.lock().update(|_| ()).unwrap();
        assert!(attempt(&sim, &rebuild, next).0, "another log");
    }

    #[test]
    fn an_error_of_the_moment_is_no_verdict() {
        let sim = Sim::new(1);
        let (store, rebuild) = fixture(&sim);
        let page = begin_life(&store);
        sim.inject(Fault::FailRead { nth: 0 });
        assert!(attempt(&sim, &rebuild, page).0);
        let error = Errno::Eio;
        sim.inject(Fault::FailOp { nth: 0, kind: OpKind::Read, error, sticky: true });
        assert!(!attempt(&sim, &rebuild, page).0);
        sim.heal();
        assert!(attempt(&sim, &rebuild, page).0);
    }
}
