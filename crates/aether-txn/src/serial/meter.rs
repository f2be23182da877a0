//! Memory of sets under the budget (R1).

use aether_recovery::wal::buffer::Account;

/// What every set may take without being counted: most take less.
const FREE_BYTES: usize = 4 << 10;
/// Beyond that it is charged in steps of so much.
const STEP_BYTES: usize = 16 << 10;

/// What one set has taken from an account; given back when dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    account: Account,
    charged_bytes: usize,
}

impl Meter {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, charged_bytes: 0 }
    }

    /// True if a set of `bytes` stays within the budget; what it needs more is charged.
    #[inline]
    pub(crate) fn covers(&mut self, bytes: usize) -> bool {
        bytes <= FREE_BYTES + self.charged_bytes || self.grow(bytes)
    }

    #[cold]
    fn grow(&mut self, bytes: usize) -> bool {
        let more = (bytes - FREE_BYTES - self.charged_bytes).next_multiple_of(STEP_BYTES);
        let taken = self.account.charge(more as u64).is_ok();
        self.charged_bytes += if taken { more } else { 0 };
        taken
    }

    /// The set is empty, and keeps no more than what is free.
    pub(crate) fn clear(&mut self) {
        self.account.release(core::mem::take(&mut self.charged_bytes) as u64);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_recovery::wal::buffer::Budget;

    #[test]
    fn small_sets_are_free_and_others_are_charged() {
        let budget = Budget::new(2 * STEP_BYTES as u64);
        let mut meter = Meter::new(budget.account("sets"));
        assert!(meter.covers(FREE_BYTES));
        assert_eq!(budget.used_bytes(), 0);
        assert!(meter.covers(FREE_BYTES + 1) && meter.covers(FREE_BYTES + STEP_BYTES));
        assert_eq!(budget.used_bytes(), STEP_BYTES as u64);
        assert!(!meter.covers(FREE_BYTES + 3 * STEP_BYTES));
        assert_eq!(budget.used_bytes(), STEP_BYTES as u64, "nothing was taken");
        drop(meter);
        assert_eq!(budget.used_bytes(), 0);
    }
}
