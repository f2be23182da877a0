//! Frames, swips, HOT/COOL/EVICTED, guards, the page provider, write-back and the memory budget.
//!
//! Must not know what is logged: the log is a [`FlushGate`].

mod gate;

pub use aether_page as page;
pub use gate::{Durable, FlushGate, NoGate};
