//! loom: a swip's resolution against the reuse of its frame. Run by `cargo xtask loom -p aether-buffer`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_buffer::{Frame, Resident};
use aether_sync::word::{self, Word};
use aether_sync::{Arc, Version};
use aether_types::{FileId, PageNo};
use loom::thread;

struct Slot {
    frame: Frame,
    data: Word,
}

fn page(number: u64) -> Resident {
    Resident::new(FileId::new(1), PageNo::new(number))
}

/// A frame that holds page `number`, whose only word says so.
fn slot(number: u64) -> Arc<Slot> {
    let slot = Slot { frame: Frame::new(), data: Word::new(number) };
    slot.frame.set_resident(page(number));
    Arc::new(slot)
}

/// Eviction of one page and loading of another into its frame.
fn reuse(slot: &Slot, number: u64) {
    slot.frame.latch.exclusive();
    slot.frame.set_resident(page(number));
    word::store(&slot.data, number);
    slot.frame.latch.release_exclusive();
}

fn check(resolve: impl Fn(&Frame, Resident) -> Option<Version> + Copy + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let slot = slot(1);
        let other = slot.clone();
        let evictor = thread::spawn(move || {
            reuse(&other, 2);
            reuse(&other, 1);
        });
        if let Some(version) = resolve(&slot.frame, page(1)) {
            let seen = word::load(&slot.data);
            if slot.frame.latch.validate(version) {
                assert_eq!(seen, 1, "another page was accepted");
            }
        }
        evictor.join().unwrap();
    });
}

#[test]
fn a_validated_page_is_the_wanted_one() {
    check(|frame, wanted| frame.resolve(wanted));
}

/// The teeth: page number first, version second accepts a frame that was reused in between.
#[test]
#[should_panic(expected = "another page was accepted")]
fn the_number_before_the_version_is_caught() {
    check(|frame, wanted| (frame.resident() == wanted).then(|| frame.latch.version()).flatten());
}

/// A hint is repaired by compare-and-set from the very word that was read, under the holder's shared latch: a
/// writer's new reference is never overwritten by an older one.
#[test]
fn a_repaired_hint_never_undoes_a_new_reference() {
    use std::sync::atomic::Ordering::{AcqRel, Relaxed};
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let holder = slot(7);
        let other = holder.clone();
        let writer = thread::spawn(move || reuse(&other, 9));
        if let Some(version) = holder.frame.latch.version() {
            let seen = word::load(&holder.data);
            if holder.frame.latch.try_shared() {
                if holder.frame.latch.validate(version) {
                    let _ = holder.data.compare_exchange(seen, seen | 1 << 40, AcqRel, Relaxed);
                }
                holder.frame.latch.release_shared();
            }
        }
        writer.join().unwrap();
        assert_eq!(word::load(&holder.data) & 0xff, 9);
    });
}
