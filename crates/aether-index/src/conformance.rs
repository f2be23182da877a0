//! A suite for indexes: what every implementor of [`OrderedIndex`] must keep, whatever it is.
//!
//! [`all`] is one call. It takes the factory under test and a [`Disk`], which a caller makes of whatever it can pull the plug of; the
//! simulator of `aether-sim` is one in a few lines. Four parts, each of which can be called alone: [`model`] plays random transactions
//! against a `BTreeMap` and compares everything that can be read; [`together`] lets threads write and scan at once; [`crashing`] cuts the
//! power at many points and expects what was acknowledged; [`long_rows`] fills leaves with one row each. A part that fails panics, and names its seed.

mod concurrent;
mod crash;
mod dice;
mod model;
mod world;

pub use concurrent::together;
pub use crash::crashing;
pub use model::{long_rows, model};
pub use world::{Disk, World};

use crate::traits::IndexFactory;
use aether_sync::Arc;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Random scripts against the model.
    pub scripts: u64,
    /// Operations of a thread that works beside others.
    pub operations: usize,
    /// Points at which the power is cut.
    pub cuts: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { scripts: 24, operations: 1500, cuts: 60 }
    }
}

/// Runs all parts. `disk` makes an empty disk from a seed.
///
/// # Panics
/// If the index breaks a rule.
pub fn all<D: Disk>(factory: Arc<dyn IndexFactory>, effort: Effort, disk: impl Fn(u64) -> D) {
    for seed in 0..effort.scripts {
        model(&factory, seed);
    }
    long_rows(&factory);
    together(&factory, effort.operations);
    for seed in 0..effort.cuts {
        crashing(&factory, seed, &disk);
    }
}
