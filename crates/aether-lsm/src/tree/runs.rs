//! The runs of a tree: the newest version of their list, how it is edited, and what they say of a key.

use super::config::LsmConfig;
use super::filters::Filters;
use super::manifest::{Listed, Manifest, RunRow};
use super::pending::Pending;
use super::{Live, rank};
use crate::filter::KeyHash;
use crate::policy::{KeyRange, RunShape, Shape};
use crate::run::{Answer, BuildOptions, Kind, Run as RunFile, RunBuilder, RunHome, RunInfo};
use crate::values::ValueFile;
use crate::version::{Claims, Edit, OnLast, Reading, Refused, Run, Version, VersionSet};
use aether_index::resident::{Below, NewestBelow};
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_index::txn::recovery::wal::buffer::page::sync::{Arc, Counter, Mutex, MutexGuard};
use aether_index::txn::{Durability, ReadView, Txn, TxnManager};
use aether_types::{Error, ErrorKind, FileId, Result, Timestamp, TxnId};
use std::collections::{BTreeMap, BTreeSet};

/// The runs of a tree.
pub(super) struct Runs {
    pub(super) home: RunHome,
    pub(super) manifest: Manifest,
    set: Arc<VersionSet<Live>>,
    pub(super) claims: Claims,
    /// Held by who edits the manifest, until the edit is installed.
    editing: Mutex<()>,
    on_last: OnLast,
    pub(super) txns: Arc<TxnManager>,
    pub(super) filters: Filters,
    /// Some run is ingested, and the manifest does not say that everybody sees it. Set by who edits.
    pub(super) has_pending: AtomicBool,
    /// How often the list was looked through for such runs.
    pub(super) looks: Counter,
    /// The tree is no more, and its manifest's pages may be another's. Set under the locks of who flushes, merges and edits.
    is_over: AtomicBool,
}

/// A run that was written, and the value files that its entries name with the bytes there.
pub(super) struct Written {
    pub(super) info: RunInfo,
    pub(super) values: Vec<(Arc<ValueFile>, u64)>,
}

/// An edit, written into a transaction.
struct Prepared {
    txn: Txn,
    /// The value files that nothing names after it.
    gone: Vec<Arc<ValueFile>>,
    /// The runs of which it says that they are open to all.
    stale: Vec<Arc<Run<Live>>>,
}

impl Runs {
    /// Opens all runs that the manifest lists. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` naming the file that is missing, damaged or foreign.
    pub(super) fn open(
        txns: &Arc<TxnManager>,
        manifest: Manifest,
        listed: &Listed,
        config: &LsmConfig,
    ) -> Result<Arc<Self>> {
        let home = RunHome::of(txns.store());
        let (files, filters) = (home.clone(), Filters::new(config, &home));
        let on_last: OnLast = Arc::new(move |file| {
            // What cannot be removed now is a leftover for the next open.
            let _ = files.remove(file);
        });
        let values = listed.values.iter().map(|(file, bytes)| {
            let held = ValueFile::open(&home, *file)?;
            if held.info().value_bytes != *bytes {
                let what = "a value file is not what the manifest says of it";
                return Err(Error::corruption(what).at_file(*file).at_path(&home.values_path(*file)));
            }
            Ok((*file, held))
        });
        let values = values.collect::<Result<BTreeMap<_, _>>>()?;
        let claims = Claims::default();
        let open = |row: &RunRow| {
            let run = RunFile::open(&home, row.info.file)?;
            if *run.info() != row.info {
                let what = "a run is not what the manifest says of it";
                return Err(Error::corruption(what)
                    .at_file(row.info.file)
                    .at_path(&home.path(row.info.file)));
            }
            let held = row.values.iter().map(|(file, bytes)| {
                let missing =
                    || Error::corruption(format!("values of {file}, which the manifest does not list"));
                values.get(file).map(|held| (held.clone(), *bytes)).ok_or_else(missing)
            });
            let pending = Pending::listed(row, &listed.ingested);
            if row.pending.is_some() {
                claims.hold(row.info.file);
            }
            let live = Live { values: held.collect::<Result<_>>()?, run, pending };
            Ok(Run::new(shape(&live), live, on_last.clone()))
        };
        let level = |runs: &Vec<RunRow>| runs.iter().map(open).collect::<Result<Vec<_>>>();
        let levels = listed.levels.iter().map(level).collect::<Result<Vec<_>>>()?;
        let set = Arc::new(VersionSet::new(Version::new(levels)));
        let editing = Mutex::new(rank::EDITING, ());
        let txns = txns.clone();
        let is_over = AtomicBool::new(false);
        let this = Self {
            home,
            manifest,
            set,
            claims,
            editing,
            on_last,
            txns,
            filters,
            has_pending: AtomicBool::new(false),
            looks: Counter::new(),
            is_over,
        };
        this.note_pending();
        Ok(Arc::new(this))
    }

