//! A value file as the runs hold it that name values in it.

use crate::run::RunHome;
use crate::values::{ValueFile, values_name};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicBool, Ordering::*};
use aether_types::{FileId, Result};

/// An open value file; it goes with the last reference once nothing durable names it.
pub(crate) struct HeldValues {
    home: RunHome,
    id: FileId,
    bytes: u64,
    file: Option<Arc<ValueFile>>,
    is_doomed: AtomicBool,
}

impl HeldValues {
    /// Opens the file; `bytes` are those of its values.
    ///
    /// # Errors
    /// As [`ValueFile::open`].
    pub(crate) fn open(home: &RunHome, id: FileId, bytes: u64) -> Result<Arc<Self>> {
        let file = Some(ValueFile::open(home, id)?);
        Ok(Arc::new(Self { home: home.clone(), id, bytes, file, is_doomed: AtomicBool::new(false) }))
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Bytes of all values in it, those that no run names any more among them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn file(&self) -> &Arc<ValueFile> {
        self.file.as_ref().expect("only `drop` takes it out")
    }

    /// Lets the file go with the last reference.
    pub(crate) fn doom(&self) {
        // Release: the count of references orders it before the look in `drop`.
        self.is_doomed.store(true, Release);
    }
}

impl Drop for HeldValues {
    fn drop(&mut self) {
        drop(self.file.take());
        if self.is_doomed.load(Acquire) {
            // What cannot be removed now is a leftover for the next open.
            let _ = self.home.env.vfs.remove(&self.home.dir.join(values_name(self.id)));
        }
    }
}
