//! canopydb.

use crate::engine::{Durability, Engine, Failure, Order, Peer, Result, See, Setting, Write};
use canopydb::{Database, DbOptions, EnvOptions, ReadTransaction};
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "canopydb",
    package: "canopydb",
    open,
    each: "`commit_with(sync)`",
    every_second: "commits without sync, `sync` each second",
    never: "commits without sync",
    checksums: "none on pages (`use_checksums` is off by default)",
    cache: "`page_cache_size`; up to 256 MB of changes come on top",
    levels: &[],
};

const ROWS: &[u8] = b"rows";

struct Canopy {
    db: Database,
    is_synced: bool,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(home)?;
    let mut options = EnvOptions::new(home);
    options.page_cache_size = setting.cache_bytes as usize;
    let db = Database::with_options(options, DbOptions::default())?;
    let engine = Canopy { db, is_synced: setting.durability == Durability::Each };
    let txn = engine.db.begin_write()?;
    drop(txn.get_or_create_tree(ROWS)?);
    txn.commit()?;
    Ok(Box::new(engine))
}

fn rows(txn: &ReadTransaction) -> Result<canopydb::Tree<'_>> {
    txn.get_tree(ROWS)?.ok_or_else(|| Failure::from("the tree is gone"))
}

impl Engine for Canopy {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let txn = self.db.begin_read()?;
        let found = rows(&txn)?.get(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let txn = self.db.begin_write()?;
        {
            let mut rows = txn.get_or_create_tree(ROWS)?;
            for write in writes {
                match write.value {
                    Some(value) => rows.insert(write.key, value)?,
                    None => _ = rows.delete(write.key)?,
                }
            }
        }
        txn.commit_with(self.is_synced)?;
        Ok(())
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let txn = self.db.begin_read()?;
        let tree = rows(&txn)?;
        let mut rows = match order {
            Order::Forward => tree.range(from..)?,
            Order::Reverse => tree.range(..=from)?,
        };
        for _ in 0..limit {
            let row = match order {
                Order::Forward => rows.next(),
                Order::Reverse => rows.next_back(),
            };
            let Some(row) = row else { break };
            let (key, value) = row?;
            see(&key, &value);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.sync()?)
    }
}
