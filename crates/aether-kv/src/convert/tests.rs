//! Conversions in parts of few rows.

mod crash;
mod notes;
