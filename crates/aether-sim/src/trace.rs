//! The one file that knows TLA+: what the disk does. Whoever uses it tells nothing of this itself, so that code which
//! leaves out a sync cannot claim one.

use aether_trace::{act, act_if};
use aether_types::{Result, checksum};
use std::path::Path;

/// A file in an event: the checksum of its path.
pub fn file_number(path: &Path) -> u64 {
    checksum(0, path.as_os_str().as_encoded_bytes())
}

/// Writing bytes. A write in which the power goes off has a fourth value: it may be there in part.
#[inline(always)]
pub(crate) fn write(
    path: &Path,
    (offset, len): (u64, usize),
    in_flight: bool,
    body: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if in_flight {
        return act("WriteOut", body, |_| [file_number(path), offset, len as u64, 1]);
    }
    act_if("WriteOut", body, |written| written.is_ok().then(|| [file_number(path), offset, len as u64]))
}

/// Making them durable.
#[inline(always)]
pub(crate) fn sync(path: &Path, (offset, len): (u64, usize)) {
    act("Sync", || (), |()| [file_number(path), offset, len as u64]);
}

/// Failing to make bytes durable while the power is on.
#[inline(always)]
pub(crate) fn fail_sync(path: &Path) {
    act("FailSync", || (), |()| [file_number(path)]);
}

/// Losing the power in the middle of an operation: nothing is written from now on.
#[inline(always)]
pub(crate) fn crash(body: impl FnOnce()) {
    act("Crash", body, |()| []);
}

/// Losing what is in memory.
#[inline(always)]
pub(crate) fn die<T>(body: impl FnOnce() -> T) -> T {
    act("Die", body, |_| [])
}

/// Losing what is in memory, and some of what was not durable.
#[inline(always)]
pub(crate) fn power_cut<T>(body: impl FnOnce() -> T) -> T {
    act("PowerCut", body, |_| [])
}
