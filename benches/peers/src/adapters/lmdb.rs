//! LMDB, through heed.

#![allow(
    unsafe_code,
    reason = "heed's open and flags: the file must not be changed by others while it is mapped"
)]

use crate::engine::{
    Access, Body, Durability, Engine, Intent, Level, Order, Peer, Result, See, Setting, Transactions, Write,
};
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RwTxn};
use std::ops::Bound;
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "lmdb",
    package: "heed",
    open,
    each: "default (`fdatasync` at commit)",
    every_second: "`MDB_NOSYNC`, `mdb_env_sync` each second",
    never: "`MDB_NOSYNC`",
    checksums: "none",
    cache: "none of its own: the page cache, mapped",
    levels: &[Level {
        name: "lmdb",
        isolation: "serializable: one writer at a time",
        open: |home, setting| Ok(Box::new(open_lmdb(home, setting)?)),
    }],
};

/// Address space, not memory.
const MAP_BYTES: usize = 64 << 30;

struct Lmdb {
    env: Env,
    rows: Database<Bytes, Bytes>,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    Ok(Box::new(open_lmdb(home, setting)?))
}

fn open_lmdb(home: &Path, setting: &Setting) -> Result<Lmdb> {
    std::fs::create_dir_all(home)?;
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    if setting.durability != Durability::Each {
        // SAFETY: NO_SYNC endangers the file only when power is lost, and no bench outlives that.
        unsafe { options.flags(EnvFlags::NO_SYNC) };
    }
    // SAFETY: the driver gives each child a directory of its own, and none is opened twice at a time.
    let env = unsafe { options.open(home)? };
    let mut txn = env.write_txn()?;
    let rows = env.create_database(&mut txn, None)?;
    txn.commit()?;
    Ok(Lmdb { env, rows })
}

fn show<'t>(
    rows: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
    limit: u64,
    see: &mut See<'_>,
) -> Result<()> {
    for row in rows.take(limit as usize) {
        let (key, value) = row?;
        see(key, value);
    }
    Ok(())
}

impl Engine for Lmdb {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let txn = self.env.read_txn()?;
        let found = self.rows.get(&txn, key)?;
        found.inspect(|value| out.extend_from_slice(value));
        Ok(found.is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        for write in writes {
            match write.value {
                Some(value) => self.rows.put(&mut txn, write.key, value)?,
                None => _ = self.rows.delete(&mut txn, write.key)?,
            }
        }
        Ok(txn.commit()?)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let txn = self.env.read_txn()?;
        match order {
            Order::Forward => {
                let range = (Bound::Included(from), Bound::Unbounded);
                show(self.rows.range(&txn, &range)?, limit, see)
            }
            Order::Reverse => {
                let range = (Bound::Unbounded, Bound::Included(from));
                show(self.rows.rev_range(&txn, &range)?, limit, see)
            }
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }
}

struct Open<'a> {
    txn: RwTxn<'a>,
    rows: Database<Bytes, Bytes>,
}

impl Access for Open<'_> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        let found = self.rows.get(&self.txn, key)?;
        found.inspect(|value| out.extend_from_slice(value));
        Ok(found.is_some())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.rows.put(&mut self.txn, key, value)?)
    }
}

impl Transactions for Lmdb {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let mut open = Open { txn: self.env.write_txn()?, rows: self.rows };
        body(&mut open)?;
        open.txn.commit()?;
        Ok(1)
    }
}
