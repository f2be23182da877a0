//! SQLite, bundled with rusqlite: one writing connection, and a reading one for each thread at work.

use crate::engine::{
    Access, Body, Durability, Engine, Failure, Intent, Level, Order, Peer, Result, See, Setting,
    Transactions, Write,
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const PEER: Peer = Peer {
    name: "sqlite",
    package: "rusqlite",
    open,
    each: "WAL, `synchronous=FULL`",
    every_second: "WAL, `synchronous=NORMAL`, a commit with `FULL` each second",
    never: "WAL, `synchronous=OFF`",
    checksums: "on WAL frames, not on pages",
    cache: "`cache_size` of each connection, above the page cache",
    levels: &[Level {
        name: "sqlite",
        isolation: "serializable: one writer at a time, `BEGIN IMMEDIATE`",
        open: |home, setting| Ok(Box::new(open_sqlite(home, setting)?)),
    }],
};

const GET: &str = "SELECT value FROM rows WHERE key = ?1";
const PUT: &str = "INSERT INTO rows VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
const DELETE: &str = "DELETE FROM rows WHERE key = ?1";
const FORWARD: &str = "SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key LIMIT ?2";
const REVERSE: &str = "SELECT key, value FROM rows WHERE key <= ?1 ORDER BY key DESC LIMIT ?2";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS marks (mark INTEGER PRIMARY KEY);";

struct Sqlite {
    path: PathBuf,
    synchronous: &'static str,
    cache_kib: u64,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

fn open(home: &Path, setting: &Setting) -> Result<Box<dyn Engine>> {
    Ok(Box::new(open_sqlite(home, setting)?))
}

fn open_sqlite(home: &Path, setting: &Setting) -> Result<Sqlite> {
    std::fs::create_dir_all(home)?;
    let synchronous = match setting.durability {
        Durability::Each => "FULL",
        Durability::EverySecond => "NORMAL",
        Durability::Never => "OFF",
    };
    let (path, cache_kib) = (home.join("rows.sqlite"), setting.cache_bytes / 1024);
    let writer = connect(&path, synchronous, cache_kib)?;
    writer.execute_batch(TABLE)?;
    let readers = Mutex::default();
    Ok(Sqlite { path, synchronous, cache_kib, writer: Mutex::new(writer), readers })
}

fn connect(path: &Path, synchronous: &str, cache_kib: u64) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -(cache_kib as i64))?;
    Ok(connection)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn apply(connection: &Connection, write: &Write<'_>) -> rusqlite::Result<usize> {
    match write.value {
        Some(value) => connection.prepare_cached(PUT)?.execute((write.key, value)),
        None => connection.prepare_cached(DELETE)?.execute((write.key,)),
    }
}

fn find(connection: &Connection, key: &[u8], out: &mut Vec<u8>) -> rusqlite::Result<bool> {
    let mut get = connection.prepare_cached(GET)?;
    let found = get.query_row((key,), |row| {
        out.extend_from_slice(row.get_ref(0)?.as_blob()?);
        Ok(())
    });
    Ok(found.optional()?.is_some())
}

impl Sqlite {
    /// Runs `read` on a connection that no other thread uses meanwhile.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, self.synchronous, self.cache_kib)?,
        };
        let found = read(&connection);
        lock(&self.readers).push(connection);
        found.map_err(Failure::from)
    }
}

impl Engine for Sqlite {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.read(|connection| find(connection, key, out))
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let mut writer = lock(&self.writer);
        if let [write] = writes {
            apply(&writer, write)?;
            return Ok(());
        }
        let txn = writer.transaction()?;
        writes.iter().try_for_each(|write| apply(&txn, write).map(drop))?;
        Ok(txn.commit()?)
    }

    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        self.read(|connection| {
            let text = if order == Order::Forward { FORWARD } else { REVERSE };
            let mut scan = connection.prepare_cached(text)?;
            let mut rows = scan.query((from, limit as i64))?;
            while let Some(row) = rows.next()? {
                see(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        let writer = lock(&self.writer);
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.execute("INSERT OR REPLACE INTO marks VALUES (1)", ())?;
        writer.pragma_update(None, "synchronous", self.synchronous)?;
        Ok(())
    }
}

impl Access for Transaction<'_> {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        Ok(find(self, key, out)?)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        apply(self, &Write { key, value: Some(value) })?;
        Ok(())
    }
}

impl Transactions for Sqlite {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let mut writer = lock(&self.writer);
        let mut txn = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        body(&mut txn)?;
        txn.commit()?;
        Ok(1)
    }
}
