//! RocksDB.

mod txn;

use crate::engine::{Durability, Engine, Order, Peer, Result, See, Setting, Write};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBAccess, DBCompactionStyle, DBCompressionType,
    DBRawIteratorWithThreadMode, Options, WriteBatch, WriteOptions,
};
use std::path::Path;

pub(super) const PEER: Peer = Peer {
    name: "rocksdb",
    package: "rocksdb",
    open: |home, setting| open_with(&options(setting), home, setting),
    each: "`WriteOptions::sync`",
    every_second: "WAL to the page cache, `flush_wal(sync)` each second",
    never: "WAL to the page cache",
    checksums: "XXH3 on blocks, CRC32C on WAL records",
    cache: "LRU block cache, above the page cache; memtables come on top",
    levels: txn::LEVELS,
};

pub(super) const UNIVERSAL: Peer = Peer {
    name: "rocksdb-universal",
    open: |home, setting| {
        let mut options = options(setting);
        options.set_compaction_style(DBCompactionStyle::Universal);
        open_with(&options, home, setting)
    },
    levels: &[],
    ..PEER
};

const BLOOM_BITS: f64 = 10.0;

struct Rocks {
    db: DB,
    is_synced: bool,
}

fn options(setting: &Setting) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(setting.cache_bytes as usize));
    blocks.set_bloom_filter(BLOOM_BITS, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::None);
    options.set_block_based_table_factory(&blocks);
    options
}

fn open_with(options: &Options, home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    let db = DB::open(options, home)?;
    Ok(Box::new(Rocks { db, is_synced: setting.durability == Durability::Each }))
}

fn show<D: DBAccess>(
    mut rows: DBRawIteratorWithThreadMode<'_, D>,
    from: &[u8],
    order: Order,
    limit: u64,
    see: &mut See<'_>,
) -> Result<()> {
    match order {
        Order::Forward => rows.seek(from),
        Order::Reverse => rows.seek_for_prev(from),
    }
    for _ in 0..limit {
        let Some((key, value)) = rows.item() else { break };
        see(key, value);
        match order {
            Order::Forward => rows.next(),
            Order::Reverse => rows.prev(),
        }
    }
    Ok(rows.status()?)
}

impl Engine for Rocks {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.db.get_pinned(key)?;
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let mut how = WriteOptions::default();
        how.set_sync(self.is_synced);
        let mut batch = WriteBatch::default();
        writes.iter().for_each(|write| match write.value {
            Some(value) => batch.put(write.key, value),
            None => batch.delete(write.key),
        });
        Ok(self.db.write_opt(batch, &how)?)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        show(self.db.raw_iterator(), from, order, limit, see)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }
}
