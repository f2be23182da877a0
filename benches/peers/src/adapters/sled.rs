//! sled.

use crate::engine::{Durability, Engine, Order, Peer, Result, See, Setting, Write};
use sled::{Batch, Config, Db, IVec};
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "sled",
    package: "sled",
    open,
    each: "`flush` after each batch (`sync_file_range`: not proof against the loss of power)",
    every_second: "`flush` each second",
    never: "no `flush`",
    checksums: "CRC32 on log messages",
    cache: "`cache_capacity`",
    levels: &[],
};

struct Sled {
    db: Db,
    is_synced: bool,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    let config = Config::new().path(home).cache_capacity(setting.cache_bytes).flush_every_ms(None);
    Ok(Box::new(Sled { db: config.open()?, is_synced: setting.durability == Durability::Each }))
}

fn show(rows: impl Iterator<Item = sled::Result<(IVec, IVec)>>, limit: u64, see: &mut See<'_>) -> Result<()> {
    for row in rows.take(limit as usize) {
        let (key, value) = row?;
        see(&key, &value);
    }
    Ok(())
}

impl Engine for Sled {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.db.get(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        if let [Write { key, value: Some(value) }] = writes {
            self.db.insert(key, *value)?;
        } else {
            let mut batch = Batch::default();
            writes.iter().for_each(|write| match write.value {
                Some(value) => batch.insert(write.key, value),
                None => batch.remove(write.key),
            });
            self.db.apply_batch(batch)?;
        }
        if self.is_synced { self.sync() } else { Ok(()) }
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        match order {
            Order::Forward => show(self.db.range(from..), limit, see),
            Order::Reverse => show(self.db.range(..=from).rev(), limit, see),
        }
    }

    fn sync(&self) -> Result<()> {
        self.db.flush()?;
        Ok(())
    }
}
