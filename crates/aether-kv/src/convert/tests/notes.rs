//! Notes of changed keys: what is put back, who waits for room.

use crate::convert::captured::Captured;
use aether_sync::{Arc, thread};
use aether_types::{ErrorKind, TxnId};
use std::time::Duration;

/// Room for two keys of one byte.
const BYTES_MAX: usize = 130;

fn captured() -> Arc<Captured> {
    let captured = Captured::new();
    assert!(captured.claim(BYTES_MAX));
    Arc::new(captured)
}

fn txn(number: u64) -> TxnId {
    TxnId::new(number)
}

#[test]
fn a_note_is_of_a_key_and_its_transaction() {
    let captured = captured();
    captured.note(b"a", txn(1));
    captured.note(b"a", txn(1));
    captured.note(b"a", txn(2));
    assert_eq!(captured.len(), 2);
    let taken: Vec<_> = captured.take().into_iter().collect();
    assert_eq!(taken, [(b"a".to_vec(), txn(1)), (b"a".to_vec(), txn(2))]);
    captured.copied(&taken, vec![taken[1].clone()]);
    assert_eq!(captured.take().into_iter().collect::<Vec<_>>(), taken[1..]);
}

#[test]
fn one_conversion_at_a_time() {
    let captured = captured();
    assert!(!captured.claim(BYTES_MAX));
    captured.give_back();
    assert!(captured.claim(BYTES_MAX));
}

/// Notes a third key in a thread of its own; true once that is through.
fn third(captured: &Arc<Captured>) -> impl FnOnce() {
    let other = captured.clone();
    let waits = std::thread::spawn(move || other.note(b"c", txn(3)));
    thread::sleep(Duration::from_millis(30));
    assert!(!waits.is_finished(), "there is no room");
    move || waits.join().unwrap()
}

#[test]
fn a_writer_waits_for_a_round() {
    let captured = captured();
    captured.note(b"a", txn(1));
    captured.note(b"b", txn(1));
    let goes_on = third(&captured);
    let taken: Vec<_> = captured.take().into_iter().collect();
    captured.copied(&taken[..1], Vec::new());
    goes_on();
    captured.copied(&taken[1..], Vec::new());
    assert_eq!((captured.len(), captured.check().is_ok()), (1, true));
}

#[test]
fn nobody_waits_for_who_waits_for_writers() {
    let captured = captured();
    captured.note(b"a", txn(1));
    captured.note(b"b", txn(1));
    let goes_on = third(&captured);
    captured.begin_last();
    goes_on();
    captured.note(b"d", txn(3));
    captured.check().unwrap();
    captured.note(b"e", txn(3));
    assert_eq!(captured.check().unwrap_err().kind(), ErrorKind::OverLimit);
    captured.note(b"f", txn(3));
    captured.begin_rounds();
    assert_eq!((captured.len(), captured.check().is_err()), (0, true), "too many for good");
}

#[test]
fn who_waits_goes_on_when_the_conversion_ends() {
    let captured = captured();
    captured.note(b"a", txn(1));
    captured.note(b"b", txn(1));
    let goes_on = third(&captured);
    captured.end();
    goes_on();
    assert_eq!(captured.len(), 0);
}

#[test]
fn transactions_under_way_may_not_take_most_of_the_room() {
    let captured = captured();
    captured.note(b"a", txn(1));
    captured.note(b"b", txn(1));
    let goes_on = third(&captured);
    let taken: Vec<_> = captured.take().into_iter().collect();
    captured.copied(&taken, taken.clone());
    assert_eq!(captured.check_room(64).map_err(|error| error.kind()), Ok(()));
    assert_eq!(captured.check_room(130).map_err(|error| error.kind()), Err(ErrorKind::OverLimit));
    goes_on();
}
