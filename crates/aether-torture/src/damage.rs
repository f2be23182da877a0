//! Damage at rest: is every damaged store either read whole, or refused?
//!
//! [`specimen`] makes small stores of several shapes, each once closed cleanly and once stopped in mid-work. [`mod@plan`]
//! lists what can happen to their files at rest ([`harm`]): a flipped bit, a sector or page that was overwritten, swapped,
//! or is that of an older version, a file that was cut, extended, removed; and one write that was lost or misplaced.
//! [`examine`] opens the store after each and reads it in every way there is. Allowed is the right content, or an error for
//! damage that names its place. Wrong or missing rows, a panic, a hang, or memory beyond the size of the files are
//! failures.
//!
//! A cleanly closed store is excused nothing. One that was stopped may show the state before its last commit, if the
//! last flush of the log, which nothing proves, is what was damaged.

pub mod blind;
pub mod crew;
pub mod design;
pub mod examine;
pub mod harm;
mod maker;
pub mod plan;
mod rescue;
pub mod specimen;
pub mod tally;

use crate::oracle::Verdict;
use aether_sync::Arc;
use blind::Blind;
use crew::Crew;
use plan::Plan;
use specimen::Specimen;
use tally::Findings;

/// Cases that the gate plans; about a third of such a sample changes nothing and is not counted.
pub const CI_CASES: u64 = 36_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Stores and samples follow from it.
    pub seed: u64,
    /// About how many cases, spread evenly over stores, files and kinds of harm; none: every one there is.
    pub cases: Option<u64>,
    /// Only the case of this number.
    pub only: Option<u64>,
    /// Threads that examine.
    pub threads: usize,
    /// Failures after which it is enough.
    pub failures: usize,
    /// Only stores whose name begins so.
    pub stores: String,
    /// What the engine is made to overlook.
    pub blind: Option<Blind>,
}

impl Settings {
    /// About `cases` cases that follow from `seed`.
    pub fn new(seed: u64, cases: Option<u64>) -> Self {
        Self { seed, cases, only: None, threads: 2, failures: 1, stores: String::new(), blind: None }
    }
}

/// Makes the stores and examines every case. Blocks; `progress` is called now and then.
///
/// # Errors
/// If a store cannot be made.
pub fn run(settings: &Settings, progress: &mut dyn FnMut(&Findings)) -> Verdict<Findings> {
    Ok(Crew::new(Arc::new(plan(settings)?), settings).work(progress))
}

/// Makes the stores and lists the cases. Blocks.
///
/// # Errors
/// As [`run`].
pub fn plan(settings: &Settings) -> Verdict<Plan> {
    Ok(Plan::new(specimens(settings)?, settings))
}

fn specimens(settings: &Settings) -> Verdict<Vec<Specimen>> {
    let wanted = design::DESIGNS.iter().flat_map(|design| [(design, true), (design, false)]);
    wanted
        .filter(|(design, closed)| design.store_name(*closed).starts_with(&settings.stores))
        .map(|(design, closed)| Specimen::make(design, settings.seed, closed))
        .collect()
}
