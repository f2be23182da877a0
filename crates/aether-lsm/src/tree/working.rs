//! Which threads flush, merge or edit a manifest just now.
//!
//! Such work writes to the log itself, and whoever writes to a log that is full asks its participants to let some of it go: an LSM tree
//! must not begin then with what it is about to end.

use core::cell::Cell;

std::thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The thread does such work as long as this lives.
pub(super) struct Working(());

impl Working {
    pub(super) fn begin() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self(())
    }

    pub(super) fn is_here() -> bool {
        DEPTH.get() > 0
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
