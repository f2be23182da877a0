//! redb.

use crate::engine::{
    Access, Body, Durability, Engine, Intent, Level, Order, Peer, Result, See, Setting, Transactions, Write,
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "redb",
    package: "redb",
    open,
    each: "`Durability::Immediate`",
    every_second: "`Durability::None`, a commit with `Immediate` each second",
    never: "`Durability::None`",
    checksums: "XXH3 in the tree, checked on repair only",
    cache: "`set_cache_size`, above the page cache",
    levels: &[Level {
        name: "redb",
        isolation: "serializable: one writer at a time",
        open: |home, setting| Ok(Box::new(open_redb(home, setting)?)),
    }],
};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

struct Redb {
    db: Database,
    durability: redb::Durability,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    Ok(Box::new(open_redb(home, setting)?))
}

fn open_redb(home: &Path, setting: &Setting) -> Result<Redb> {
    std::fs::create_dir_all(home)?;
    let db = Database::builder().set_cache_size(setting.cache_bytes as usize).create(home.join("redb"))?;
    let durability = match setting.durability {
        Durability::Each => redb::Durability::Immediate,
        Durability::EverySecond | Durability::Never => redb::Durability::None,
    };
    let engine = Redb { db, durability };
    engine.write_as(&[], redb::Durability::Immediate)?;
    Ok(engine)
}

impl Redb {
    fn write_as(&self, writes: &[Write<'_>], durability: redb::Durability) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(durability)?;
        {
            let mut rows = txn.open_table(ROWS)?;
            for write in writes {
                match write.value {
                    Some(value) => drop(rows.insert(write.key, value)?),
                    None => drop(rows.remove(write.key)?),
                }
            }
        }
        Ok(txn.commit()?)
    }
}

impl Engine for Redb {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let rows = self.db.begin_read()?.open_table(ROWS)?;
        let found = rows.get(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value.value())).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        self.write_as(writes, self.durability)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let table = self.db.begin_read()?.open_table(ROWS)?;
        let mut rows = match order {
            Order::Forward => table.range(from..)?,
            Order::Reverse => table.range(..=from)?,
        };
        for _ in 0..limit {
            let row = match order {
                Order::Forward => rows.next(),
                Order::Reverse => rows.next_back(),
            };
            let Some(row) = row else { break };
            let (key, value) = row?;
            see(key.value(), value.value());
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.write_as(&[], redb::Durability::Immediate)
    }
}

impl Access for Table<'_, &'static [u8], &'static [u8]> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        let found = ReadableTable::get(self, key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value.value())).is_some())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.insert(key, value)?;
        Ok(())
    }
}

impl Transactions for Redb {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(self.durability)?;
        body(&mut txn.open_table(ROWS)?)?;
        txn.commit()?;
        Ok(1)
    }
}
