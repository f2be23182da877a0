//! A home in numbers, and its check.

use crate::catalog::Entry;
use crate::env::{DbEnv, Inner};
use crate::lsm::index::IndexCheck;
use crate::lsm::index::txn::ReadView;
use crate::lsm::tree::LsmStat;
use aether_types::{ErrorKind, Result};

/// A home in numbers.
#[derive(Clone, Debug, Default)]
pub struct Stat {
    /// Bytes of a page.
    pub page_size: usize,
    /// Pages that the space map covers.
    pub pages: u64,
    /// Free pages among them.
    pub free_pages: u64,
    /// Frames of the pool.
    pub frames: usize,
    /// Frames without a page.
    pub free_frames: usize,
    /// Frames whose page is newer than its file.
    pub dirty_frames: usize,
    /// HOT frames.
    pub hot: usize,
    /// COOL frames.
    pub cool: usize,
    /// Pages read from the file since the home was opened.
    pub pages_read: u64,
    /// Pages written to the file since the home was opened.
    pub pages_written: u64,
    /// Damaged pages made anew since the home was opened.
    pub pages_repaired: u64,
    /// Pages evicted since the home was opened.
    pub evictions: u64,
    /// The memory budget in bytes.
    pub memory_limit: u64,
    /// Bytes in use, by account.
    pub memory: Vec<(String, u64)>,
    /// Bytes of log that a restart now would read.
    pub log_bytes_since_checkpoint: u64,
    /// Bytes beside that log that a restart reads for keyspaces in memory.
    pub image_bytes: u64,
    /// Checkpoints since the home was opened.
    pub checkpoints: u64,
    /// The log.
    pub log: LogStat,
    /// Transactions committed that had changed something.
    pub commits: u64,
    /// Transactions rolled back.
    pub aborts: u64,
    /// Transactions not forgotten yet.
    pub active_txns: usize,
    /// The timestamp of the oldest snapshot held.
    pub oldest_snapshot: Option<u64>,
    /// For how long it has been held, short by the time of a few commits.
    pub oldest_snapshot_age: Option<std::time::Duration>,
    /// Bytes of old versions kept for snapshots.
    pub pinned_bytes: u64,
    /// Every keyspace.
    pub keyspaces: Vec<KeyspaceStat>,
}

/// The log since the home was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStat {
    /// Bytes appended.
    pub appended_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Bytes flushed, padding included.
    pub flushed_bytes: u64,
    /// Segments in use.
    pub segments: u64,
}

/// A keyspace in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceStat {
    /// The name.
    pub name: String,
    /// The kind of index.
    pub kind: String,
    /// The id.
    pub id: u32,
    /// Why it cannot be opened or read, if that is so; what was not read from it is 0.
    pub error: Option<String>,
    /// Bytes of log that a restart reads for its rows in memory, with what others have logged in between. A keyspace that cannot be
    /// opened keeps that log until it is dropped or restored.
    pub log_bytes: u64,
    /// Levels, leaves included.
    pub height: u32,
    /// Leaves.
    pub leaf_pages: u64,
    /// Rows, if asked for by [`DbEnv::stat_full`].
    pub entries: Option<u64>,
    /// The LSM tree, of a keyspace that is one.
    pub lsm: Option<LsmStat>,
}

/// What a check of a home found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Pages of all keyspaces.
    pub pages: u64,
    /// Rows of all keyspaces.
    pub entries: u64,
    /// Keyspaces.
    pub keyspaces: u64,
    /// Broken rules, each with its place; empty: sound.
    pub problems: Vec<String>,
}

impl DbEnv {
    /// The home in numbers; reads inner pages, blocks for them.
    pub fn stat(&self) -> Result<Stat> {
        self.stat_with(false)
    }

    /// As [`DbEnv::stat`], with the number of rows; reads every page.
    pub fn stat_full(&self) -> Result<Stat> {
        self.stat_with(true)
    }

