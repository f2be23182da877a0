//! Conversions in parts of few rows.

mod crash;
mod faults;
mod notes;
mod rounds;
mod slots;
pub(crate) mod world;
