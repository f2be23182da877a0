//! The one file that knows TLA+: the actions of `tla/frames`, `tla/write_back`, `tla/checkpoint` and `tla/page_redo` that this
//! crate takes. A frame stands here as its index; who acts is known by the thread.

use crate::frame::Resident;
use aether_sync::Version;
use aether_trace::{act, act_if};
use aether_types::{PageNo, Psn, Result};

/// Counting a page as clean as it was written, with the number `psn`.
#[inline(always)]
pub(crate) fn clean(page: PageNo, psn: Psn, body: impl FnOnce()) {
    act("Clean", body, |()| [page.get(), psn.get()]);
}

/// Asking for the version that a frame is read under; none: the frame is not looked at.
#[inline(always)]
pub(crate) fn peek(body: impl FnOnce() -> Option<Version>) -> Option<Version> {
    let version = act_if("Peek", body, |version| version.map(|_| []));
    if version.is_none() {
        act("Stray", || (), |()| []);
    }
    version
}

/// Comparing the frame's page with the wanted one, behind the version.
#[inline(always)]
pub(crate) fn compare(body: impl FnOnce() -> bool) -> bool {
    act("Compare", body, |found| [u64::from(*found)])
}

/// Asking the table for the frame of a page.
#[inline(always)]
pub(crate) fn translate<T>(
    wanted: Resident,
    body: impl FnOnce() -> Result<T>,
    frame: impl FnOnce(&T) -> Option<u32>,
) -> Result<T> {
    let known = |entry: &T| [wanted.page().get(), frame(entry).map_or(0, |frame| u64::from(frame) + 1)];
    act_if("Translate", body, |entry| entry.as_ref().ok().map(known))
}

/// Putting a frame into a reference; false if that was not possible.
#[inline(always)]
pub(crate) fn repair(page: PageNo, frame: u32, body: impl FnOnce() -> bool) {
    act_if("Repair", body, |repaired| repaired.then(|| [page.get(), u64::from(frame)]));
}

/// Validating what was read.
#[inline(always)]
pub(crate) fn validate(body: impl FnOnce() -> bool) -> bool {
    act("Validate", body, |valid| [u64::from(*valid)])
}

/// Taking the latch of the frame that a page is said to be in; false if another page is there by now.
#[inline(always)]
pub(crate) fn latch(frame: u32, body: impl FnOnce() -> bool) -> bool {
    act("Latch", body, |taken| [u64::from(frame), u64::from(*taken)])
}

/// Looking whether the page is still there.
#[inline(always)]
pub(crate) fn check(body: impl FnOnce() -> bool) -> bool {
    act("Check", body, |there| [u64::from(*there)])
}

/// Letting go of a page that was changed.
#[inline(always)]
pub(crate) fn unlatch(frame: u32, body: impl FnOnce()) {
    act("Unlatch", body, |()| [u64::from(frame)]);
}

/// Giving a free frame, which is latched, to a page.
#[inline(always)]
pub(crate) fn take(page: Resident, frame: u32, body: impl FnOnce()) {
    act("Take", body, |()| [page.page().get(), u64::from(frame)]);
}

/// Entering a page that is being loaded in the table; nothing happens if somebody was faster.
#[inline(always)]
pub(crate) fn enter(frame: u32, body: impl FnOnce() -> Result<bool>) -> Result<bool> {
    act_if("Enter", body, |entered| matches!(entered, Ok(true)).then(|| [u64::from(frame)]))
}

/// Giving the frame back because somebody was faster.
#[inline(always)]
pub(crate) fn give_up(frame: u32, body: impl FnOnce()) {
    act("GiveUp", body, |()| [u64::from(frame)]);
}

/// Filling a frame with what the file has of its page.
#[inline(always)]
pub(crate) fn load(frame: u32, body: impl FnOnce() -> Result<()>, psn: impl FnOnce() -> Psn) -> Result<()> {
    act_if("Load", body, |loaded| loaded.is_ok().then(|| [u64::from(frame), psn().get()]))
}

/// Handing a loaded page out.
#[inline(always)]
pub(crate) fn loaded(frame: u32, body: impl FnOnce()) {
    act("Loaded", body, |()| [u64::from(frame)]);
}

/// HOT to COOL.
#[inline(always)]
pub(crate) fn cool(frame: u32, body: impl FnOnce() -> bool) -> bool {
    act_if("Cool", body, |cooled| cooled.then(|| [u64::from(frame)]))
}

/// COOL to HOT.
#[inline(always)]
pub(crate) fn touch(frame: u32, body: impl FnOnce() -> bool) {
    act_if("Touch", body, |heated| heated.then(|| [u64::from(frame)]));
}

/// Beginning to write a dirty page, under the shared latch; false if it is not to be written.
#[inline(always)]
pub(crate) fn start_writing(frame: u32, body: impl FnOnce() -> bool) -> bool {
    act_if("StartWriting", body, |takes| takes.then(|| [u64::from(frame)]))
}

/// Counting its changes from now on as new ones, and copying it.
#[inline(always)]
pub(crate) fn copy_out(frame: u32, page: PageNo, body: impl FnOnce() -> Psn) {
    act("CopyOut", body, |psn| [u64::from(frame), psn.get(), page.get()]);
}

/// Waiting for the log, before any page of a batch is written.
#[inline(always)]
pub(crate) fn log_is_ahead<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    act_if("LogIsAhead", body, |waited| waited.is_ok().then_some([]))
}

/// Reading the first-dirty positions of a frame for a checkpoint.
#[inline(always)]
pub(crate) fn read_first_dirty(frame: u32, body: impl FnOnce()) {
    act("ReadFirstDirty", body, |()| [u64::from(frame)]);
}

/// Reading the positions that it is being written back with.
#[inline(always)]
pub(crate) fn read_writing(frame: u32, body: impl FnOnce()) {
    act("ReadWriting", body, |()| [u64::from(frame)]);
}

/// Ending the writing of a page that is durable.
#[inline(always)]
pub(crate) fn end_writing(frame: u32, body: impl FnOnce()) {
    act("EndWriting", body, |()| [u64::from(frame)]);
}

/// Latching a frame that may be evicted, if it is not latched.
#[inline(always)]
pub(crate) fn seize(frame: u32, body: impl FnOnce() -> bool) -> bool {
    act_if("Seize", body, |taken| taken.then(|| [u64::from(frame)]))
}

/// Letting it go as it was.
#[inline(always)]
pub(crate) fn spare(frame: u32, body: impl FnOnce()) {
    act("Spare", body, |()| [u64::from(frame)]);
}

/// Taking its page out of the table; false if somebody has used it.
#[inline(always)]
pub(crate) fn evict(frame: u32, body: impl FnOnce() -> bool) -> bool {
    act_if("Evict", body, |left| left.then(|| [u64::from(frame)]))
}

/// Naming no page any more.
#[inline(always)]
pub(crate) fn free(frame: u32, body: impl FnOnce()) {
    act("Free", body, |()| [u64::from(frame)]);
}
