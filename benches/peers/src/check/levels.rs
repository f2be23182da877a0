//! The levels of an engine: what a transaction sees of itself, what a failed one leaves, and the books after two threads
//! have worked on the same few rows.

use super::same;
use crate::draw::key;
use crate::engine::{Access, Durability, Failure, Intent, Level, Peer, Result, Setting, Transactions};
use crate::transact::{Business, Client, Kept, business};
use crate::workload::{Scale, Trade};
use std::path::Path;
use std::thread;

const THREADS: u32 = 2;
const STEPS: u64 = 400;
/// Few rows, so that transactions meet.
const SCALE: Scale = Scale { rows: 1_000, ..Scale::QUICK };
const TRADES: [Trade; 3] =
    [Trade::Orders { warehouses: 1 }, Trade::Orders { warehouses: 3 }, Trade::Accounts];

pub(super) fn check(peer: &Peer, dir: &Path) -> Result<()> {
    for level in peer.levels {
        for durability in [Durability::EverySecond, Durability::Never] {
            let setting = Setting { durability, cache_bytes: 4 << 20 };
            let home = dir.join(format!("{} {durability:?}", level.name));
            check_level(level, &home, &setting).map_err(|error| format!("{}: {error}", level.name))?;
        }
    }
    Ok(())
}

fn check_level(level: &Level, home: &Path, setting: &Setting) -> Result<()> {
    std::fs::create_dir_all(home)?;
    inside(&*(level.open)(&home.join("inside"), setting)?)?;
    TRADES.iter().try_for_each(|trade| {
        let (home, business) = (home.join(format!("{trade:?}")), business(*trade, &SCALE));
        let store = (level.open)(&home, setting)?;
        business.load(&*store)?;
        let kept = work(&*store, &*business)?;
        business.check(&*store, &kept)?;
        store.sync()?;
        drop(store);
        let told = |error| Failure::from(format!("opened again: {error}"));
        business.check(&*(level.open)(&home, setting)?, &kept).map_err(told)
    })
}

/// Runs transactions on several threads; what they say they have committed.
pub(super) fn work(store: &dyn Transactions, business: &dyn Business) -> Result<Vec<Kept>> {
    let kept: Vec<Kept> = (0..THREADS).map(|_| Kept::default()).collect();
    let one = |thread: u32| {
        let mut client = Client::new(thread, 1, &kept[thread as usize]);
        (0..STEPS).try_for_each(|_| business.step(store, &mut client).map(drop))
    };
    thread::scope(|scope| {
        let one = &one;
        let clients: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || one(thread))).collect();
        let joined = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| Err(Failure::from("a client panicked"))));
        joined.collect::<Result<()>>()
    })?;
    Ok(kept)
}

/// A transaction sees what it has put; one that fails leaves nothing, and its failure is told.
pub(super) fn inside(store: &dyn Transactions) -> Result<()> {
    let ([old, new], mut found) = ([key(1), key(2)], Vec::new());
    store.transact(&mut |txn| txn.put(&old, b"before"))?;
    let failed = store.transact(&mut |txn| {
        see(txn, &old, Some(b"before"))?;
        txn.put(&old, b"after")?;
        txn.put(&new, b"new")?;
        see(txn, &old, Some(b"after"))?;
        see(txn, &new, Some(b"new"))?;
        Err(Failure::from("on purpose"))
    });
    same(
        "the failure of a transaction",
        failed.err().map(|error| error.to_string()).as_deref(),
        Some("on purpose"),
    )?;
    same("a failed insert", store.get(&new, &mut found)?, false)?;
    same("a failed transaction", store.get(&old, &mut found)?, true)?;
    same("a failed update", &found[..], b"before")
}

fn see(txn: &mut dyn Access, key: &[u8], expected: Option<&[u8]>) -> Result<()> {
    [Intent::Read, Intent::Update].into_iter().try_for_each(|intent| {
        let mut found = Vec::new();
        let is_there = txn.get(key, intent, &mut found)?;
        same("a get inside a transaction", is_there.then_some(&found[..]), expected)
    })
}

#[cfg(test)]
mod tests;
