//! Accounts: transfers keep the sum, and pairs of accounts together never owe.

use super::{Acknowledged, Work, rows};
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use aether_kv::{Error, Keyspace, Result, Snapshot, Txn};
use aether_sync::thread::yield_now;

/// Accounts, two to a pair.
const ACCOUNTS: usize = 8;

/// What each holds at first.
const FIRST: i64 = 100;

/// Transfers between any two accounts.
pub(super) struct Bank;

/// Withdrawals from and deposits to one account of a pair.
pub(super) struct Overdraft;

fn key(account: usize) -> Vec<u8> {
    format!("account-{account}").into_bytes()
}

fn balance(txn: &Txn, space: &Keyspace, account: usize) -> Result<i64> {
    let value = txn.get(space, &key(account))?;
    let bytes = value.as_deref().and_then(<[u8]>::first_chunk);
    bytes
        .map(|bytes| i64::from_le_bytes(*bytes))
        .ok_or_else(|| Error::corruption("an account without a balance"))
}

fn set(txn: &mut Txn, space: &Keyspace, account: usize, balance: i64) -> Result<()> {
    txn.put(space, &key(account), &balance.to_le_bytes())
}

fn found(txn: &mut Txn, space: &Keyspace) -> Result<()> {
    (0..ACCOUNTS).try_for_each(|account| set(txn, space, account, FIRST))
}

/// The balances that a snapshot shows.
fn balances(take: &dyn Fn() -> Result<Snapshot>, space: &Keyspace) -> Verdict<Vec<i64>> {
    let snapshot = take().map_err(failed(super::READ_FAILED))?;
    let rows = rows(&snapshot, space, "account-")?;
    let balances: Vec<_> = rows
        .iter()
        .filter_map(|(_, value)| value.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)))
        .collect();
    if balances.len() == ACCOUNTS { Ok(balances) } else { Err(format!("{} accounts", balances.len())) }
}

impl Work for Bank {
    fn found(&self, txn: &mut Txn, space: &Keyspace) -> Result<()> {
        found(txn, space)
    }

    fn act(&self, _: usize, rng: &mut Rng, txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged> {
        let from = rng.below(ACCOUNTS);
        let to = (from + rng.between(1, ACCOUNTS - 1)) % ACCOUNTS;
        let (giver, taker) = (balance(txn, space, from)?, balance(txn, space, to)?);
        yield_now();
        let amount = (rng.below(50) as i64).min(giver);
        set(txn, space, from, giver - amount)?;
        set(txn, space, to, taker + amount)?;
        Ok(Acknowledged::Nothing)
    }

    fn acknowledge(&self, _: usize, _: Acknowledged) {}

    fn check(&self, take: &dyn Fn() -> Result<Snapshot>, space: &Keyspace) -> Verdict<()> {
        let balances = balances(take, space)?;
        let (sum, wanted) = (balances.iter().sum::<i64>(), ACCOUNTS as i64 * FIRST);
        if sum != wanted {
            return Err(format!("{sum} in all, expected {wanted}"));
        }
        if balances.iter().any(|balance| *balance < 0) {
            Err(format!("somebody owes: {balances:?}"))
        } else {
            Ok(())
        }
    }
}

impl Work for Overdraft {
    fn found(&self, txn: &mut Txn, space: &Keyspace) -> Result<()> {
        found(txn, space)
    }

    fn act(&self, _: usize, rng: &mut Rng, txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged> {
        let account = rng.below(ACCOUNTS);
        let (own, other) = (balance(txn, space, account)?, balance(txn, space, account ^ 1)?);
        yield_now();
        let held = own + other;
        let change = if held < 100 && rng.chance(40) { 50 } else { -(rng.below(150) as i64).min(held) };
        set(txn, space, account, own + change)?;
        Ok(Acknowledged::Nothing)
    }

    fn acknowledge(&self, _: usize, _: Acknowledged) {}

    fn check(&self, take: &dyn Fn() -> Result<Snapshot>, space: &Keyspace) -> Verdict<()> {
        let balances = balances(take, space)?;
        match balances.chunks(2).find(|pair| pair.iter().sum::<i64>() < 0) {
            Some(pair) => Err(format!("a pair owes: {pair:?}")),
            None => Ok(()),
        }
    }
}
