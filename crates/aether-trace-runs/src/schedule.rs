//! How threads take turns: under shuttle as a seed says, else as the system does, disturbed at every event.
//!
//! Two threads on two cores hardly ever meet in the few instructions of a race. Whoever is stopped for a moment at the
//! border of an event lets the others pass; now and then for so long that they do something large meanwhile.

use crate::{Run, Trace};
use aether_trace::{Hooks, install};

/// Runs `body` once.
#[cfg(not(shuttle))]
pub fn once(seed: u64, body: Run) -> Trace {
    disturb::begin(seed);
    body(seed)
}

/// Runs `body` once, under the schedule that follows from `seed`.
#[cfg(shuttle)]
pub fn once(seed: u64, body: Run) -> Trace {
    use std::sync::{Arc, Mutex, PoisonError};
    let made = Arc::new(Mutex::new(Trace::default()));
    let result = made.clone();
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 19;
    config.max_steps = shuttle::MaxSteps::None;
    let scheduler = shuttle::scheduler::RandomScheduler::new_from_seed(seed, 1);
    shuttle::Runner::new(scheduler, config).run(move || {
        disturb::begin(seed);
        let trace = body(seed);
        *result.lock().unwrap_or_else(PoisonError::into_inner) = trace;
    });
    std::mem::take(&mut made.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Puts the disturbance around events. Comes first.
pub fn prepare() {
    #[cfg(shuttle)]
    let identity: Option<fn() -> u64> = Some(|| usize::from(shuttle::current::me()) as u64);
    #[cfg(not(shuttle))]
    let identity = None;
    install(Hooks { identity, perturb: disturb::now });
}

mod disturb {
    use crate::Dice;
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Every thread has dice of its own; those of shuttle are one thread to the system.
    static SEED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        static DICE: RefCell<(u64, Dice)> = RefCell::new((0, Dice::new(0, 0)));
    }

    pub(super) fn begin(seed: u64) {
        SEED.store(seed.wrapping_mul(2).wrapping_add(1), Relaxed);
    }

    pub(super) fn now() {
        let chance = DICE.with(|own| {
            let (own_seed, dice) = &mut *own.borrow_mut();
            let seed = SEED.load(Relaxed);
            if *own_seed != seed {
                (*own_seed, *dice) = (seed, Dice::new(seed, 1));
            }
            dice.below(256)
        });
        hesitate(chance);
    }

    /// Turns that a thread lets pass when it stops for long.
    #[cfg(shuttle)]
    const LONG: usize = 400;

    #[cfg(shuttle)]
    fn hesitate(chance: u64) {
        let times = match chance {
            0 => LONG,
            1..96 => 1,
            _ => 0,
        };
        (0..times).for_each(|_| shuttle::thread::yield_now());
    }

    #[cfg(not(shuttle))]
    fn hesitate(chance: u64) {
        match chance {
            0 => std::thread::sleep(std::time::Duration::from_millis(1)),
            1..4 => std::thread::sleep(std::time::Duration::from_micros(chance * 20)),
            4..48 => std::thread::yield_now(),
            48..64 => (0..chance * 20).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }
}
