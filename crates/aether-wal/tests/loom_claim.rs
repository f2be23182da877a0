//! loom: claim, fill and publish on a tiny ring. Run by `cargo xtask loom -p aether-wal`.
#![cfg(loom)]

use aether_sync::Arc;
use aether_wal::ring::{Ring, Shape};
use loom::thread;

/// Blocks of four words; the flusher's claims take at most a pad and a start record of two words.
const BLOCK: u64 = 32;
const START: u64 = 16;
const SHAPE: Shape = Shape { size: 4 * BLOCK, block: BLOCK, slack: 2 * BLOCK };
const RECORD: u64 = 16;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn ring() -> Arc<Ring> {
    let ring = Ring::new(0, SHAPE);
    ring.raise_ready(1 << 20, 1 << 20);
    Arc::new(ring)
}

/// What every word holds that was filled: its position, marked.
fn filled(at: u64) -> u64 {
    at << 8 | 1
}

fn store(ring: &Ring, from: u64, to: u64) {
    (from..to).step_by(8).for_each(|at| ring.store(at, filled(at)));
}

fn put(ring: &Ring, from: u64, to: u64) {
    store(ring, from, to);
    ring.mark_filled(from, to);
}

/// Appends a record if there is room. Never waits: two waiting threads would wake each other for ever here.
fn append(ring: &Ring) -> bool {
    let reserved = ring.try_reserve(RECORD, false).is_ok();
    if reserved {
        let at = ring.claim(RECORD);
        put(ring, at, at + RECORD);
    }
    reserved
}

/// One group: what is copied out must be what was filled at exactly these positions.
fn flush(ring: &Ring) -> u64 {
    let from = ring.durable();
    let Some(boundary) = ring.claim_boundary(START) else { return from };
    put(ring, boundary.pad, boundary.at + START);
    ring.wait_filled(from, boundary.at);
    let mut out = vec![0; (boundary.at - from) as usize];
    ring.copy_out(from, &mut out);
    for (word, at) in out.chunks_exact(8).zip((from..).step_by(8)) {
        assert_eq!(u64::from_le_bytes(word.try_into().unwrap()), filled(at), "unfilled bytes at {at}");
    }
    ring.publish(boundary.at);
    boundary.at
}

#[test]
fn two_appenders_and_a_flusher() {
    check(|| {
        let ring = ring();
        flush(&ring);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let ring = ring.clone();
                thread::spawn(move || {
                    append(&ring);
                })
            })
            .collect();
        flush(&ring);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        flush(&ring);
        assert_eq!(ring.position(), ring.durable(), "everything is durable");
    });
}

/// Somebody asks for the position while a boundary moves: what is told must be reached by a flush, or who waits for it
/// waits in vain. Found by bank and overdraft workloads on several streams: "is beyond the log".
#[test]
fn a_position_that_was_told_becomes_durable() {
    check(|| {
        let ring = ring();
        flush(&ring);
        assert!(append(&ring));
        let asked = ring.clone();
        let told = thread::spawn(move || asked.position());
        flush(&ring);
        let told = told.join().unwrap();
        assert!(told <= ring.durable(), "{told} is told, {} is all there is", ring.durable());
        assert!(told <= ring.position());
    });
}

/// The ring wraps: an appender overwrites blocks that another's reservation found durable.
#[test]
fn a_lap_later_nothing_is_overwritten_before_it_is_durable() {
    check(|| {
        let ring = ring();
        flush(&ring);
        for _ in 0..3 {
            assert!(append(&ring));
            flush(&ring);
        }
        assert!(append(&ring));
        let (left, right) = (ring.clone(), ring.clone());
        let left = thread::spawn(move || append(&left));
        let right = thread::spawn(move || append(&right));
        flush(&ring);
        left.join().unwrap();
        right.join().unwrap();
        flush(&ring);
        assert_eq!(ring.position(), ring.durable());
    });
}

/// The teeth: a record counted as filled before its words are stored must be caught.
#[test]
#[should_panic(expected = "unfilled bytes")]
fn publishing_before_filling_is_caught() {
    check(|| {
        let ring = ring();
        flush(&ring);
        let other = ring.clone();
        let appender = thread::spawn(move || {
            other.try_reserve(RECORD, false).unwrap_or(());
            let at = other.claim(RECORD);
            other.mark_filled(at, at + RECORD);
            store(&other, at, at + RECORD);
        });
        flush(&ring);
        appender.join().unwrap();
    });
}

/// The teeth: a flusher that does not wait for the counters must be caught.
#[test]
#[should_panic(expected = "unfilled bytes")]
fn flushing_without_waiting_is_caught() {
    check(|| {
        let ring = ring();
        flush(&ring);
        let other = ring.clone();
        let appender = thread::spawn(move || append(&other));
        let from = ring.durable();
        if let Some(boundary) = ring.claim_boundary(START) {
            put(&ring, boundary.pad, boundary.at + START);
            let mut out = vec![0; 8];
            ring.copy_out(from + START, &mut out);
            assert_eq!(u64::from_le_bytes(out.try_into().unwrap()), filled(from + START), "unfilled bytes");
        }
        appender.join().unwrap();
    });
}
