//! libmdbx.

use crate::engine::{Durability, Engine, Order, Peer, Result, See, Setting, Write};
use libmdbx::{Database, DatabaseOptions, Mode, NoWriteMap, ReadWriteOptions, SyncMode, WriteFlags};
use std::borrow::Cow;
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "mdbx",
    package: "libmdbx",
    open,
    each: "`SyncMode::Durable`",
    every_second: "`SyncMode::UtterlyNoSync`, `sync` each second",
    never: "`SyncMode::UtterlyNoSync`",
    checksums: "none",
    cache: "none of its own: the page cache, mapped",
    levels: &[],
};

/// Address space, not memory.
const MAP_BYTES: isize = 64 << 30;

type Bytes<'a> = Cow<'a, [u8]>;

struct Mdbx(Database<NoWriteMap>);

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    let sync_mode = match setting.durability {
        Durability::Each => SyncMode::Durable,
        Durability::EverySecond | Durability::Never => SyncMode::UtterlyNoSync,
    };
    let mode = ReadWriteOptions { sync_mode, max_size: Some(MAP_BYTES), ..ReadWriteOptions::default() };
    let options = DatabaseOptions { mode: Mode::ReadWrite(mode), ..DatabaseOptions::default() };
    Ok(Box::new(Mdbx(Database::open_with_options(home, options)?)))
}

impl Engine for Mdbx {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let txn = self.0.begin_ro_txn()?;
        let table = txn.open_table(None)?;
        let found = txn.get::<Bytes<'_>>(&table, key)?;
        found.as_ref().inspect(|value| out.extend_from_slice(value));
        Ok(found.is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let txn = self.0.begin_rw_txn()?;
        {
            let table = txn.open_table(None)?;
            for write in writes {
                match write.value {
                    Some(value) => txn.put(&table, write.key, value, WriteFlags::UPSERT)?,
                    None => _ = txn.del(&table, write.key, None)?,
                }
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let txn = self.0.begin_ro_txn()?;
        let mut cursor = txn.cursor(&txn.open_table(None)?)?;
        let mut row = cursor.set_range::<Bytes<'_>, Bytes<'_>>(from)?;
        if order == Order::Reverse && row.as_ref().is_none_or(|(key, _)| **key != *from) {
            row = if row.is_some() { cursor.prev()? } else { cursor.last()? };
        }
        for _ in 0..limit {
            let Some((key, value)) = row else { break };
            see(&key, &value);
            row = if order == Order::Forward { cursor.next()? } else { cursor.prev()? };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.0.sync(true)?;
        Ok(())
    }
}
