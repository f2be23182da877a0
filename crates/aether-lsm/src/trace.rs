//! The one file that knows TLA+: the actions of `tla/version_install`, `tla/left_right` and `tla/hanoi` that this crate takes.
//! Who acts is known by the thread.

use aether_trace::{act, act_if};
use aether_types::FileId;

/// Loading the word that names the newest slot.
#[inline(always)]
pub(crate) fn load_word(body: impl FnOnce() -> u64, number: impl FnOnce(&u64) -> u64) -> u64 {
    act("LoadWord", body, |word| [number(word)])
}

/// Reading a slot; whether it had what the word said.
#[inline(always)]
pub(crate) fn read_slot<T>(body: impl FnOnce() -> T, is_found: impl FnOnce(&T) -> bool) -> T {
    act("ReadSlot", body, |found| [u64::from(is_found(found))])
}

/// Applying an edit to the version with that number, or finding that it does not fit.
#[inline(always)]
pub(crate) fn prepare<T, E>(number: u64, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act("Prepare", body, |next| [number, u64::from(next.is_ok())])
}

/// Looking whether the version with that number still is the newest; told if it is not.
#[inline(always)]
pub(crate) fn stale(number: u64, body: impl FnOnce() -> u64, newest: impl FnOnce(u64) -> u64) -> u64 {
    act_if("Stale", body, |word| (newest(*word) != number).then_some([]))
}

/// Taking a slot and filling it.
#[inline(always)]
pub(crate) fn fill(body: impl FnOnce() -> usize) -> usize {
    act("Fill", body, |slot| [*slot as u64])
}

/// Making the version with that number the newest, unless another is by now.
#[inline(always)]
pub(crate) fn install<E>(number: u64, body: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
    act("Install", body, |swapped| [number, u64::from(swapped.is_ok())])
}

/// Emptying a slot and giving it back.
#[inline(always)]
pub(crate) fn empty<T>(body: impl FnOnce() -> T) -> T {
    act("Empty", body, |_| [])
}

/// The end of an install, before its references go.
#[inline(always)]
pub(crate) fn done(body: impl FnOnce()) {
    act("Done", body, |()| []);
}

/// Letting a run's file go with the last reference.
#[inline(always)]
pub(crate) fn doom(run: FileId, body: impl FnOnce()) {
    act("Doom", body, |()| [u64::from(run.get())]);
}

/// Deleting a run's file.
#[inline(always)]
pub(crate) fn delete(run: FileId, body: impl FnOnce()) {
    act("Delete", body, |()| [u64::from(run.get())]);
}

/// Reading where readers are sent; the reader's shard.
#[inline(always)]
pub(crate) fn choose_side(shard: usize, body: impl FnOnce() -> usize) -> usize {
    act("ChooseSide", body, |side| [*side as u64, shard as u64])
}

/// Announcing a reader at a side, unless somebody writes it.
#[inline(always)]
pub(crate) fn enter_side<T>(body: impl FnOnce() -> Option<T>) -> Option<T> {
    act("EnterSide", body, |entered| [u64::from(entered.is_some())])
}

/// Looking again where readers are sent, from inside; whoever is in the wrong place leaves.
#[inline(always)]
pub(crate) fn confirm_side(side: usize, body: impl FnOnce() -> u64) -> u64 {
    act("ConfirmSide", body, |number| [u64::from((number & 1) as usize == side)])
}

/// The beginning of an install, under its lock.
#[inline(always)]
pub(crate) fn begin_write(body: impl FnOnce()) {
    act("BeginWrite", body, |()| []);
}

/// Locking a side of a shard, once its readers have left.
#[inline(always)]
pub(crate) fn lock_side<T>(place: [usize; 2], body: impl FnOnce() -> T) -> T {
    act("LockSide", body, |_| place.map(|at| at as u64))
}

/// Replacing what a side of a shard has, and letting readers in again.
#[inline(always)]
pub(crate) fn write_side(place: [usize; 2], body: impl FnOnce()) {
    act("WriteSide", body, |()| place.map(|at| at as u64));
}

/// Sending readers to the other side.
#[inline(always)]
pub(crate) fn send_readers(body: impl FnOnce()) {
    act("SendReaders", body, |()| []);
}

/// The end of an install, under its lock.
#[inline(always)]
pub(crate) fn end_write(body: impl FnOnce()) {
    act("EndWrite", body, |()| []);
}

/// Beginning a merge; its level.
#[inline(always)]
pub(crate) fn start_merge(level: usize, body: impl FnOnce()) {
    act("Start", body, |()| [level as u64]);
}

/// Beginning a round, which may be bought: the levels that need nothing, a bit for each, and what was saved before and behind it.
#[inline(always)]
pub(crate) fn begin_round(is_bought: bool, saved: u64, body: impl FnOnce() -> [u64; 2]) {
    act("Round", body, |[idle, now]| [u64::from(is_bought), *idle, saved, *now]);
}

/// The end of what a level does in a round; how many bytes it was.
#[inline(always)]
pub(crate) fn pay(level: usize, bytes: u64, body: impl FnOnce()) {
    act("Pay", body, |()| [level as u64, bytes]);
}

/// The same, of what was saved.
#[inline(always)]
pub(crate) fn spend(level: usize, bytes: u64, body: impl FnOnce()) {
    act("Spend", body, |()| [level as u64, bytes]);
}

/// The end of a merge, whose result is installed; its level, and that of the result.
#[inline(always)]
pub(crate) fn arrive(place: [usize; 2], body: impl FnOnce()) {
    act("Arrive", body, |()| place.map(|at| at as u64));
}
