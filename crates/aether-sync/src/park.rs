//! Sleeping on an address until a latch is released: parking_lot's table in plain builds, a yield under the
//! schedule checkers (whose waits must be steps of the model).

/// Sleeps unless `still_blocked` is false by the time the sleeper is in the table. May wake without cause.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn park(address: usize, still_blocked: impl FnOnce() -> bool) {
    // SAFETY: the address is that of a live latch, the closure only loads an atomic and takes no lock of the
    // table, and no callback panics or re-enters the table, as parking_lot_core requires.
    unsafe {
        parking_lot_core::park(
            address,
            still_blocked,
            || {},
            |_, _| {},
            parking_lot_core::DEFAULT_PARK_TOKEN,
            None,
        );
    }
}

/// Wakes all sleepers.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn unpark_all(address: usize) {
    // SAFETY: as above; waking has no callback.
    unsafe {
        parking_lot_core::unpark_all(address, parking_lot_core::DEFAULT_UNPARK_TOKEN);
    }
}

#[cfg(any(loom, shuttle))]
pub(crate) fn park(_: usize, _: impl FnOnce() -> bool) {
    crate::thread::yield_now();
}

#[cfg(any(loom, shuttle))]
pub(crate) fn unpark_all(_: usize) {}
