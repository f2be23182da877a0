//! A file system between the engine and the simulator: it plants bugs, and it records what the engine does.
//!
//! A harness that has never caught anything proves nothing. Each [`Mutant`] is a bug that storage engines have had;
//! it is planted from outside, by a file system that lies, so that no engine code knows of it.

use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Result, checksum};
use aether_vfs::{Entry, Env, File, Mode, OpenOptions, Vfs};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Below every lock of the engine, above those of the simulator.
const TRACE: Rank = Rank::new(890, "torture trace");

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The log is written and never made durable: commits are acknowledged before the flush.
    AcknowledgeBeforeFlush,
    /// Directories are never synced.
    ForgetDirectorySync,
    /// Outside of commits the log is made durable later than the pages that depend on it.
    PageBeforeLog,
    /// One page that recovery brought up to date is not written, though the write and its sync succeed.
    LoseRedo,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 4] =
        [Self::AcknowledgeBeforeFlush, Self::ForgetDirectorySync, Self::PageBeforeLog, Self::LoseRedo];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeFlush => "acknowledge-before-flush",
            Self::ForgetDirectorySync => "forget-directory-sync",
            Self::PageBeforeLog => "page-before-log",
            Self::LoseRedo => "lose-redo",
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

/// What a file is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Log,
    Pages,
    Other,
}

impl Role {
    fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        match name.split('-').next() {
            Some("log") => Self::Log,
            Some("pages") => Self::Pages,
            _ => Self::Other,
        }
    }
}

/// What the engine did to its files and directories, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub what: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Offset and length, where there are any.
    pub range: (u64, u64),
    /// A checksum of the bytes written, or 0.
    pub bytes: u64,
}

/// What all wrapped files of one store share.
#[derive(Default)]
pub(crate) struct Switch {
    mutant: Option<Mutant>,
    is_committing: AtomicBool,
    page_writes: AtomicU64,
    trace: Option<Trace>,
}

/// Calls in the order in which they were made.
pub(crate) struct Trace(Mutex<Vec<Call>>);

impl Switch {
    pub(crate) fn new(mutant: Option<Mutant>, traced: bool) -> Self {
        let trace = traced.then(|| Trace(Mutex::new(TRACE, Vec::new())));
        Self { mutant, trace, ..Self::default() }
    }

    pub(crate) fn set_committing(&self, committing: bool) {
        self.is_committing.store(committing, SeqCst);
    }

    /// Wraps a file system, unless there is neither a bug to plant nor anything to record.
    pub(crate) fn wrap(self: &Arc<Self>, env: Env) -> Env {
        if self.mutant.is_none() && self.trace.is_none() {
            return env;
        }
        Env { vfs: Arc::new(Wrapped { inner: env.vfs.clone(), switch: self.clone() }), ..env }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.trace.as_ref().map(|trace| trace.0.lock().clone()).unwrap_or_default()
    }

    fn record(&self, what: &'static str, path: &Path, range: (u64, u64), bytes: &[u8]) {
        if let Some(trace) = &self.trace {
            let bytes = if bytes.is_empty() { 0 } else { checksum(0, bytes) };
            trace.0.lock().push(Call { what, path: path.to_path_buf(), range, bytes });
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// True if the log's syncs are to be skipped now.
    fn log_is_late(&self) -> bool {
        let outside_commit = !self.is_committing.load(SeqCst);
        self.is(Mutant::AcknowledgeBeforeFlush) || (self.is(Mutant::PageBeforeLog) && outside_commit)
    }

    fn keeps_log_volatile(&self) -> bool {
        self.is(Mutant::AcknowledgeBeforeFlush) || self.is(Mutant::PageBeforeLog)
    }

    /// True for the one page write that is to vanish.
    fn loses_page_write(&self) -> bool {
        self.is(Mutant::LoseRedo) && self.page_writes.fetch_add(1, SeqCst) == 1
    }
}

struct Wrapped {
    inner: Arc<dyn Vfs>,
    switch: Arc<Switch>,
}

impl Vfs for Wrapped {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.switch.record("open", path, (0, 0), &[]);
        let role = Role::of(path);
        let volatile = role == Role::Log && self.switch.keeps_log_volatile();
        let durable = options.mode == Mode::DirectDurable;
        let options = if volatile && durable { options.with_mode(Mode::Direct) } else { options };
        let inner = self.inner.open(path, options)?;
        let switch = self.switch.clone();
        Ok(Arc::new(WrappedFile {
            inner,
            path: path.to_path_buf(),
            role,
            durable: volatile && durable,
            switch,
        }))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.switch.record("remove", path, (0, 0), &[]);
        self.inner.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.switch.record("rename", from, (0, 0), to.as_os_str().as_encoded_bytes());
        self.inner.rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.switch.record("create_dir", path, (0, 0), &[]);
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.switch.record("sync_dir", dir, (0, 0), &[]);
        if self.switch.is(Mutant::ForgetDirectorySync) {
            return Ok(());
        }
        self.inner.sync_dir(dir)
    }
}

struct WrappedFile {
    inner: Arc<dyn File>,
    path: PathBuf,
    role: Role,
    /// The engine believes that each write is durable when it returns, and is wrong.
    durable: bool,
    switch: Arc<Switch>,
}

impl File for WrappedFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.switch.record("read", &self.path, (offset, into.len() as u64), &[]);
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.switch.record("write", &self.path, (offset, from.len() as u64), from);
        if self.role == Role::Pages && self.switch.loses_page_write() {
            return Ok(());
        }
        self.inner.write_at(offset, from)?;
        if self.durable && !self.switch.log_is_late() { self.inner.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        self.switch.record("sync", &self.path, (0, 0), &[]);
        if self.role == Role::Log && self.switch.log_is_late() {
            return Ok(());
        }
        self.inner.sync()
    }

    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.switch.record("set_size", &self.path, (0, size), &[]);
        self.inner.set_size(size)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        self.inner.lock(holder)
    }
}

/// Pages that were read again after they had been read or written since the store was opened: each was evicted.
pub fn evictions(calls: &[Call]) -> usize {
    let mut known = BTreeSet::new();
    let mut evictions = 0;
    for call in calls.iter().filter(|call| Role::of(&call.path) == Role::Pages) {
        match call.what {
            "open" => known.clear(),
            "read" if !known.insert(call.range.0) => evictions += 1,
            "write" => drop(known.insert(call.range.0)),
            _ => {}
        }
    }
    evictions
}
