//! Spec events for TLA+ trace validation: compiled out unless built with `--cfg aether_trace`.
//!
//! An event is an action's name, up to four values and an interval of two tickets: one drawn before the
//! action, one after it. A checker may order events freely as long as no event that ended before another
//! began comes after it; one number per event would accuse correct lock-free code. Arguments are always
//! type-checked, so that an event cannot rot in builds that do not trace.
//!
//! This crate must not know what a spec says, and alone may use std atomics besides `aether-sync`: a
//! modelled ticket counter would order the very threads whose freedom the models explore.

#![forbid(unsafe_code)]

/// One event of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The spec action.
    pub action: &'static str,
    /// The values that the action binds.
    pub values: [u64; 4],
    /// Ticket drawn before the action.
    pub begin: u64,
    /// Ticket drawn after it.
    pub end: u64,
}

/// Runs `body` as the spec action `action`; `values` are computed from its result.
#[inline(always)]
pub fn act<T>(action: &'static str, body: impl FnOnce() -> T, values: impl FnOnce(&T) -> [u64; 4]) -> T {
    #[cfg(aether_trace)]
    {
        let begin = record::ticket();
        let result = body();
        let end = record::ticket();
        record::push(Event { action, values: values(&result), begin, end });
        result
    }
    #[cfg(not(aether_trace))]
    {
        let _ = (action, values);
        body()
    }
}

#[cfg(aether_trace)]
mod record {
    use super::Event;
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU64, Ordering};

    static TICKETS: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn ticket() -> u64 {
        TICKETS.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn push(event: Event) {
        EVENTS.with(|events| events.borrow_mut().push(event));
    }

    /// Takes the events of the calling thread, oldest first.
    pub fn take() -> Vec<Event> {
        EVENTS.with(|events| std::mem::take(&mut *events.borrow_mut()))
    }
}

#[cfg(aether_trace)]
pub use record::take;

#[cfg(test)]
mod tests {
    #[test]
    fn the_result_passes_through() {
        assert_eq!(super::act("Claim", || 5u64, |lsn| [*lsn, 0, 0, 0]), 5);
    }

    #[cfg(aether_trace)]
    #[test]
    fn events_carry_their_interval() {
        super::act("Claim", || 5u64, |lsn| [*lsn, 0, 0, 0]);
        let events = super::take();
        assert_eq!(events[0].values[0], 5);
        assert!(events[0].begin < events[0].end);
    }
}
