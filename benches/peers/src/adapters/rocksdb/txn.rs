//! RocksDB's pessimistic transactions. What is only read is locked shared, what is to be replaced exclusively, both until
//! the commit: two-phase locking of single rows.

use super::{options, show};
use crate::engine::{
    Access, Body, Durability, Engine, Failure, Intent, Level, Order, Result, See, Setting, Transactions,
    Write,
};
use rocksdb::{
    ErrorKind, Transaction, TransactionDB, TransactionDBOptions, TransactionOptions,
    WriteBatchWithTransaction, WriteOptions,
};
use std::path::Path;

pub(super) const LEVELS: &[Level] = &[Level {
    name: "rocksdb",
    isolation: "serializable but for phantoms: `TransactionDB`, each row read is locked until the commit",
    open,
}];

struct Txns {
    db: TransactionDB,
    is_synced: bool,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Transactions>> {
    let db = TransactionDB::open(&options(setting), &TransactionDBOptions::default(), home)?;
    Ok(Box::new(Txns { db, is_synced: setting.durability == Durability::Each }))
}

impl Txns {
    fn how(&self) -> WriteOptions {
        let mut how = WriteOptions::default();
        how.set_sync(self.is_synced);
        how
    }

    /// False if another transaction got in the way.
    fn attempt(&self, body: &mut Body<'_>) -> Result<bool> {
        let txn = self.db.transaction_opt(&self.how(), &TransactionOptions::default());
        let mut open = Open { txn };
        let outcome = match body(&mut open) {
            Ok(()) => open.txn.commit().map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match outcome {
            Err(failure) if is_in_the_way(&failure) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }
}

fn is_in_the_way(failure: &Failure) -> bool {
    let kind = failure.downcast_ref::<rocksdb::Error>().map(rocksdb::Error::kind);
    matches!(kind, Some(ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain))
}

impl Engine for Txns {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.db.get_pinned(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        writes.iter().for_each(|write| match write.value {
            Some(value) => batch.put(write.key, value),
            None => batch.delete(write.key),
        });
        Ok(self.db.write_opt(batch, &self.how())?)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        show(self.db.raw_iterator(), from, order, limit, see)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }
}

struct Open<'a> {
    txn: Transaction<'a, TransactionDB>,
}

impl Access for Open<'_> {
    fn get(&mut self, key: &[u8], intent: Intent, out: &mut Vec<u8>) -> Result<bool> {
        let found = self.txn.get_pinned_for_update(key, intent == Intent::Update)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.txn.put(key, value)?)
    }
}

impl Transactions for Txns {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let mut attempts = 1;
        while !self.attempt(body)? {
            attempts += 1;
        }
        Ok(attempts)
    }
}
