//! fjall.

mod txn;

use crate::engine::{Durability, Engine, Order, Peer, Result, See, Setting, Write};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "fjall",
    package: "fjall",
    open,
    each: "`PersistMode::SyncAll` with each batch",
    every_second: "journal to the page cache, `persist(SyncAll)` each second",
    never: "journal to the page cache",
    checksums: "XXH3 on every block and journal batch",
    cache: "`cache_size`, above the page cache; memtables come on top",
    levels: txn::LEVELS,
};

struct Fjall {
    db: Database,
    rows: Keyspace,
    mode: Option<PersistMode>,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    let db = Database::builder(home).cache_size(setting.cache_bytes).open()?;
    let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?;
    let mode = (setting.durability == Durability::Each).then_some(PersistMode::SyncAll);
    Ok(Box::new(Fjall { db, rows, mode }))
}

fn show(rows: impl Iterator<Item = Guard>, limit: u64, see: &mut See<'_>) -> Result<()> {
    for row in rows.take(limit as usize) {
        let (key, value) = row.into_inner()?;
        see(&key, &value);
    }
    Ok(())
}

impl Engine for Fjall {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.rows.get(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        if let ([Write { key, value: Some(value) }], None) = (writes, self.mode) {
            return Ok(self.rows.insert(*key, *value)?);
        }
        let mut batch = self.db.batch().durability(self.mode);
        for write in writes {
            match write.value {
                Some(value) => batch.insert(&self.rows, write.key, value),
                None => batch.remove(&self.rows, write.key),
            }
        }
        Ok(batch.commit()?)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        match order {
            Order::Forward => show(self.rows.range(from..), limit, see),
            Order::Reverse => show(self.rows.range(..=from).rev(), limit, see),
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
