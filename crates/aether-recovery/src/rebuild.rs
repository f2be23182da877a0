//! Damaged pages made anew from the log that is kept: every change since the last init operation, in order.
//!
//! Whoever asks is about to load the page, so nobody changes it, and all that was written of it is durable in the log.

use crate::control::ControlFile;
use crate::{group, rank};
use aether_page::{PageMut, PageOp, PageType, View, copy_for_write, header, seal};
use aether_sync::word::Word;
use aether_sync::{Arc, Mutex};
use aether_types::{Error, FileId, PageNo, Psn, Reader, Result};
use aether_vfs::Env;
use aether_wal::buffer::PageSource;
use aether_wal::buffer::page as aether_page;
use aether_wal::{Incarnation, Record, Scan, WalConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Reads the log of an open store beside its writers.
pub(crate) struct Rebuild {
    pub(crate) env: Env,
    pub(crate) home: PathBuf,
    pub(crate) config: WalConfig,
    pub(crate) control: Arc<Mutex<ControlFile>>,
    hopeless: Mutex<BTreeSet<(FileId, PageNo)>>,
}

/// Pages remembered as hopeless; reading the whole log for each load of one would be a burden.
const HOPELESS_MAX: usize = 1024;

/// The changes of a page by sequence number.
type Changes = BTreeMap<Psn, Vec<PageOp<'static>>>;

impl Rebuild {
    pub(crate) fn new(env: Env, home: PathBuf, config: WalConfig, control: Arc<Mutex<ControlFile>>) -> Self {
        Self { env, home, config, control, hopeless: Mutex::new(rank::HOPELESS, BTreeSet::new()) }
    }

    /// Every change of the page in the log that is kept. What is being appended meanwhile may be missing: it is of other pages.
    fn changes(&self, file: FileId, page: PageNo) -> Result<Changes> {
        let control = self.control.lock().current().clone();
        let incarnations: Vec<Incarnation> = control.incarnations.iter().map(|each| each.to_wal()).collect();
        let (from, clean_end) = (&control.redo_start, control.clean_end.as_ref());
        let scan =
            Scan::open(&self.env, &self.home, control.store, &self.config, &incarnations, from, clean_end)?;
        let mut changes = Changes::new();
        for stream in scan.streams() {
            scan.for_each(stream, from.get(stream), &mut |record| {
                if record.kind == group::GROUP {
                    gather(&record, control.page_size, (file, page), &mut changes)?;
                }
                Ok(())
            })?;
        }
        Ok(changes)
    }

    fn try_rebuild(&self, file: FileId, page: PageNo, into: &mut [u8]) -> Result<()> {
        let changes = self.changes(file, page)?;
        let begins_life = |ops: &[PageOp<'_>]| ops.first().is_some_and(PageOp::is_init);
        let life = changes.iter().rev().find(|(_, ops)| begins_life(ops)).map(|(psn, _)| *psn);
        let life =
            life.ok_or_else(|| Error::corruption("the log does not hold the beginning of the page"))?;
        let words: Vec<Word> = (0..into.len() / 8).map(|_| Word::new(0)).collect();
        let fresh = PageMut::new(&words);
        header::init(fresh, PageType::Unwritten, file, page, Psn::new(0));
        let mut next = life;
        for (psn, ops) in changes.range(life..) {
            if *psn != next {
                return Err(Error::corruption("a change of the page is missing in the log"));
            }
            for op in ops {
                op.check(View::new(&words))?;
                op.apply(fresh, file, page);
            }
            header::set_psn(fresh, *psn);
            next = psn.next();
        }
        copy_for_write(View::new(&words), into);
        seal(into, self.control.lock().current().store.seed());
        Ok(())
    }
}

/// Adds the part of a group that is of the page.
fn gather(
    record: &Record<'_>,
    page_size: aether_types::PageSize,
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
    reader.finish()
}

impl PageSource for Rebuild {
    fn rebuild(&self, file: FileId, page: PageNo, into: &mut [u8]) -> bool {
        if self.hopeless.lock().contains(&(file, page)) {
            return false;
        }
        // A segment that is truncated under the reader, or a flush that it met half done: look again.
        let rebuilt = (0..3).any(|_| self.try_rebuild(file, page, into).is_ok());
        let mut hopeless = self.hopeless.lock();
        if !rebuilt && hopeless.len() < HOPELESS_MAX {
            hopeless.insert((file, page));
        }
        rebuilt
    }
}
