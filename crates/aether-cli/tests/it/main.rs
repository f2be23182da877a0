//! The command from outside: bad input, damage, and processes killed at work.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod convert;
mod damage;
mod formats;
mod full;
mod fuzz;
mod history;
mod home;
mod import;
mod killed;
mod limits;
mod oracle;
mod output;
mod programs;
