//! Runs of a value in two copies, for `tla/left_right`: threads read it and replace it.

use crate::version_install::told;
use crate::{Dice, Trace, stage};
use aether_lsm::version::LeftRight;
use aether_sync::Arc;
use aether_trace::{act, take};

const THREADS_MAX: u64 = 4;
/// At most, of one thread; the spec's values have room for them all.
const TURNS: u64 = 6;

/// A run and what it told.
pub fn trace(seed: u64) -> Trace {
    let cell = Arc::new(LeftRight::new(Arc::new(0)));
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let threads = (1..=2 + dice.below(THREADS_MAX - 1)).map(|number| {
        let (cell, mut dice) = (cell.clone(), Dice::new(seed, number));
        stage::worker(number, move || (0..1 + dice.below(TURNS)).for_each(|_| work(&cell, &mut dice)))
    });
    stage::join(threads);
    told::translate(take())
}

/// Reads, and replaces what it has read now and then.
fn work(cell: &LeftRight<u64>, dice: &mut Dice) {
    // What was read is told as the last thing before leaving.
    let number = cell.read(|value| act("LeaveSide", || **value, |value| [*value]));
    if dice.once_in(3) {
        // Another may have been faster.
        let _ = cell.compare_and_set(number, Arc::new(number + 1));
    }
}
