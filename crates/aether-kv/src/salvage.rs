//! Salvage: all that is sound of a damaged home, and a list of what is not. The home is not changed.
//!
//! The home is opened and recovered in memory, over its files; then every keyspace is walked past what cannot be
//! read. A home that cannot be opened is read page by page, without its log.

mod overlay;
mod raw;

use crate::catalog::{CATALOG_ID, DEFAULT_NAME, Entry, decode};
use crate::env::DbEnv;
use crate::lsm::index::txn::recovery::LOCK_NAME;
use crate::lsm::index::{self, BTree, Index, LostRange, Survey};
use crate::options::Options;
use aether_sync::Arc;
use aether_types::{ErrorKind, PageNo, Result};
use aether_vfs::{Env, File, OpenOptions};
use overlay::Overlay;
use std::collections::BTreeSet;
use std::path::Path;

/// What a salvage hands over.
#[derive(Debug)]
pub enum Salvaged<'a> {
    /// The rows that follow are of this keyspace; `tree-N` if its name is lost.
    Keyspace(&'a str),
    /// A row, in the order of keys.
    Row {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// Something that cannot be read.
    Lost(&'a Lost),
}

/// Keys that cannot be read: those from `from` on (none: from the first) and below `to` (none: to the last).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The keyspace, if it is known.
    pub keyspace: Option<String>,
    /// The page that holds them, if it is known.
    pub page: Option<u64>,
    /// The first key that may be lost.
    pub from: Option<Vec<u8>>,
    /// The first key that is not.
    pub to: Option<Vec<u8>>,
    /// What is wrong.
    pub what: String,
}

/// What a salvage came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Rows handed over.
    pub rows: u64,
    /// Ranges of keys, or pages, that cannot be read.
    pub lost: u64,
    /// Why the home could not be opened; then the log was not read: the newest commits may be missing.
    pub unopened: Option<String>,
    /// Rows of an unopened home that a transaction may have been changing, which may not have been committed; none if it
    /// is known that the home was closed cleanly.
    pub doubtful: u64,
}

/// Takes what was found; an error of its own ends the salvage. It must not use the home.
pub type Sink<'s> = dyn FnMut(Salvaged<'_>) -> Result<()> + 's;

impl SalvageReport {
    fn lose(&mut self, lost: Lost, sink: &mut Sink<'_>) -> Result<()> {
        self.lost += 1;
        sink(Salvaged::Lost(&lost))
    }
}

/// Hands everything sound in `home` to `sink`, and every loss. Reads the whole home and writes nothing; blocks.
/// Memory: the options' pool, and what recovery writes, at most about twice the log of a restart.
///
/// # Errors
/// `Locked` if the home is open elsewhere; `NotFound`; `Corruption` if not even the store's id and page size
/// can be found; `Unsupported` for another version; `Io`; those of `sink`.
pub fn salvage(env: &Env, home: &Path, options: Options, sink: &mut Sink<'_>) -> Result<SalvageReport> {
    let _lock = lock(env, home)?;
    let mut report = SalvageReport::default();
    let above = Env { vfs: Arc::new(Overlay::new(env.vfs.clone())), ..env.clone() };
    match DbEnv::open_in(above, home, Options { create: false, background: false, ..options }) {
        Ok(db) => opened(&db, &mut report, sink)?,
        Err(error) if error.kind() == ErrorKind::Corruption => {
            report.unopened = Some(error.to_string());
            raw::salvage(env, home, &mut report, sink)?;
        }
        Err(error) => return Err(error),
    }
    Ok(report)
}

/// Keeps others out, where the lock file can be written.
fn lock(env: &Env, home: &Path) -> Result<Option<Arc<dyn File>>> {
    let path = home.join(LOCK_NAME);
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let Ok(file) = env.vfs.open(&path, options) else { return Ok(None) };
    match file.lock("aether salvage") {
        Err(error) if error.kind() == ErrorKind::Locked => Err(error),
        _ => Ok(Some(file)),
    }
}

