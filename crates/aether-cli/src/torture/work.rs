//! `torture work`: clients on a small store, so that splits, evictions, segments and checkpoints are many.

use super::client::Client;
use super::event::Events;
use crate::arguments::{KindName, Work};
use crate::exit::{Exit, Failure, Outcome};
use crate::home;
use aether::buffer::BufferConfig;
use aether::lsm::{LsmConfig, PolicyKind};
use aether::types::PageSize;
use aether::wal::WalConfig;
use aether::{Advice, Db, Durability, IndexKind, KeyspaceOptions, Options};
use std::thread;
use std::time::Duration;

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];

pub(super) fn run(work: &Work) -> Outcome {
    let db = Db::open_with(&work.dir, options(work)?).map_err(|error| home::refused(error, &work.dir))?;
    let events = Events::new()?;
    let clients = (0..work.clients)
        .map(|number| Client::new(number, &db, work, &events, durability(work)))
        .collect::<Outcome<Vec<_>>>()?;
    all(clients, work, &db)?;
    db.env().clone().close()?;
    Ok(Exit::Done)
}

/// Runs every client in a thread of its own, and converts the keyspace meanwhile; the first failure is the outcome.
fn all(clients: Vec<Client<'_>>, work: &Work, db: &Db) -> Outcome<()> {
    thread::scope(|scope| {
        let conversion = scope.spawn(|| convert(work, db));
        let threads: Vec<_> = (0..)
            .zip(clients)
            .map(|(number, client)| scope.spawn(move || client.run(share(work, number))))
            .collect();
        let ends: Vec<_> =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| died())).collect();
        let converted = conversion.join().unwrap_or_else(|_| died());
        ends.into_iter().chain([converted]).collect()
    })
}

/// Gives the default keyspace the kind that is asked for. A refusal that another attempt may spare is none: the kind stays.
fn convert(work: &Work, db: &Db) -> Outcome<()> {
    let Some(kind) = work.kind.map(KindName::kind).filter(|kind| *kind != db.keyspace().kind()) else {
        return Ok(());
    };
    let mut options = KeyspaceOptions::of(kind);
    if kind == IndexKind::LSM {
        options = KeyspaceOptions::lsm(POLICIES[(work.seed % POLICIES.len() as u64) as usize]);
    }
    match db.env().convert(db.keyspace().name(), options) {
        Err(error) if error.advice() != Advice::Retry => Err(Failure::from(error).within("converting", "")),
        _ => Ok(()),
    }
}

fn died() -> Outcome<()> {
    Err(Failure::new(Exit::Other, "a client has panicked"))
}

/// The transactions of one client.
fn share(work: &Work, client: u64) -> u64 {
    let clients = u64::from(work.clients);
    work.txs / clients + u64::from(client < work.txs % clients)
}

fn durability(work: &Work) -> Durability {
    work.durability.with_wait(Duration::from_micros(work.wait_us))
}

fn options(work: &Work) -> aether::Result<Options> {
    let buffer = BufferConfig {
        num_frames: work.pool_frames,
        page_size: PageSize::new(work.page_bytes)?,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let wal = WalConfig { segment_bytes: work.segment_bytes, streams: work.streams, ..WalConfig::default() };
    let lsm = LsmConfig { memtable_bytes: LsmConfig::MEMTABLE_BYTES_MIN, ..LsmConfig::default() };
    Ok(Options {
        buffer,
        wal,
        lsm,
        max_recovery_bytes: work.max_recovery_bytes,
        durability: durability(work),
        ..Options::default()
    })
}
