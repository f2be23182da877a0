//! The loader: rows in, durable transactions out.

use super::source::{Next, Row, Source};
use crate::arguments::OnDuplicate;
use crate::exit::{Failure, Outcome};
use crate::show;
use aether::{DbEnv, Keyspace, Txn};

/// A batch of long rows ends at so many bytes, whatever its rows.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// What is durable so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    /// Rows put.
    pub(crate) rows: u64,
    /// Rows left out because their key was there (`--on-duplicate first`).
    pub(crate) skipped: u64,
    /// Transactions.
    pub(crate) transactions: u64,
    /// Bytes of input.
    pub(crate) bytes: u64,
}

/// How rows are loaded.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Nothing: the last row of a key stays, unless the source may repeat keys; then that is an error.
    pub(crate) on_duplicate: Option<OnDuplicate>,
    /// Rows per transaction.
    pub(crate) batch_rows: u64,
    /// Each database of the input goes into the keyspace of its name.
    pub(crate) by_database: bool,
}

/// Loads rows into a keyspace.
pub(crate) struct Loader<'a> {
    env: &'a DbEnv,
    /// Where rows without a database's name go.
    keyspace_name: &'a str,
    /// Where rows go now, once that is open.
    keyspace: Option<Keyspace>,
    rules: Rules,
    databases: u64,
    /// The key before, kept where keys may repeat.
    key_before: Option<Vec<u8>>,
    durable: Report,
    pending: Report,
}

impl<'a> Loader<'a> {
    /// A loader into the keyspace of that name, which it creates if it is absent.
    pub(crate) fn new(env: &'a DbEnv, keyspace_name: &'a str, rules: Rules) -> Self {
        Self {
            env,
            keyspace_name,
            keyspace: None,
            rules,
            databases: 0,
            key_before: None,
            durable: Report::default(),
            pending: Report::default(),
        }
    }

    /// Loads all of `source` and calls `committed` after each durable transaction. A failure tells the place in the
    /// source and how much is durable. Blocks.
    pub(crate) fn run(
        mut self,
        source: &mut dyn Source,
        committed: &mut dyn FnMut(&Report) -> Outcome<()>,
    ) -> Outcome<Report> {
        let mut row = Row::default();
        if !self.rules.by_database {
            self.keyspace()?;
        }
        loop {
            let more = self.batch(source, &mut row);
            let more = more.map_err(|failure| failure.within(&source.place(), &self.stays()))?;
            if self.pending.transactions > self.durable.transactions {
                self.durable = self.pending;
                committed(&self.durable)?;
            }
            if !more {
                return Ok(self.durable);
            }
        }
    }

    /// Loads one batch; false at the end of the input.
    fn batch(&mut self, source: &mut dyn Source, row: &mut Row) -> Outcome<bool> {
        let mut txn = self.env.begin()?;
        self.pending = self.durable;
        let mut more = true;
        while more && !self.is_batch_full() {
            more = self.step(&mut txn, source, row)?;
            self.pending.bytes = source.bytes();
        }
        if self.pending_rows() > 0 {
            txn.commit()?;
            self.pending.transactions += 1;
        }
        Ok(more)
    }

    fn is_batch_full(&self) -> bool {
        self.pending_rows() >= self.rules.batch_rows
            || self.pending.bytes - self.durable.bytes >= BATCH_BYTES_MAX
    }

    fn pending_rows(&self) -> u64 {
        self.pending.rows + self.pending.skipped - self.durable.rows - self.durable.skipped
    }

    /// Takes what the source gives next; false at the end of the input.
    fn step(&mut self, txn: &mut Txn, source: &mut dyn Source, row: &mut Row) -> Outcome<bool> {
        match source.next(row)? {
            Next::End => return Ok(false),
            Next::Database(name) => self.enter(name)?,
            Next::Row => {
                if self.rules.on_duplicate.is_none() && source.may_repeat_keys() {
                    self.judge_repeated(&row.key)?;
                }
                self.put(txn, row)?;
            }
        }
        Ok(true)
    }

    fn enter(&mut self, name: Option<String>) -> Outcome<()> {
        self.databases += 1;
        self.key_before = None;
        match name {
            _ if !self.rules.by_database && self.databases > 1 => {
                return Err(Failure::input(
                    "a second database in the input (--databases loads each into the keyspace of its name)",
                ));
            }
            Some(name) if self.rules.by_database => {
                self.keyspace = Some(self.env.open_or_create_keyspace(&name)?);
            }
            _ => self.keyspace = None,
        }
        Ok(())
    }

    fn keyspace(&mut self) -> Outcome<Keyspace> {
        match &self.keyspace {
            Some(keyspace) => Ok(keyspace.clone()),
            None => {
                let keyspace = self.env.open_or_create_keyspace(self.keyspace_name)?;
                Ok(self.keyspace.insert(keyspace).clone())
            }
        }
    }

    fn judge_repeated(&mut self, key: &[u8]) -> Outcome<()> {
        if self.key_before.as_deref() == Some(key) {
            return Err(Failure::input(format!(
                "the key \"{}\" has several values and a keyspace keeps one (--on-duplicate chooses)",
                show::cell(key)
            )));
        }
        let before = self.key_before.get_or_insert_default();
        before.clear();
        before.extend_from_slice(key);
        Ok(())
    }

    fn put(&mut self, txn: &mut Txn, row: &Row) -> Outcome<()> {
        let keyspace = self.keyspace()?;
        let on_duplicate = self.rules.on_duplicate.unwrap_or(OnDuplicate::Last);
        if on_duplicate != OnDuplicate::Last && txn.get(&keyspace, &row.key)?.is_some() {
            if on_duplicate == OnDuplicate::Error {
                return Err(Failure::input(format!("the key \"{}\" is there already", show::cell(&row.key))));
            }
            self.pending.skipped += 1;
            return Ok(());
        }
        txn.put(&keyspace, &row.key, &row.value)?;
        self.pending.rows += 1;
        Ok(())
    }

    /// What the user is told of a load that ends early.
    fn stays(&self) -> String {
        format!(
            "; {} rows of {} transactions are committed and stay",
            self.durable.rows, self.durable.transactions
        )
    }
}
