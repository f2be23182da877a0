//! `torture`: black-box probes. `work` says what it is about to write and what is durable; `dump` opens
//! whatever is left and prints it. A judge outside compares the two. `history` says what concurrent transactions on
//! few lists have seen of each other.

mod client;
mod dump;
mod event;
mod history;
mod lines;
mod random;
mod work;

use crate::arguments::Torture;
use crate::exit::Outcome;

pub(crate) fn run(arguments: &Torture) -> Outcome {
    match arguments {
        Torture::Work(work) => work::run(work),
        Torture::History(history) => history::run(history),
        Torture::Dump(dump) => dump::run(dump),
    }
}