    fn stat_with(&self, full: bool) -> Result<Stat> {
        let store = &self.0.store;
        let (pool, space, txns) = (store.pool().stats(), store.space_stats()?, self.0.txns.stats());
        let checkpoints = store.checkpoint_stats();
        let log = store.log().map(|log| log.stats()).map(|log| LogStat {
            appended_bytes: log.appended_bytes,
            flushes: log.flushes,
            flushed_bytes: log.flushed_bytes,
            segments: log.segments,
        });
        let budget = store.budget();
        // Held to the end: what it shows is not freed meanwhile.
        let view = self.0.txns.view();
        let all = self.0.catalog.list(&view)?;
        Ok(Stat {
            page_size: store.page_size().bytes(),
            pages: space.pages,
            free_pages: space.free_pages,
            frames: pool.frames,
            free_frames: pool.free,
            dirty_frames: pool.dirty,
            hot: pool.hot,
            cool: pool.cool,
            pages_read: pool.loads,
            pages_written: pool.pages_written,
            pages_repaired: pool.repaired,
            evictions: pool.evictions,
            memory_limit: budget.limit_bytes(),
            memory: budget.usage().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect(),
            log_bytes_since_checkpoint: checkpoints.log_bytes,
            image_bytes: checkpoints.image_bytes,
            checkpoints: checkpoints.checkpoints,
            log: log.unwrap_or_default(),
            commits: txns.commits,
            aborts: txns.aborts,
            active_txns: txns.known,
            oldest_snapshot: txns.oldest_snapshot.map(|at| at.get()),
            oldest_snapshot_age: txns.oldest_snapshot_age,
            pinned_bytes: txns.pinned_bytes,
            keyspaces: all
                .iter()
                .map(|(name, entry)| self.keyspace_stat(name, entry, full))
                .collect::<Result<_>>()?,
        })
    }

    fn keyspace_stat(&self, name: &str, entry: &Entry, full: bool) -> Result<KeyspaceStat> {
        let mut stat = KeyspaceStat {
            name: name.to_owned(),
            kind: self.0.indexes.name(entry.kind()),
            id: entry.id,
            log_bytes: self.0.indexes.log_bytes(&self.0.store, entry.id)?,
            ..KeyspaceStat::default()
        };
        match self.read_stat(&mut stat, entry, full) {
            Err(error) if error.kind() == ErrorKind::Corruption => stat.error = Some(error.to_string()),
            read => read?,
        }
        Ok(stat)
    }

    /// What must be read from the keyspace.
    fn read_stat(&self, stat: &mut KeyspaceStat, entry: &Entry, full: bool) -> Result<()> {
        let rows = entry.open(&self.0.indexes, &self.0.txns, &stat.name)?;
        let index = rows.index();
        let shape = index.shape()?;
        (stat.height, stat.leaf_pages) = (shape.height, shape.leaf_pages);
        stat.lsm = self.0.indexes.lsm(entry.id).map(|tree| tree.stat());
        if full {
            stat.entries = Some(index.check(&self.0.txns.view())?.entries);
        }
        Ok(())
    }

    /// Checks every page of every keyspace: bytes on disk, layout, order, fences, levels, large values, space map. Blocks
    /// for reads; others may read and write meanwhile. A damaged page is repaired where that is possible; what is
    /// repaired is no problem any more, and counted by [`Stat::pages_repaired`]. Dropped keyspaces that nobody can read are freed first,
    /// and those that cannot be freed are problems too.
    ///
    /// # Errors
    /// `Io`; what is broken is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.0.free_garbage();
        let mut report = VerifyReport::default();
        let mut pages = Vec::new();
        // One view for all: it keeps what it shows from being freed.
        let view = self.0.txns.view();
        let all = self.0.catalog.list(&view)?;
        note("the catalog", self.0.catalog.tree().check(&view)?, &mut report, &mut pages);
        for (name, entry) in &all {
            match self.check_keyspace(name, entry, &view) {
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    let log = self.0.keeps_log(entry);
                    report.problems.push(format!("keyspace `{name}`{log}, cannot be opened: {error}"));
                }
                found => note(&format!("keyspace `{name}`"), found?, &mut report, &mut pages),
            }
        }
        report.keyspaces = all.len() as u64;
        report.problems.extend(self.0.garbage_problems());
        pages.sort_unstable();
        let twice = pages.windows(2).filter(|pair| pair[0] == pair[1]);
        report.problems.extend(twice.map(|pair| format!("{}: in use by two values", pair[0])));
        Ok(report)
    }

    fn check_keyspace(&self, name: &str, entry: &Entry, view: &ReadView) -> Result<IndexCheck> {
        entry.open(&self.0.indexes, &self.0.txns, name)?.index().check(view)
    }
}

impl Inner {
    /// For a report on a keyspace that cannot be opened: that it keeps log.
    fn keeps_log(&self, entry: &Entry) -> String {
        match self.indexes.log_bytes(&self.store, entry.id) {
            Ok(bytes) if bytes > 0 => format!(", for which {bytes} bytes of log are kept"),
            _ => String::new(),
        }
    }
}

fn note(of: &str, found: IndexCheck, report: &mut VerifyReport, pages: &mut Vec<aether_types::PageNo>) {
    report.pages += found.nodes + found.value_pages.len() as u64;
    report.entries += found.entries;
    report.problems.extend(found.problems.into_iter().map(|what| format!("{of}, {what}")));
    pages.extend(found.value_pages);
}
