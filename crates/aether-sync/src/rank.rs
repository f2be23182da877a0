//! Lock ranks: a thread takes locks in strictly rising rank. Checked in debug builds only.
//!
//! The ranks in use are listed in `docs/locking.md`.

/// The place of a lock in the global order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rank {
    order: u16,
    name: &'static str,
}

impl Rank {
    /// A rank; `name` appears in the panic that reports a violation.
    pub const fn new(order: u16, name: &'static str) -> Self {
        Self { order, name }
    }
}

#[cfg(all(debug_assertions, not(any(loom, shuttle))))]
mod held {
    use super::Rank;
    use std::cell::RefCell;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) fn enter(rank: Rank) {
        HELD.with(|held| {
            let mut held = held.borrow_mut();
            if let Some(last) = held.iter().max_by_key(|held| held.order) {
                assert!(last.order < rank.order, "lock order: {rank:?} is taken while {last:?} is held");
            }
            held.push(rank);
        });
    }

    pub(crate) fn enter_untimely(rank: Rank) {
        HELD.with(|held| held.borrow_mut().push(rank));
    }

    pub(crate) fn leave(rank: Rank) {
        // A guard may be dropped while its thread's storage is being torn down.
        let _ = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            if let Some(at) = held.iter().rposition(|held| *held == rank) {
                held.remove(at);
            }
        });
    }
}

#[cfg(all(debug_assertions, not(any(loom, shuttle))))]
pub(crate) use held::{enter, enter_untimely, leave};

#[cfg(not(all(debug_assertions, not(any(loom, shuttle)))))]
pub(crate) fn enter(_: Rank) {}
#[cfg(not(all(debug_assertions, not(any(loom, shuttle)))))]
pub(crate) fn enter_untimely(_: Rank) {}
#[cfg(not(all(debug_assertions, not(any(loom, shuttle)))))]
pub(crate) fn leave(_: Rank) {}
