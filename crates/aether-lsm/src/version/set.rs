//! The newest version, who reads it, and how it is replaced.

#[cfg(not(feature = "left-right-lsm"))]
use super::Copies as Cell;
#[cfg(feature = "left-right-lsm")]
use super::LeftRight as Cell;
use super::{Edit, Refused, Version};
use crate::trace;
use aether_sync::Arc;
use aether_trace::planted;
use core::ops::Deref;

/// The newest version of a tree's level list.
#[derive(Debug)]
pub struct VersionSet<F> {
    cell: Cell<Version<F>>,
}

impl<F> VersionSet<F> {
    /// A set whose newest version is `first`.
    pub fn new(first: Version<F>) -> Self {
        Self { cell: Cell::new(Arc::new(first)) }
    }

    /// The newest version. For those who keep it for a while; others call [`VersionSet::read`].
    pub fn current(&self) -> Arc<Version<F>> {
        self.cell.load().1
    }

    /// The number of the newest version; each install raises it.
    pub fn number(&self) -> u64 {
        self.cell.number()
    }

    /// Makes `edit` part of the newest version, whichever that is by then; the version that has it. The runs that it takes out are deleted when
    /// nobody reads them any more.
    ///
    /// # Errors
    /// Refused if the edit does not fit what others have installed; nothing has changed then.
    pub fn install(&self, edit: &Edit<F>) -> Result<Arc<Version<F>>, Refused> {
        loop {
            let (number, base) = self.cell.load();
            let next = Arc::new(trace::prepare(number, || base.with(edit))?);
            if planted("doom-before-the-install") {
                doom(&base, edit);
            }
            if self.cell.compare_and_set(number, next.clone()).is_ok() {
                // This reference to the version before keeps them for so long.
                doom(&base, edit);
                trace::done(|| ());
                return Ok(next);
            }
        }
    }

    /// The newest version, for those who read it and are done; never waits. Nothing of it is kept for later once a newer one is installed.
    pub fn read(&self) -> Reading<F> {
        #[cfg(not(feature = "left-right-lsm"))]
        let version = self.cell.read();
        // Not in place: who reads runs may block for the disk, and who installs would wait for that.
        #[cfg(feature = "left-right-lsm")]
        let version = self.cell.read(Arc::clone);
        Reading { version }
    }
}

/// Lets the runs go that `edit` takes out of `base`.
fn doom<F>(base: &Version<F>, edit: &Edit<F>) {
    let gone = base.runs().filter(|run| edit.removed.contains(&run.id()) && !edit.adds(run));
    gone.for_each(|run| trace::doom(run.id(), || run.doom()));
}

/// The newest version when [`VersionSet::read`] was called, and its runs' files, for as long as this lives.
#[derive(Debug)]
pub struct Reading<F> {
    #[cfg(not(feature = "left-right-lsm"))]
    #[allow(
        clippy::redundant_allocation,
        reason = "the outer count is the shard's, which few threads share"
    )]
    version: Arc<Arc<Version<F>>>,
    #[cfg(feature = "left-right-lsm")]
    version: Arc<Version<F>>,
}

impl<F> Deref for Reading<F> {
    type Target = Version<F>;

    fn deref(&self) -> &Version<F> {
        &self.version
    }
}