    pub(super) fn set(&self) -> &VersionSet<Live> {
        &self.set
    }

    /// The newest version of the list, for those who read it and are done.
    pub(super) fn read(&self) -> Reading<Live> {
        self.set.read()
    }

    /// The newest version of the list, for those who keep it.
    pub(super) fn current(&self) -> Arc<Version<Live>> {
        self.set.current()
    }

    /// No edit comes after this. Blocks for one that is under way; the caller holds the locks of flushing and merging.
    pub(super) fn end(&self) {
        let _nobody = self.editing.lock();
        self.is_over.store(true, Relaxed);
    }

    /// True if the tree is no more; certain under a lock of who flushes, merges or edits.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// # Errors
    /// `NotFound` if the tree is no more.
    pub(super) fn check_open(&self) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        let what = "the LSM tree is no more: it was dropped, or its creation was rolled back";
        Err(Error::new(ErrorKind::NotFound, what))
    }

    /// Finds out whether there is something to settle, now or later.
    fn note_pending(&self) {
        let any = self.current().runs().any(|run| run.file().is_unsettled());
        self.has_pending.store(any, Relaxed);
    }

    /// What policies will see once the merges under way are done.
    pub(super) fn shape_ahead(&self, unit_bytes: u64) -> Shape {
        self.claims.shape_ahead(&self.set, unit_bytes, self.txns.horizon())
    }

    /// Makes a run that was written ready to be listed. Blocks for reads.
    pub(super) fn take(&self, written: Written) -> Result<Arc<Run<Live>>> {
        self.take_of(written, None)
    }

    /// The same for a run that is there only with the commit of `writer`, and which no merge takes until then.
    pub(super) fn take_of(&self, written: Written, writer: Option<TxnId>) -> Result<Arc<Run<Live>>> {
        let run = RunFile::open(&self.home, written.info.file)?;
        let live = Live { run, values: written.values, pending: writer.map(Pending::new) };
        Ok(Run::new(shape(&live), live, self.on_last.clone()))
    }

    /// Makes an edit durable, then installs it. `also` takes part in its transaction. Blocks for the log. What fails before the
    /// commit changes nothing, and the runs that the edit would have brought are given up; where the commit itself fails, a crash may
    /// still show it, so their files stay: for the next open to list, or to find left over.
    ///
    /// # Errors
    /// Those of pages and of the log; `Conflict` if who made the tree has not committed; `NotFound` if the tree is no more.
    pub(super) fn edit(
        &self,
        edit: &Edit<Live>,
        also: impl FnOnce(&Manifest, &mut Txn) -> Result<()>,
    ) -> Result<()> {
        let _one_at_a_time = self.begin_edit()?;
        self.edit_alone(edit, also)
    }

    /// Lists a run that was ingested, in the level that `level` names for the list as it is then. As [`Runs::edit`].
    pub(super) fn list_ingested(
        &self,
        run: &Arc<Run<Live>>,
        level: impl FnOnce(&Version<Live>) -> usize,
    ) -> Result<()> {
        let _one_at_a_time = self.begin_edit()?;
        let level = level(&self.current());
        self.edit_alone(&Edit::ingest(run.clone(), level), |_, _| Ok(()))
    }

    /// The caller edits, and nobody else.
    fn edit_alone(
        &self,
        edit: &Edit<Live>,
        also: impl FnOnce(&Manifest, &mut Txn) -> Result<()>,
    ) -> Result<()> {
        let old = self.current();
        let prepared = self.prepare(&old, edit, also).inspect_err(|_| self.give_up(&old, edit));
        let Prepared { txn, gone, stale } = prepared?;
        self.manifest.commit(txn, Durability::Sync)?;
        // Nobody else installs anything: what was found to fit fits.
        self.set.install(edit).map_err(refused)?;
        stale.iter().for_each(|run| run.file().note_listed());
        self.note_pending();
        gone.iter().for_each(|held| held.retire());
        Ok(())
    }

    /// Changes what the manifest says besides runs, in a transaction of its own. Blocks for edits, and for the log as `durability` says.
    ///
    /// # Errors
    /// As [`Runs::edit`].
    pub(super) fn change(
        &self,
        durability: Durability,
        change: impl FnOnce(&Manifest, &mut Txn) -> Result<()>,
    ) -> Result<()> {
        let _one_at_a_time = self.begin_edit()?;
        let mut txn = self.manifest.begin();
        change(&self.manifest, &mut txn)?;
        self.manifest.commit(txn, durability)
    }

    /// The manifest's transactions wait for nobody: so they stand in line here.
    fn begin_edit(&self) -> Result<MutexGuard<'_, ()>> {
        let one_at_a_time = self.editing.lock();
        self.check_open()?;
        Ok(one_at_a_time)
    }

    /// Writes an edit into a transaction, and that runs are open to all of which the manifest does not say so.
    fn prepare(
        &self,
        old: &Version<Live>,
        edit: &Edit<Live>,
        also: impl FnOnce(&Manifest, &mut Txn) -> Result<()>,
    ) -> Result<Prepared> {
        let next = old.with(edit).map_err(refused)?;
        let stale: Vec<_> = old.runs().filter(|run| run.file().is_stale()).cloned().collect();
        let mut txn = self.manifest.begin();
        self.manifest.put_levels(&mut txn, old, &next)?;
        self.remove_rows(&mut txn, &stale, old, edit)?;
        let gone = self.edit_values(&mut txn, old, &next)?;
        also(&self.manifest, &mut txn)?;
        Ok(Prepared { txn, gone, stale })
    }

    /// Lets the files go that only the runs name which an edit would have brought.
    fn give_up(&self, old: &Version<Live>, edit: &Edit<Live>) {
        let listed = value_files(old);
        let is_listed = |run: &Arc<Run<Live>>| old.runs().any(|other| other.id() == run.id());
        for run in edit.added().iter().filter(|run| !is_listed(run)) {
            let own = run.file().values.iter().filter(|(held, _)| !listed.contains_key(&held.info().file));
            own.for_each(|(held, _)| held.retire());
            run.doom();
        }
    }

    /// Lists value files that come, and takes those out that no run names any more; returns these.
    fn edit_values(
        &self,
        txn: &mut Txn,
        old: &Version<Live>,
        next: &Version<Live>,
    ) -> Result<Vec<Arc<ValueFile>>> {
        let (before, after) = (value_files(old), value_files(next));
        for (file, held) in after.iter().filter(|(file, _)| !before.contains_key(file)) {
            self.manifest.put_values(txn, *file, held.info().value_bytes)?;
        }
        let gone: Vec<_> = before.into_iter().filter(|(file, _)| !after.contains_key(file)).collect();
        gone.iter().try_for_each(|(file, _)| self.manifest.remove_values(txn, *file))?;
        Ok(gone.into_iter().map(|(_, held)| held).collect())
    }

    /// Entries of all runs.
    pub(super) fn entries(&self) -> u64 {
        self.current().runs().map(|run| run.shape().entries).sum()
    }

    /// A builder for a run of about so many entries.
    pub(super) fn builder(
        &self,
        codec: crate::run::Codec,
        entries: u64,
        is_last: bool,
    ) -> Result<RunBuilder> {
        let others = self.current();
        let filter = self.filters.recipe(entries, others.runs().map(|run| run.shape().entries), is_last);
        RunBuilder::new(&self.home, self.new_file()?, BuildOptions { filter, codec })
    }

    pub(super) fn new_file(&self) -> Result<FileId> {
        self.txns.store().new_file_id()
    }

    /// All files of runs and values.
    pub(super) fn files(&self) -> BTreeSet<FileId> {
        let version = self.current();
        let runs = version.runs().map(|run| run.id());
        runs.chain(value_files(&version).into_keys()).collect()
    }
}

