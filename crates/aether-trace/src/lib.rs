//! Spec events for TLA+ trace validation: compiled out unless built with `--cfg aether_trace`.
//!
//! An event is an action's name, some values and an interval of two tickets: one drawn before the action, one after
//! it. A checker may order events freely as long as no event that ended before another began comes after it; one
//! number per event would accuse correct lock-free code. Arguments are always type-checked, so that an event
//! cannot rot in builds that do not trace.
//!
//! Each thread has a log of its own, which outlives it: [`take`] hands out all of them. [`planted`] asks for a bug that a
//! run was told to have; only a build with `--cfg aether_mutants` has any.
//!
//! This crate must not know what a spec says, and alone may use std atomics besides `aether-sync`: a
//! modelled ticket counter would order the very threads whose freedom the models explore.

#![forbid(unsafe_code)]

mod mutant;
mod record;

pub use mutant::{plant, planted};
pub use record::{Hooks, install, name_thread, take};

/// One event of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The spec action.
    pub action: &'static str,
    /// The values that the action binds.
    pub values: Vec<u64>,
    /// Ticket drawn before the action.
    pub begin: u64,
    /// Ticket drawn after it.
    pub end: u64,
}

/// What one thread did, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// As [`name_thread`] was told; 0 if it was not.
    pub thread: u64,
    /// Its events.
    pub events: Vec<Event>,
}

/// Runs `body` as the spec action `action`; `values` are computed from its result.
#[inline(always)]
pub fn act<T, const N: usize>(
    action: &'static str,
    body: impl FnOnce() -> T,
    values: impl FnOnce(&T) -> [u64; N],
) -> T {
    act_if(action, body, |result| Some(values(result)))
}

/// As [`act`], for what may turn out to be no step of the spec: then there are no values.
#[inline(always)]
pub fn act_if<T, const N: usize>(
    action: &'static str,
    body: impl FnOnce() -> T,
    values: impl FnOnce(&T) -> Option<[u64; N]>,
) -> T {
    #[cfg(aether_trace)]
    {
        let begin = record::ticket();
        let result = body();
        let end = record::ticket();
        if let Some(values) = values(&result) {
            record::push(Event { action, values: values.to_vec(), begin, end });
        }
        result
    }
    #[cfg(not(aether_trace))]
    {
        let _ = (action, values);
        body()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_passes_through() {
        assert_eq!(act("Claim", || 5u64, |lsn| [*lsn, 0]), 5);
        assert_eq!(act_if("Claim", || 6u64, |_| None::<[u64; 1]>), 6);
    }

    #[cfg(not(aether_trace))]
    #[test]
    fn nothing_is_recorded_unless_asked_for() {
        act("Claim", || 5u64, |lsn| [*lsn]);
        assert_eq!(take(), Vec::new());
    }

    #[cfg(aether_trace)]
    #[test]
    fn events_carry_their_interval_and_outlive_their_thread() {
        let thread = std::thread::spawn(|| {
            name_thread(7);
            act("Claim", || 5u64, |lsn| [*lsn]);
            act_if("Claim", || 6u64, |_| None::<[u64; 1]>);
        });
        thread.join().unwrap();
        let log = take().into_iter().find(|log| log.thread == 7).unwrap();
        assert_eq!(log.events.len(), 1);
        assert_eq!(log.events[0].values, [5]);
        assert!(log.events[0].begin < log.events[0].end);
    }
}
