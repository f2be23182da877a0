//! Transactions over the simplest structure that there is: cells, each a number in the header of a page.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

mod cells;
mod locks;
mod rollback;
mod snapshots;
