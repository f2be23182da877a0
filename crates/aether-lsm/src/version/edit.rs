//! Changes of the level list.

use super::{Run, Version};
use crate::policy::Plan;
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{FileId, Timestamp};
use core::fmt;

/// Why an edit was not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// A run that it takes out is not there any more.
    Missing(FileId),
    /// An older version of a key would get before a newer one.
    OutOfOrder,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(id) => write!(f, "run {} is gone", id.get()),
            Self::OutOfOrder => f.write_str("the result would stand on the wrong side of a run"),
        }
    }
}

impl core::error::Error for Refused {}

/// A change of the level list: runs go, and others come in their place.
#[derive(Debug)]
pub struct Edit<F> {
    pub(super) removed: Vec<FileId>,
    pub(super) added: Vec<Arc<Run<F>>>,
    level: usize,
}

impl<F> Edit<F> {
    /// A new run before all others.
    pub fn flush(run: Arc<Run<F>>) -> Self {
        Self { removed: Vec::new(), added: vec![run], level: 0 }
    }

    /// A new run before all others of `level`. It is newer than all that it overlaps: that stands there, or below.
    pub fn ingest(run: Arc<Run<F>>, level: usize) -> Self {
        Self { removed: Vec::new(), added: vec![run], level }
    }

    /// None at all.
    pub fn nothing() -> Self {
        Self { removed: Vec::new(), added: Vec::new(), level: 0 }
    }

    /// All runs of `version` go.
    pub fn clear(version: &Version<F>) -> Self {
        Self { removed: version.runs().map(|run| run.id()).collect(), added: Vec::new(), level: 0 }
    }

    /// A run goes, and nothing comes in its place.
    pub fn take_out(version: &Version<F>, id: FileId) -> Self {
        let has = |runs: &Vec<Arc<Run<F>>>| runs.iter().any(|run| run.id() == id);
        let level = version.levels().iter().position(has).unwrap_or(0);
        Self { removed: vec![id], added: Vec::new(), level }
    }

    /// The outcome of a merge: runs that do not overlap, or none if nothing was left.
    pub fn merge(plan: &Plan, outcome: Vec<Arc<Run<F>>>) -> Self {
        Self { removed: plan.inputs.clone(), added: outcome, level: plan.target }
    }

    /// The runs that come with it.
    pub(crate) fn added(&self) -> &[Arc<Run<F>>] {
        &self.added
    }

    /// True if the run called `id` goes with it.
    pub(crate) fn removes(&self, id: FileId) -> bool {
        self.removed.contains(&id)
    }

    /// True if `run` comes with it.
    pub(super) fn adds(&self, run: &Arc<Run<F>>) -> bool {
        self.added.iter().any(|added| Arc::ptr_eq(added, run))
    }
}

impl<F> Version<F> {
    /// The version after `edit`.
    ///
    /// # Errors
    /// Refused if it does not fit.
    pub fn with(&self, edit: &Edit<F>) -> Result<Self, Refused> {
        if planted("edit-without-looking") {
            return Ok(self.apply(edit));
        }
        let is_there = |id: &FileId| self.runs().any(|run| run.id() == *id);
        if let Some(id) = edit.removed.iter().find(|id| !is_there(id)) {
            return Err(Refused::Missing(*id));
        }
        let shape = self.shape(1, Timestamp::new(0), |_| false);
        if !edit.removed.is_empty() && !shape.fits(&edit.removed, edit.level) {
            return Err(Refused::OutOfOrder);
        }
        if edit.removed.is_empty() && edit.added.iter().any(|run| self.is_above(run, edit.level)) {
            return Err(Refused::OutOfOrder);
        }
        Ok(self.apply(edit))
    }

    /// True if something that a new run overlaps stands above `level`.
    fn is_above(&self, run: &Run<F>, level: usize) -> bool {
        let above = self.levels.iter().take(level).flatten();
        above.into_iter().any(|other| other.shape().range.overlaps(&run.shape().range))
    }

    fn apply(&self, edit: &Edit<F>) -> Self {
        let goes = |run: &Arc<Run<F>>| edit.removed.contains(&run.id());
        let mut levels = self.levels.clone();
        levels.resize_with(levels.len().max(edit.level + 1), Vec::new);
        let target = &levels[edit.level];
        // In the place of the newest that goes, or before all.
        let place = target.iter().position(goes).unwrap_or(0);
        levels.iter_mut().for_each(|level| level.retain(|run| !goes(run)));
        levels[edit.level].splice(place..place, edit.added.iter().cloned());
        let depth = levels.iter().rposition(|level| !level.is_empty()).map_or(0, |bottom| bottom + 1);
        levels.truncate(depth);
        Self::new(levels)
    }
}
