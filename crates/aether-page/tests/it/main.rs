//! The tests of page bytes. A support module builds pages and applies operations the way running and redo do;
//! each of the others asks one question.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

mod hostile;
mod inner;
mod layout;
mod leaf;
mod ops;
mod support;
