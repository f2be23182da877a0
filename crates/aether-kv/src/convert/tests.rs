//! Conversions in parts of few rows.

mod crash;
mod notes;
mod rounds;
mod slots;