fn opened(db: &DbEnv, report: &mut SalvageReport, sink: &mut Sink<'_>) -> Result<()> {
    let txns = &db.0.txns;
    let view = txns.view();
    let mut named = BTreeSet::new();
    let noting = &mut |part: Salvaged<'_>| {
        if let Salvaged::Lost(lost) = &part {
            named.extend(lost.page);
        }
        sink(part)
    };
    let catalog = Catalog::read(db, report, noting)?;
    let names_are_lost = report.lost > 0;
    for (name, entry) in &catalog.keyspaces {
        noting(Salvaged::Keyspace(name))?;
        let rows = match entry.open(&db.0.indexes, txns, name) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                let (page, what) = (None, error.to_string());
                let all = index::Salvaged::Lost(LostRange { page, from: None, to: None, what });
                hand_over(name, all, report, noting)?;
                continue;
            }
            rows => rows?,
        };
        rows.index().salvage(&view, &mut |found| hand_over(name, found, report, noting))?;
    }
    if report.lost == 0 {
        return Ok(());
    }
    // Something is lost: perhaps the names of keyspaces.
    let survey = Survey::new(txns)?;
    for id in survey.trees.difference(&catalog.trees) {
        let name = lost_name(*id);
        noting(Salvaged::Keyspace(&name))?;
        let tree = BTree::open(txns.clone(), PageNo::new(0), *id);
        tree.salvage_leaves(&view, &mut |found| hand_over(&name, found, report, noting))?;
    }
    // Of a keyspace that nobody knows any more these may be all that there was.
    let nameless =
        survey.unread.into_iter().filter(|(page, _)| names_are_lost && !named.contains(&page.get()));
    for (page, what) in nameless {
        report.lose(Lost { keyspace: None, page: Some(page.get()), from: None, to: None, what }, sink)?;
    }
    if names_are_lost {
        let what = "keyspaces in memory, and of LSM trees, that stood in the part of the catalog that is lost: no page tells of their rows";
        let lost = Lost { keyspace: None, page: None, from: None, to: None, what: what.to_owned() };
        report.lose(lost, sink)?;
    }
    Ok(())
}

/// What is left of the catalog.
struct Catalog {
    keyspaces: Vec<(String, Entry)>,
    /// Every tree that is accounted for: the catalog itself, and dropped keyspaces too.
    trees: BTreeSet<u32>,
}

impl Catalog {
    /// What every store has.
    fn new() -> Self {
        let default = Entry::of_default();
        let trees = BTreeSet::from([CATALOG_ID, default.id]);
        Self { keyspaces: vec![(DEFAULT_NAME.to_owned(), default)], trees }
    }

    fn read(db: &DbEnv, report: &mut SalvageReport, sink: &mut Sink<'_>) -> Result<Self> {
        let mut this = Self::new();
        db.0.catalog.tree().salvage(&db.0.txns.view(), &mut |found| match found {
            index::Salvaged::Row(key, value) => {
                this.note(key, value);
                Ok(())
            }
            index::Salvaged::Lost(range) => report.lose(lost("the catalog", range), sink),
        })?;
        Ok(this)
    }

    /// The name that the rows of a tree are handed over under; none for a tree that has none to hand over.
    fn name_of(&self, tree: u32) -> Option<String> {
        match self.keyspaces.iter().find(|(_, entry)| entry.id == tree) {
            Some((name, _)) => Some(name.clone()),
            None => (!self.trees.contains(&tree)).then(|| lost_name(tree)),
        }
    }

    /// Takes note of a row of the catalog.
    fn note(&mut self, key: &[u8], value: &[u8]) {
        let (Some((kind, name)), Ok(entry)) = (key.split_first(), decode::<Entry>(value)) else { return };
        if *kind == b'n' {
            let name = String::from_utf8_lossy(name).into_owned();
            // The keyspace `default` may have been converted.
            self.keyspaces.retain(|(known, _)| *known != name);
            self.keyspaces.push((name, entry));
        }
        if matches!(kind, b'n' | b'd') {
            // Its own tree, the image of a skiplist or the manifest of an LSM tree, has none of its rows as they are.
            self.trees.extend([entry.id, index::resident::tree_id(entry.id)]);
        }
    }
}

/// What a keyspace is called whose name is lost.
fn lost_name(tree: u32) -> String {
    format!("tree-{tree}")
}

fn hand_over(
    keyspace: &str,
    found: index::Salvaged<'_>,
    report: &mut SalvageReport,
    sink: &mut Sink<'_>,
) -> Result<()> {
    match found {
        index::Salvaged::Row(key, value) => {
            report.rows += 1;
            sink(Salvaged::Row { key, value })
        }
        index::Salvaged::Lost(range) => report.lose(lost(keyspace, range), sink),
    }
}

fn lost(keyspace: &str, range: LostRange) -> Lost {
    let LostRange { page, from, to, what } = range;
    Lost { keyspace: Some(keyspace.to_owned()), page: page.map(PageNo::get), from, to, what }
}
