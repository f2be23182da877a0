//! fjall's transactional databases.

use super::Fjall;
use crate::engine::{
    Access, Body, Durability, Engine, Intent, Level, Order, Result, See, Setting, Transactions, Write,
};
use fjall::{
    DatabaseBuilder, Keyspace, KeyspaceCreateOptions, OptimisticTxDatabase, OptimisticWriteTx, PersistMode,
    Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace, SingleWriterWriteTx,
};
use std::path::Path;

pub(super) const LEVELS: &[Level] = &[
    Level {
        name: "fjall optimistic",
        isolation: "serializable: `OptimisticTxDatabase`, what was read is validated at commit",
        open: open_optimistic,
    },
    Level {
        name: "fjall single-writer",
        isolation: "serializable: `SingleWriterTxDatabase`, one writer at a time",
        open: open_single_writer,
    },
];

/// A transactional database, and the plain one beneath it, for what is no transaction.
struct Txns<D> {
    db: D,
    plain: Fjall,
}

fn open_optimistic(home: &Path, setting: &Setting) -> Result<Box<dyn Transactions>> {
    let builder: DatabaseBuilder<OptimisticTxDatabase> = OptimisticTxDatabase::builder(home);
    let db = builder.cache_size(setting.cache_bytes).open()?;
    let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?.inner().clone();
    let plain = Fjall { db: db.inner().clone(), rows, mode: mode(setting) };
    Ok(Box::new(Txns { db, plain }))
}

fn open_single_writer(home: &Path, setting: &Setting) -> Result<Box<dyn Transactions>> {
    let builder: DatabaseBuilder<SingleWriterTxDatabase> = SingleWriterTxDatabase::builder(home);
    let db = builder.cache_size(setting.cache_bytes).open()?;
    let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?;
    let plain = Fjall { db: db.inner().clone(), rows: rows.inner().clone(), mode: mode(setting) };
    Ok(Box::new(Txns { db: (db, rows), plain }))
}

fn mode(setting: &Setting) -> Option<PersistMode> {
    (setting.durability == Durability::Each).then_some(PersistMode::SyncAll)
}

impl<D: Send + Sync> Engine for Txns<D> {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.plain.get(key, out)
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        self.plain.write(writes)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        self.plain.scan(from, order, limit, see)
    }

    fn sync(&self) -> Result<()> {
        self.plain.sync()
    }
}

fn get(txn: &impl Readable, rows: &Keyspace, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
    let found = txn.get(rows, key)?;
    Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
}

struct Optimistic<'a> {
    txn: OptimisticWriteTx,
    rows: &'a Keyspace,
}

impl Access for Optimistic<'_> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        get(&self.txn, self.rows, key, out)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.insert(self.rows, key, value);
        Ok(())
    }
}

impl Transactions for Txns<OptimisticTxDatabase> {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        for attempts in 1.. {
            let txn = self.db.write_tx()?.durability(self.plain.mode);
            let mut open = Optimistic { txn, rows: &self.plain.rows };
            body(&mut open)?;
            if open.txn.commit()?.is_ok() {
                return Ok(attempts);
            }
        }
        unreachable!("attempts do not end")
    }
}

struct Alone<'a> {
    txn: SingleWriterWriteTx<'a>,
    rows: &'a SingleWriterTxKeyspace,
}

impl Access for Alone<'_> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        get(&self.txn, self.rows.inner(), key, out)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.insert(self.rows, key, value);
        Ok(())
    }
}

impl Transactions for Txns<(SingleWriterTxDatabase, SingleWriterTxKeyspace)> {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let (db, rows) = &self.db;
        let mut open = Alone { txn: db.write_tx().durability(self.plain.mode), rows };
        body(&mut open)?;
        open.txn.commit()?;
        Ok(1)
    }
}