/// The file of values `file`, which a stub of a run names.
///
/// # Errors
/// `Corruption` if no run does.
pub(super) fn values_in(version: &Version<Live>, file: FileId) -> Result<Arc<ValueFile>> {
    let held = version.runs().flat_map(|run| &run.file().values).find(|(held, _)| held.info().file == file);
    let missing = || Error::corruption(format!("a value in {file}, which no run names"));
    held.map(|(held, _)| held.clone()).ok_or_else(missing)
}

fn refused(refused: Refused) -> Error {
    Error::invalid(format!("an edit of the runs: {refused}"))
}

/// The value files that runs name.
pub(super) fn value_files(version: &Version<Live>) -> BTreeMap<FileId, Arc<ValueFile>> {
    let all = version.runs().flat_map(|run| &run.file().values);
    all.map(|(held, _)| (held.info().file, held.clone())).collect()
}

/// What a reader sees of runs.
#[derive(Clone, Copy)]
pub(super) struct Sight<'s> {
    /// The snapshot, for what stands in the runs.
    pub(super) at: Timestamp,
    /// For the runs that not everybody sees. None: there are none.
    pub(super) of: Option<(&'s Manifest, &'s ReadView)>,
}

impl<'s> Sight<'s> {
    /// That of a view.
    pub(super) fn of(runs: &'s Runs, view: &'s ReadView) -> Self {
        Self { at: view.at(), of: Some((&runs.manifest, view)) }
    }

