//! `torture history`: concurrent transactions on few lists, and what each has seen.
//!
//! Whoever reads a list with `a` before `b` knows in which order they were written, so a history of appends and reads
//! shows which transaction came before which (Kingsbury & Alvaro, "Elle", VLDB 2020).

mod client;
mod lists;
mod record;

use crate::arguments::History;
use crate::exit::{Exit, Failure, Outcome};
use crate::home;
use aether::{Db, Options};
use client::Client;
use lists::Lists;
use record::Record;
use std::thread;
use std::time::Duration;

pub(super) fn run(history: &History) -> Outcome {
    let durability = history.durability.with_wait(Duration::from_micros(history.wait_us));
    let options = Options { durability, ..Options::default() };
    let db = Db::open_with(&history.dir, options).map_err(|error| home::refused(error, &history.dir))?;
    let lists = Lists::open(&db, history.keys, history.appends_per_key)?;
    // The last transaction comes after all others.
    let record = Record::new(&lists, history.txns.saturating_sub(1))?;
    let client = |number| Client::new(number, &db, history, &lists, &record);
    all((0..history.threads).map(client).collect())?;
    if history.txns > 0 {
        Client::new(history.threads, &db, history, &lists, &record).read_newest()?;
    }
    db.env().clone().close()?;
    Ok(Exit::Done)
}

/// Runs every client in a thread of its own; the first failure is the outcome.
fn all(clients: Vec<Client<'_>>) -> Outcome<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || client.run())).collect();
        let ends: Vec<_> =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect();
        ends.into_iter().collect()
    })
}

fn died() -> Outcome<()> {
    Err(Failure::new(Exit::Other, "a client has panicked"))
}
