//! The newest version, who reads it, and how it is replaced.

#[cfg(feature = "left-right-lsm")]
use super::LeftRight as Cell;
#[cfg(not(feature = "left-right-lsm"))]
use super::Slots as Cell;
use super::{Edit, Refused, Version};
use crate::trace;
use aether_sync::Arc;
use aether_trace::planted;

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

    /// The newest version. For those who keep it for a while; others have a [`Reader`].
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

    /// A reader, for one thread at a time.
    pub fn reader(self: &Arc<Self>) -> Reader<F> {
        Reader::new(self.clone())
    }
}

/// Lets the runs go that `edit` takes out of `base`.
fn doom<F>(base: &Version<F>, edit: &Edit<F>) {
    let gone = base.runs().filter(|run| edit.removed.contains(&run.id()) && !edit.adds(run));
    gone.for_each(|run| trace::doom(run.id(), || run.doom()));
}

/// Reads the newest version, again and again.
///
/// Between two reads it may keep the version of the first from going, and with it the files of its runs: who rests for long calls
/// [`Reader::rest`].
#[derive(Debug)]
pub struct Reader<F> {
    set: Arc<VersionSet<F>>,
    #[cfg(not(feature = "left-right-lsm"))]
    seen: Option<(u64, Arc<Version<F>>)>,
}

#[cfg(not(feature = "left-right-lsm"))]
impl<F> Reader<F> {
    fn new(set: Arc<VersionSet<F>>) -> Self {
        Self { set, seen: None }
    }

    /// Hands the newest version to `read`. One load, unless there is a newer one than last time.
    pub fn read<R>(&mut self, read: impl FnOnce(&Arc<Version<F>>) -> R) -> R {
        let newest = self.set.cell.number();
        let seen = match self.seen.take() {
            Some(seen) if seen.0 == newest => seen,
            _ => self.set.cell.load(),
        };
        let (_, version) = self.seen.insert(seen);
        read(version)
    }

    /// Lets go of the version that it saw last.
    pub fn rest(&mut self) {
        self.seen = None;
    }
}

#[cfg(feature = "left-right-lsm")]
impl<F> Reader<F> {
    fn new(set: Arc<VersionSet<F>>) -> Self {
        Self { set }
    }

    /// Hands the newest version to `read`, which must not install another one: that would wait for this reader.
    pub fn read<R>(&mut self, read: impl FnOnce(&Arc<Version<F>>) -> R) -> R {
        self.set.cell.read(read)
    }

    /// Lets go of the version that it saw last: it keeps none.
    pub fn rest(&mut self) {}
}