    fn shows(&self, live: &Live) -> Result<bool> {
        self.of.map_or(Ok(true), |(manifest, view)| live.is_seen(manifest, view))
    }
}

/// Asks the runs that may have something to say, the newest first.
pub(super) fn find<'v>(
    version: &'v Version<Live>,
    key: &[u8],
    sight: Sight<'_>,
    out: &mut Vec<u8>,
    asks: impl Fn(&RunInfo) -> bool,
) -> Result<Option<(Answer, &'v Live)>> {
    let mut hash = None;
    for run in version.candidates(key) {
        let (live, run) = (run.file(), &run.file().run);
        // Who does not see a run does not read it, and so is not told that it is damaged.
        if run.info().may_concern(key) && asks(run.info()) && sight.shows(live)? {
            let hash = *hash.get_or_insert_with(|| KeyHash::of(key));
            if let Some(answer) = run.get(key, hash, sight.at, out)? {
                return Ok(Some((answer, live)));
            }
        }
    }
    Ok(None)
}

fn shape(live: &Live) -> RunShape {
    let info = live.run.info();
    RunShape {
        id: info.file,
        bytes: info.bytes,
        entries: info.entries,
        tombstones: info.tombstones,
        range: if info.is_largest_excluded {
            KeyRange::up_to(&info.smallest, &info.largest)
        } else {
            KeyRange::new(&info.smallest, &info.largest)
        },
        newest: info.newest,
        is_merging: false,
    }
}

const NEWEST: Timestamp = Timestamp::new(u64::MAX);

impl Below for Runs {
    fn mark(&self) -> u64 {
        self.set.number()
    }

    fn newest(&self, txn: &Txn, key: &[u8], from: Timestamp) -> Result<Option<NewestBelow>> {
        let version = self.read();
        if let Some(at) = self.ingested_since(&version, txn, key)? {
            return Ok(Some(NewestBelow { at, is_there: true }));
        }
        let sight = Sight { at: NEWEST, ..Sight::of(self, txn.view()) };
        let answer = find(&version, key, sight, &mut Vec::new(), |info| info.newest >= from)?;
        Ok(answer.map(|(answer, _)| NewestBelow {
            at: answer.timestamp,
            is_there: answer.kind != Kind::Tombstone,
        }))
    }
}
