//! Accounts: reads and updates of one or two of them, by Zipf's law, as YCSB-T does (Dey et al., YCSB+T, ICDEW 2014).
//!
//! Half of the transactions pay into an account, half move money from one to another. So the sum of all balances is what
//! was paid in, and nothing else.

use super::row::{self, Key, key};
use super::{Business, Client, Done, Kept, holds, write_all};
use crate::draw::Zipf;
use crate::engine::{Engine, Failure, Order, Result, Transactions};
use crate::workload::Scale;
use std::sync::atomic::Ordering::Relaxed;

const TABLE: u8 = 1;
const VALUE_BYTES: usize = 100;
const UPDATE_BYTES: u64 = (size_of::<Key>() + VALUE_BYTES) as u64;

/// The accounts, each with the sum of its balance first.
pub(super) struct Accounts {
    count: u32,
    zipf: Zipf,
}

impl Accounts {
    pub(super) fn new(scale: &Scale) -> Self {
        let count = (scale.rows / 10).clamp(100, 1_000_000);
        Self { count: count as u32, zipf: Zipf::new(count) }
    }

    fn deposit(&self, store: &dyn Transactions, client: &mut Client<'_>) -> Result<Done> {
        let (account, amount) = (self.zipf.scattered(&mut client.rng), 1 + client.rng.below(100) as i64);
        let value = &mut client.value;
        let attempts = store.transact(&mut |txn| add(txn, account, amount, value))?;
        client.kept.amount.fetch_add(amount, Relaxed);
        Ok(Done { attempts, user_bytes: UPDATE_BYTES })
    }

    /// In the order of the accounts, so that engines which lock rows meet no deadlock.
    fn transfer(&self, store: &dyn Transactions, client: &mut Client<'_>) -> Result<Done> {
        let one = self.zipf.scattered(&mut client.rng);
        let other = (one + 1 + self.zipf.scattered(&mut client.rng)) % u64::from(self.count);
        let (low, high) = (one.min(other), one.max(other));
        let (amount, value) = (client.rng.below(201) as i64 - 100, &mut client.value);
        let attempts = store.transact(&mut |txn| {
            add(txn, low, amount, value)?;
            add(txn, high, -amount, value)
        })?;
        Ok(Done { attempts, user_bytes: 2 * UPDATE_BYTES })
    }
}

fn add(txn: &mut dyn crate::engine::Access, account: u64, amount: i64, value: &mut Vec<u8>) -> Result<()> {
    let key = key(TABLE, [account as u32, 0, 0, 0]);
    row::update(txn, &key, value, |[balance, changes, rest]| [balance + amount, changes + 1, rest]).map(drop)
}

impl Business for Accounts {
    fn load(&self, store: &dyn Engine) -> Result<()> {
        let mut value = Vec::new();
        row::encode([0; 3], VALUE_BYTES, &mut value);
        write_all(store, (0..self.count).map(|account| (key(TABLE, [account, 0, 0, 0]), value.clone())))
    }

    fn step(&self, store: &dyn Transactions, client: &mut Client<'_>) -> Result<Done> {
        if client.rng.below(2) == 0 { self.deposit(store, client) } else { self.transfer(store, client) }
    }

    fn check(&self, store: &dyn Engine, kept: &[Kept]) -> Result<()> {
        let (mut rows, mut balance, mut failed) = (0, 0, None);
        store.scan(
            &[TABLE],
            Order::Forward,
            u64::from(u32::MAX),
            &mut |_, value| match row::fields(value) {
                Ok(fields) => (rows, balance) = (rows + 1, balance + fields[0]),
                Err(error) => failed = Some(error),
            },
        )?;
        failed.map_or(Ok(()), Err::<(), Failure>)?;
        let deposited: i64 = kept.iter().map(|kept| kept.amount.load(Relaxed)).sum();
        holds(rows == self.count, || format!("{rows} accounts, {} were loaded", self.count))?;
        holds(balance == deposited, || format!("balances add up to {balance}, {deposited} were paid in"))
    }
}
