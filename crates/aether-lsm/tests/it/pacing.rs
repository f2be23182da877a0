//! The pacer: debts are bounded at any rates, waits are slices, and who keeps up pays nothing.

use aether_lsm::pacer::{Account, Next, Pacer, PacerConfig, SLICE_BYTES, Work};
use aether_types::Result;
use proptest::prelude::*;
use std::cell::Cell;

const MEMORY: Account = Account { low: 4 << 20, high: 12 << 20 };
const MERGING: Account = Account { low: 8 << 20, high: 64 << 20 };

/// A disk on which each flushed byte makes `price` bytes of merging.
#[derive(Default)]
struct Disk {
    waiting: Cell<u64>,
    owed: Cell<u64>,
    price: u64,
    slice_max: Cell<u64>,
}

impl Disk {
    fn do_slice(&self, of: &Cell<u64>, bytes: u64) -> u64 {
        self.slice_max.set(self.slice_max.get().max(bytes));
        let done = of.get().min(bytes);
        of.set(of.get() - done);
        done
    }
}

impl Work for Disk {
    fn flush(&self, bytes: u64) -> Result<u64> {
        let done = self.do_slice(&self.waiting, bytes);
        self.owed.set(self.owed.get() + done * self.price);
        Ok(done)
    }

    fn merge(&self, bytes: u64) -> Result<u64> {
        Ok(self.do_slice(&self.owed, bytes))
    }
}

fn pacer() -> Pacer {
    Pacer::new(PacerConfig { flush_from: MEMORY.low, memory: MEMORY, merging: MERGING })
}

/// One write, and then what the background has time for.
fn turn(pacer: &Pacer, disk: &Disk, written: u64, background: u64) -> u64 {
    disk.waiting.set(disk.waiting.get() + written);
    pacer.reckon(disk.owed.get(), disk.price);
    let paid = pacer.write(written, disk).unwrap();
    let mut left = background;
    while let Some(next) = pacer.next().filter(|_| left > 0) {
        let bytes = left.min(SLICE_BYTES);
        let done = if next == Next::Flush { disk.flush(bytes) } else { disk.merge(bytes) }.unwrap();
        pacer.done(next, done);
        pacer.reckon(disk.owed.get(), disk.price);
        left -= done.max(1).min(left);
    }
    paid.flushed + paid.merged
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn debts_are_bounded_at_any_rates(
        price in 1..12_u64,
        rounds in prop::collection::vec((1..(64_u64 << 10), 0..(256_u64 << 10), 1..400_usize), 1..12),
    ) {
        let (pacer, disk) = (pacer(), Disk { price, ..Disk::default() });
        for (written, background, times) in rounds {
            for _ in 0..times {
                let paid = turn(&pacer, &disk, written, background);
                // Twice what it adds to memory and to merging at the very most, and the crumbs of others.
                prop_assert!(paid <= 2 * written * (1 + price) + 2 * SLICE_BYTES, "{paid} for {written}");
                let memory_max = MEMORY.high + written + SLICE_BYTES;
                prop_assert!(disk.waiting.get() <= memory_max, "{} in memory", disk.waiting.get());
                let owed_max = 2 * MERGING.high - MERGING.low + 2 * price * (written + SLICE_BYTES);
                prop_assert!(disk.owed.get() <= owed_max, "{} owed", disk.owed.get());
                prop_assert_eq!(pacer.debts().0, disk.waiting.get());
            }
        }
        prop_assert!(disk.slice_max.get() <= SLICE_BYTES);
    }

    #[test]
    fn who_writes_no_faster_than_the_background_works_pays_nothing(
        price in 1..12_u64,
        writes in prop::collection::vec(1..(64_u64 << 10), 1..400),
    ) {
        let (pacer, disk) = (pacer(), Disk { price, ..Disk::default() });
        for written in writes {
            prop_assert_eq!(turn(&pacer, &disk, written, written * (1 + price) + SLICE_BYTES), 0);
        }
    }
}

/// What had waited in memory was flushed by the background beside writes of one byte, which pay next to nothing: the debt grew to three
/// times its bound. The first property failed for this once in a hundred runs.
#[test]
fn the_background_does_not_flush_into_a_debt_at_its_bound() {
    let (pacer, disk) = (pacer(), Disk { price: 11, ..Disk::default() });
    for (written, background, times) in [(13327, 0, 287), (53592, 0, 324), (1, 22224, 3150)] {
        for _ in 0..times {
            turn(&pacer, &disk, written, background);
            let owed_max = 2 * MERGING.high - MERGING.low + 2 * 11 * (written + SLICE_BYTES);
            assert!(disk.owed.get() <= owed_max, "{} owed", disk.owed.get());
        }
    }
}

/// The property above failed once in a dozen runs, and not only for these: the write itself counted as owed before the background had had a
/// chance, so writes of 64 KiB paid a slice each 64 times.
#[test]
fn a_write_does_not_pay_for_what_it_adds_itself() {
    let (pacer, disk) = (pacer(), Disk { price: 1, ..Disk::default() });
    let written = (64 << 10) - 1;
    let paid: u64 = (0..400).map(|_| turn(&pacer, &disk, written, 2 * written + SLICE_BYTES)).sum();
    assert_eq!(paid, 0);
}

#[test]
fn without_any_background_writers_do_all_of_it_and_the_debt_settles() {
    let (pacer, disk) = (pacer(), Disk { price: 8, ..Disk::default() });
    let mut paid = 0;
    for _ in 0..20_000 {
        paid += turn(&pacer, &disk, 4096, 0);
    }
    let added = 20_000 * 4096 * 9;
    assert!(disk.waiting.get() <= MEMORY.high + SLICE_BYTES, "{}", disk.waiting.get());
    assert!(disk.owed.get() <= MERGING.high + SLICE_BYTES, "{}", disk.owed.get());
    assert_eq!(paid + 9 * disk.waiting.get() + disk.owed.get(), added);
}

#[test]
fn a_debt_that_jumps_is_paid_off() {
    let (pacer, disk) = (pacer(), Disk { price: 4, ..Disk::default() });
    // As after a switch to a policy that has everything merged.
    disk.owed.set(1 << 30);
    for _ in 0..60_000 {
        turn(&pacer, &disk, 8192, 0);
    }
    assert!(disk.owed.get() <= MERGING.high + SLICE_BYTES, "{}", disk.owed.get());
}

#[test]
fn work_that_is_not_there_is_not_waited_for() {
    let pacer = pacer();
    pacer.reckon(MERGING.high, 4);
    let paid = pacer.write(1 << 20, &Disk::default()).unwrap();
    assert_eq!(paid.merged + paid.flushed, 0);
}

/// Each put woke a thread that found nothing to do: those at work had all of it.
#[test]
fn a_slice_of_writes_is_a_reason_to_look_and_so_is_a_memtable() {
    let look_after = |flush_from: u64, written: u64| {
        let memory = Account::new(flush_from, 3 * flush_from);
        let pacer = Pacer::new(PacerConfig { flush_from, memory, merging: MERGING });
        let looks = |_: &u64| pacer.write(written, &Disk::default()).unwrap().is_time_to_look;
        (1..=2000_u64).filter(looks).collect::<Vec<_>>()
    };
    assert_eq!(look_after(4 << 20, 64), [512, 1024, 1536]);
    assert_eq!(look_after(6400, 64).len(), 20);
    assert_eq!(look_after(6400, 64)[0], 100);
}
