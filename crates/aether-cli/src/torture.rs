//! `torture`: black-box probes. `work` says what it is about to write and what is durable; `dump` opens
//! whatever is left and prints it. A judge outside compares the two.

mod client;
mod dump;
mod event;
mod random;
mod work;

use crate::arguments::Torture;
use crate::exit::Outcome;

pub(crate) fn run(arguments: &Torture) -> Outcome {
    match arguments {
        Torture::Work(work) => work::run(work),
        Torture::Dump(dump) => dump::run(dump),
    }
}
