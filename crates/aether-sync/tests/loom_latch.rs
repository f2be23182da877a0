//! loom: the latch's fences. Run by `cargo xtask loom -p aether-sync`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_sync::word::{self, Word};
use aether_sync::{Arc, HybridLatch};
use loom::thread;

struct Page {
    latch: HybridLatch,
    words: [Word; 2],
}

fn page() -> Arc<Page> {
    Arc::new(Page { latch: HybridLatch::new(), words: [Word::new(0), Word::new(0)] })
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn write(page: &Page, value: u64) {
    page.words.iter().for_each(|half| word::store(half, value));
}

fn read(page: &Page) -> Option<(u64, u64)> {
    let version = page.latch.version()?;
    let pair = (word::load(&page.words[0]), word::load(&page.words[1]));
    page.latch.validate(version).then_some(pair)
}

#[test]
fn an_optimistic_reader_never_sees_a_torn_page() {
    check(|| {
        let page = page();
        let other = page.clone();
        let writer = thread::spawn(move || {
            for value in 1..=2 {
                if other.latch.try_exclusive() {
                    write(&other, value);
                    other.latch.release_exclusive();
                }
            }
        });
        if let Some((left, right)) = read(&page) {
            assert_eq!(left, right, "torn read");
        }
        writer.join().unwrap();
    });
}

#[test]
fn an_upgrade_admits_one_of_two_writers() {
    check(|| {
        let page = page();
        let other = page.clone();
        let climb = |page: &Page, value| {
            let Some(version) = page.latch.version() else { return false };
            let won = page.latch.try_upgrade(version);
            if won {
                write(page, value);
                page.latch.release_exclusive();
            }
            won
        };
        let rival = thread::spawn(move || climb(&other, 1));
        let mine = climb(&page, 2);
        let theirs = rival.join().unwrap();
        let (left, right) = read(&page).expect("nobody holds it");
        assert_eq!(left, right);
        assert_eq!(left != 0, mine || theirs);
    });
}

#[test]
fn shared_and_exclusive_holders_exclude_each_other() {
    check(|| {
        let page = page();
        let other = page.clone();
        let writer = thread::spawn(move || {
            other.latch.exclusive();
            write(&other, 1);
            other.latch.release_exclusive();
        });
        page.latch.shared();
        assert_eq!(word::load(&page.words[0]), word::load(&page.words[1]));
        page.latch.release_shared();
        writer.join().unwrap();
    });
}

/// The teeth: the same reader against a writer that leaves out the release fence must be caught.
#[test]
#[should_panic(expected = "torn read")]
fn a_writer_without_its_fence_is_caught() {
    use aether_sync::atomic::{AtomicU64, Ordering::*, fence};
    check(|| {
        let latch = Arc::new((AtomicU64::new(0), [Word::new(0), Word::new(0)]));
        let other = latch.clone();
        let writer = thread::spawn(move || {
            for value in 1..=2 {
                let seen = other.0.load(Relaxed);
                other.0.compare_exchange(seen, seen + 1, Acquire, Relaxed).unwrap();
                other.1.iter().for_each(|half| word::store(half, value));
                other.0.store(seen + 2, Release);
            }
        });
        let before = latch.0.load(Acquire);
        let pair = (word::load(&latch.1[0]), word::load(&latch.1[1]));
        fence(Acquire);
        if before & 1 == 0 && latch.0.load(Relaxed) == before {
            assert_eq!(pair.0, pair.1, "torn read");
        }
        writer.join().unwrap();
    });
}
