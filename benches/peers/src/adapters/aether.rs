//! Aether, through its facade.

use crate::engine::{Durability, Engine, Order, Peer, Result, See, Setting, Write};
use aether::buffer::BufferConfig;
use aether::{Db, ErrorKind, Keyspace, Options, Txn};
use std::path::Path;
use std::time::Duration;

pub(super) const PEER: Peer = Peer {
    name: "aether",
    package: "aether",
    open,
    each: "`Durability::Sync`",
    every_second: "`Durability::Async` of 1 s",
    never: "`Durability::None`",
    checksums: "XXH3 on every page and log record",
    cache: "buffer pool; files are read and written past the page cache",
};

struct Aether {
    db: Db,
    /// A row here, committed durably, makes durable all that was committed before.
    marks: Keyspace,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    let durability = match setting.durability {
        Durability::Each => aether::Durability::Sync,
        Durability::EverySecond => aether::Durability::Async { interval: Duration::from_secs(1) },
        Durability::Never => aether::Durability::None,
    };
    let num_frames = (setting.cache_bytes / 4096) as usize;
    let buffer = BufferConfig { num_frames, ..BufferConfig::default() };
    let db = Db::open_with(home, Options { buffer, durability, ..Options::default() })?;
    let marks = db.env().open_or_create_keyspace("marks")?;
    Ok(Box::new(Aether { db, marks }))
}

impl Aether {
    /// Runs the writes in one transaction; none if another got in the way.
    fn attempt(&self, writes: &[Write<'_>]) -> Result<Option<Txn>> {
        let mut txn = self.db.begin()?;
        for write in writes {
            let done = match write.value {
                Some(value) => txn.put(self.db.keyspace(), write.key, value),
                None => txn.delete(self.db.keyspace(), write.key).map(drop),
            };
            match done {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(txn))
    }
}

impl Engine for Aether {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Ok(self.db.get_into(key, out)?)
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        if let [Write { key, value: Some(value) }] = writes {
            return Ok(self.db.put(key, value)?);
        }
        loop {
            if let Some(txn) = self.attempt(writes)? {
                return Ok(txn.commit()?);
            }
            std::thread::yield_now();
        }
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let mut rows = match order {
            Order::Forward => self.db.range(from.to_vec()..)?,
            Order::Reverse => self.db.range(..=from.to_vec())?,
        };
        for _ in 0..limit {
            let row = match order {
                Order::Forward => rows.next_ref()?,
                Order::Reverse => rows.next_back_ref()?,
            };
            let Some((key, value)) = row else { break };
            see(key, value);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut txn = self.db.begin()?;
        txn.set_durability(aether::Durability::Sync);
        txn.put(&self.marks, b"synced", b"")?;
        Ok(txn.commit()?)
    }
}
