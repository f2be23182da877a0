//! A node of a B+tree.

pub mod layout;
