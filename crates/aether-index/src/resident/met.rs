//! The sequence numbers of a stripe that redo has met: they come in about their order, and none may be missing.

use aether_txn::recovery::{psn_count, psn_life};
use aether_types::{Error, Psn, Result};
use std::collections::BTreeMap;

/// Runs of numbers that follow each other: the first of each, with the last.
#[derive(Default)]
pub(super) struct Met(BTreeMap<u64, u64>);

impl Met {
    /// Notes a number; false if it was there.
    pub(super) fn add(&mut self, psn: Psn) -> bool {
        let number = psn.get();
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((_, last)) if last >= number => return false,
            Some((first, last)) if last + 1 == number => first,
            _ => number,
        };
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        self.0.insert(first, last);
        true
    }

    /// Behind `known`, up to which what is missing may be known by other means, every open's numbers must count from 1 and leave
    /// none out.
    ///
    /// # Errors
    /// `Corruption`.
    pub(super) fn check(&self, known: Psn) -> Result<()> {
        self.0.keys().filter(|first| **first > known.get() + 1).try_for_each(|first| {
            let first = Psn::new(*first);
            let (life, count) = (psn_life(first), psn_count(first));
            match count {
                1 => Ok(()),
                _ => Err(Error::corruption(format!("the changes before {count} of open {life} are missing"))),
            }
        })
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn met(numbers: &[u64]) -> Met {
        let mut met = Met::default();
        assert!(numbers.iter().all(|number| met.add(Psn::new(*number))));
        met
    }

    #[test]
    fn numbers_come_in_any_order_and_each_once() {
        let mut all = met(&[3, 1, 2, 6, 5, 4]);
        assert_eq!(all.0.len(), 1);
        assert!((1..7).all(|number| !all.add(Psn::new(number))));
        all.check(Psn::new(0)).unwrap();
    }

    #[test]
    fn a_gap_is_found_and_the_next_open_counts_from_one() {
        const LIFE: u64 = 1 << 36;
        met(&[1, 2, LIFE + 1, LIFE + 2, 5 * LIFE + 1]).check(Psn::new(0)).unwrap();
        assert!(met(&[1, 3]).check(Psn::new(0)).is_err());
        assert!(met(&[2]).check(Psn::new(0)).is_err());
        assert!(met(&[1, LIFE + 2]).check(Psn::new(0)).is_err());
        let known = Psn::new(LIFE + 4);
        met(&[3, LIFE + 2, LIFE + 5, LIFE + 6, 2 * LIFE + 1]).check(known).unwrap();
        assert!(met(&[LIFE + 6]).check(known).is_err());
        assert!(met(&[LIFE + 5, 2 * LIFE + 2]).check(known).is_err());
        assert!(met(&[LIFE + 1, LIFE + 3, LIFE + 4]).check(Psn::new(0)).is_err());
    }
}
