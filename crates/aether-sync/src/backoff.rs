//! Waiting a little before asking again.

/// Spins a few rounds, then yields. Under the schedule checkers every round yields.
#[derive(Default)]
pub struct Backoff(u32);

impl Backoff {
    const SPINS: u32 = 6;

    /// Starts afresh.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Waits one round; may yield the processor.
    pub fn wait(&mut self) {
        if cfg!(any(loom, shuttle, miri)) || self.0 >= Self::SPINS {
            crate::thread::yield_now();
        } else {
            (0..1u32 << self.0).for_each(|_| core::hint::spin_loop());
            self.0 += 1;
        }
    }

    /// True once spinning has had its chance and the caller may as well sleep.
    pub fn is_spent(&self) -> bool {
        self.0 >= Self::SPINS
    }
}
