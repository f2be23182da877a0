//! What the wrapped files of one store share: the bug, where in the run it stands, and the record of calls.

use super::{Call, Mutant, files};
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::checksum;
use aether_vfs::Env;
use std::collections::BTreeMap;
use std::path::Path;

/// Below every lock of the engine, above those of the simulator.
const TRACE: Rank = Rank::new(890, "torture trace");
const OLDER: Rank = Rank::new(891, "torture older pages");

/// Pages as they were before their newest writes, by offset; a restart inherits them.
type Older = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

/// What all wrapped files of one store share.
pub(crate) struct Switch {
    mutant: Option<Mutant>,
    is_restart: bool,
    is_committing: AtomicBool,
    page_writes: AtomicU64,
    has_renamed: AtomicBool,
    older: Older,
    trace: Option<Trace>,
}

/// Calls in the order in which they were made.
struct Trace(Mutex<Vec<Call>>);

impl Switch {
    pub(crate) fn new(mutant: Option<Mutant>, traced: bool) -> Self {
        let trace = traced.then(|| Trace(Mutex::new(TRACE, Vec::new())));
        Self {
            mutant,
            is_restart: false,
            is_committing: AtomicBool::new(false),
            page_writes: AtomicU64::new(0),
            has_renamed: AtomicBool::new(false),
            older: Arc::new(Mutex::new(OLDER, BTreeMap::new())),
            trace,
        }
    }

    /// The same bug after a restart.
    pub(crate) fn restarted(&self) -> Self {
        Self { is_restart: true, older: self.older.clone(), ..Self::new(self.mutant, false) }
    }

    pub(crate) fn set_committing(&self, committing: bool) {
        self.is_committing.store(committing, SeqCst);
    }

    /// Wraps a file system, unless there is neither a bug to plant nor anything to record.
    pub(crate) fn wrap(self: &Arc<Self>, env: Env) -> Env {
        if self.mutant.is_none() && self.trace.is_none() {
            return env;
        }
        Env { vfs: files::wrap(env.vfs.clone(), self.clone()), ..env }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.trace.as_ref().map(|trace| trace.0.lock().clone()).unwrap_or_default()
    }

    pub(super) fn record(&self, what: &'static str, path: &Path, range: (u64, u64), bytes: &[u8]) {
        if let Some(trace) = &self.trace {
            let bytes = if bytes.is_empty() { 0 } else { checksum(0, bytes) };
            trace.0.lock().push(Call { what, path: path.to_path_buf(), range, bytes });
        }
    }

    /// True if this bug is planted and active.
    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant) && (self.is_restart || !mutant.waits_for_restart())
    }

    /// True if the log's syncs are to be skipped now.
    pub(super) fn log_is_late(&self) -> bool {
        let outside_commit = !self.is_committing.load(SeqCst);
        self.is(Mutant::AcknowledgeBeforeFlush) || (self.is(Mutant::PageBeforeLog) && outside_commit)
    }

    pub(super) fn keeps_log_volatile(&self) -> bool {
        self.is(Mutant::AcknowledgeBeforeFlush) || self.is(Mutant::PageBeforeLog)
    }

    /// True for the one page write that is to vanish.
    pub(super) fn loses_page_write(&self) -> bool {
        self.is(Mutant::LoseRedo) && self.page_writes.fetch_add(1, SeqCst) == 1
    }

    pub(super) fn note_rename(&self) {
        self.has_renamed.store(true, SeqCst);
    }

    /// True if this sync of a directory is to be skipped.
    pub(super) fn skips_directory_sync(&self) -> bool {
        let after_rename = self.has_renamed.swap(false, SeqCst);
        self.is(Mutant::ForgetDirectorySync) || (self.is(Mutant::ForgetRename) && after_rename)
    }

    /// Keeps a page that is about to be overwritten, if a restart will want it.
    pub(super) fn keep_older(&self, offset: u64, page: impl FnOnce() -> Vec<u8>) {
        if self.mutant == Some(Mutant::StalePage) && !self.is_restart {
            let page = page();
            if page.iter().any(|byte| *byte != 0) {
                self.older.lock().insert(offset, page);
            }
        }
    }

    /// The older page to serve in the place of one; once for each restart.
    pub(super) fn take_older(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        if !self.is(Mutant::StalePage) || self.page_writes.load(SeqCst) > 0 {
            return None;
        }
        let page = self.older.lock().get(&offset).cloned().filter(|page| page.len() == length)?;
        self.page_writes.fetch_add(1, SeqCst);
        Some(page)
    }
}
