//! The one file that knows TLA+: the actions of `tla/version_install`, `tla/left_right` and `tla/hanoi` that this crate takes.
//! Who acts is known by the thread.

use aether_trace::act;
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

/// Making the version with that number the newest, unless another is by now.
#[inline(always)]
pub(crate) fn install<E>(number: u64, body: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
    act("Install", body, |swapped| [number, u64::from(swapped.is_ok())])
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

/// Reading where readers are sent.
#[inline(always)]
pub(crate) fn choose_side(body: impl FnOnce() -> usize) -> usize {
    act("ChooseSide", body, |side| [*side as u64])
}

/// Announcing a reader at a side, unless somebody writes it.
#[inline(always)]
pub(crate) fn enter_side<T>(side: usize, body: impl FnOnce() -> Option<T>) -> Option<T> {
    act("EnterSide", body, |entered| [side as u64, u64::from(entered.is_some())])
}

/// Looking again where readers are sent, from inside; whoever is in the wrong place leaves.
#[inline(always)]
pub(crate) fn confirm_side(side: usize, body: impl FnOnce() -> usize) -> usize {
    act("ConfirmSide", body, |now| [u64::from(*now == side)])
}

/// A reader's leaving.
#[inline(always)]
pub(crate) fn leave_side(body: impl FnOnce()) {
    act("LeaveSide", body, |()| []);
}

/// Locking a side that readers have left.
#[inline(always)]
pub(crate) fn lock_side<T>(side: usize, body: impl FnOnce() -> T) -> T {
    act("LockSide", body, |_| [side as u64])
}

/// Replacing what a side has, and letting readers in again.
#[inline(always)]
pub(crate) fn write_side(side: usize, body: impl FnOnce()) {
    act("WriteSide", body, |()| [side as u64]);
}

/// Sending readers to the other side.
#[inline(always)]
pub(crate) fn send_readers(body: impl FnOnce()) {
    act("SendReaders", body, |()| []);
}
