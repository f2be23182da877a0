//! Aether, through its facade.

use crate::engine::{
    Access, Body, Durability, Engine, Failure, Intent, Level, Order, Peer, Result, See, Setting,
    Transactions, Write,
};
use aether::buffer::BufferConfig;
use aether::{
    Db, Error, ErrorKind, GenericKvStore, Isolation, Keyspace, LsmIndex, Options, Transact, Txn, TxnOptions,
};
use std::path::Path;
use std::time::Duration;

pub(super) const PEER: Peer = Peer {
    name: "aether",
    package: "aether",
    open: |home, setting| Ok(Box::new(open(home, setting, Isolation::Snapshot)?)),
    each: "`Durability::Sync`",
    every_second: "`Durability::Async` of 1 s",
    never: "`Durability::None`",
    checksums: "XXH3 on every page and log record",
    cache: "buffer pool; files are read and written past the page cache",
    levels: &[
        Level {
            name: "aether snapshot",
            isolation: "snapshot isolation: reads at one state, the first of two updaters of a row wins",
            open: |home, setting| Ok(Box::new(open(home, setting, Isolation::Snapshot)?)),
        },
        Level {
            name: "aether serializable",
            isolation: "serializable: what was read is validated at commit",
            open: |home, setting| Ok(Box::new(open(home, setting, Isolation::Serializable)?)),
        },
    ],
};

/// The same engine, its rows in an LSM tree.
pub(super) const LSM: Peer = Peer {
    name: "aether-lsm",
    open: |home, setting| {
        let store = GenericKvStore::<LsmIndex>::open_with(home, options(setting))?;
        Ok(Box::new(Aether::new(store.into_db(), Isolation::Snapshot)?))
    },
    checksums: "XXH3 on every block of a run, page and log record",
    cache: "buffer pool, runs included; memtables come on top; files are read and written past the page cache",
    levels: &[],
    ..PEER
};

struct Aether {
    db: Db,
    /// A row here, committed durably, makes durable all that was committed before.
    marks: Keyspace,
    level: Isolation,
}

fn open(home: &Path, setting: &Setting, level: Isolation) -> Result<Aether> {
    Aether::new(Db::open_with(home, options(setting))?, level)
}

fn options(setting: &Setting) -> Options {
    let durability = match setting.durability {
        Durability::Each => aether::Durability::Sync,
        Durability::EverySecond => aether::Durability::Async { interval: Duration::from_secs(1) },
        Durability::Never => aether::Durability::None,
    };
    let num_frames = (setting.cache_bytes / 4096) as usize;
    let buffer = BufferConfig { num_frames, ..BufferConfig::default() };
    Options { buffer, durability, ..Options::default() }
}

impl Aether {
    fn new(db: Db, level: Isolation) -> Result<Self> {
        let marks = db.env().open_or_create_keyspace("marks")?;
        Ok(Self { db, marks, level })
    }

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

struct Open<'a> {
    txn: &'a mut Txn,
    rows: &'a Keyspace,
}

impl Access for Open<'_> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        Ok(self.txn.get_into(self.rows, key, out)?)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.txn.put(self.rows, key, value)?)
    }
}

impl Transactions for Aether {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let how = Transact { txn: TxnOptions::at(self.level), attempts_max: u32::MAX, ..Transact::default() };
        let mut failed = None;
        let done = self.db.transact_with(how, |txn| {
            let failure = body(&mut Open { txn, rows: self.db.keyspace() });
            failure.map_err(|failure| unwrap(failure, &mut failed))
        });
        match failed {
            Some(failure) => Err(failure),
            None => Ok(u64::from(done?.attempts)),
        }
    }
}

/// The engine's error, which says whether to try again; another is put aside, and ends the attempts.
fn unwrap(failure: Failure, aside: &mut Option<Failure>) -> Error {
    match failure.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => {
            *aside = Some(other);
            Error::invalid("the body failed")
        }
    }
}
