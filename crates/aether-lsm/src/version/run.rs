//! A run as versions hold it, and what happens when nobody does any more.

use crate::policy::RunShape;
use crate::trace;
use aether_sync::Arc;
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_types::FileId;
use core::fmt;

/// Deletes the file of a run that nobody refers to any more; called once, by whoever let go last. The run's reader is closed by then.
pub type OnLast = Arc<dyn Fn(FileId) + Send + Sync>;

/// A run: its shape, what reads it, and what becomes of its file.
pub struct Run<F> {
    shape: RunShape,
    /// None only while it is dropped.
    file: Option<F>,
    /// Nothing refers to the file from the manifest: it goes with the last reference.
    is_doomed: AtomicBool,
    on_last: OnLast,
}

impl<F> Run<F> {
    /// A run of that shape, read through `file`.
    pub fn new(shape: RunShape, file: F, on_last: OnLast) -> Arc<Self> {
        Arc::new(Self { shape, file: Some(file), is_doomed: AtomicBool::new(false), on_last })
    }

    /// The file, which is its name.
    pub fn id(&self) -> FileId {
        self.shape.id
    }

    /// What policies see of it.
    pub fn shape(&self) -> &RunShape {
        &self.shape
    }

    /// What reads it.
    #[allow(clippy::expect_used, reason = "only `drop` takes it out")]
    pub fn file(&self) -> &F {
        self.file.as_ref().expect("a run that is not dropped has its file")
    }

    /// Lets the file go with the last reference. For runs that an installed edit has taken out, and for those whose maker gives them up.
    pub fn doom(&self) {
        // Release: pairs with the look in `drop`, which the count of references orders behind it anyway.
        self.is_doomed.store(true, Release);
    }
}

impl<F> Drop for Run<F> {
    fn drop(&mut self) {
        drop(self.file.take());
        if self.is_doomed.load(Acquire) {
            trace::delete(self.shape.id, || (self.on_last)(self.shape.id));
        }
    }
}

impl<F> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({:?})", self.shape)
    }
}
