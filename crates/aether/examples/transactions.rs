//! Transfers between accounts: all or nothing, conflicts run again, and readers always see a whole state.
//!
//! `cargo run --example transactions`

#![allow(clippy::print_stdout)]

use aether::{Advice, Db, Result, Snapshot, Txn};
use std::thread;

const ACCOUNTS: u64 = 8;
const OPENING: u64 = 1000;
const TELLERS: u64 = 4;
const TRANSFERS: u64 = 50;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let db = Db::open(dir.path().join("bank.db"))?;
    open_accounts(&db)?;
    nothing_of_an_aborted_transfer(&db)?;
    only_what_follows_a_savepoint_is_undone(&db)?;

    let before = db.snapshot()?;
    thread::scope(|scope| {
        let tellers: Vec<_> = (0..TELLERS)
            .map(|teller| {
                let db = &db;
                scope.spawn(move || work(db, teller))
            })
            .collect();
        for teller in tellers {
            let conflicts = teller.join().expect("a teller does not panic").expect("a teller ends well");
            println!("{TRANSFERS} transfers, {conflicts} run again after a conflict");
        }
    });

    // The snapshot still shows the state that it was taken of; a new one shows the work.
    assert_eq!(balances(&db, &before)?, [OPENING; ACCOUNTS as usize]);
    let after = balances(&db, &db.snapshot()?)?;
    assert_eq!(after.iter().sum::<u64>(), ACCOUNTS * OPENING);
    println!("balances {after:?}, total {}: nothing lost or made", after.iter().sum::<u64>());
    Ok(())
}

fn open_accounts(db: &Db) -> Result<()> {
    let mut txn = db.begin()?;
    for account in 0..ACCOUNTS {
        txn.put(db.keyspace(), &key(account), &OPENING.to_be_bytes())?;
    }
    txn.commit()
}

fn nothing_of_an_aborted_transfer(db: &Db) -> Result<()> {
    let mut txn = db.begin()?;
    transfer(db, &mut txn, 0, 1, 500)?;
    assert_eq!(balance(txn.get(db.keyspace(), &key(0))?), 500, "a transaction reads its own writes");
    txn.abort()?;
    assert_eq!(balance(db.get(&key(0))?), OPENING);
    println!("aborted: account 0 holds {OPENING} again");
    Ok(())
}

fn only_what_follows_a_savepoint_is_undone(db: &Db) -> Result<()> {
    let mut txn = db.begin()?;
    transfer(db, &mut txn, 2, 3, 10)?;
    let savepoint = txn.savepoint();
    transfer(db, &mut txn, 2, 3, 900)?;
    txn.rollback_to(&savepoint)?;
    transfer(db, &mut txn, 3, 2, 10)?;
    txn.commit()?;
    assert_eq!(balance(db.get(&key(2))?), OPENING);
    println!("rolled back to a savepoint: account 2 holds {OPENING}");
    Ok(())
}

/// Transfers between accounts that others use too; gives how many conflicts there were.
fn work(db: &Db, teller: u64) -> Result<u64> {
    let mut conflicts = 0;
    for step in 0..TRANSFERS {
        let from = (teller * 3 + step) % ACCOUNTS;
        let to = (from + 1 + step % (ACCOUNTS - 1)) % ACCOUNTS;
        while let Err(error) = attempt(db, from, to) {
            if error.advice() != Advice::Retry {
                return Err(error);
            }
            conflicts += 1;
            thread::yield_now();
        }
    }
    Ok(conflicts)
}

fn attempt(db: &Db, from: u64, to: u64) -> Result<()> {
    let mut txn = db.begin()?;
    transfer(db, &mut txn, from, to, 1)?;
    txn.commit()
}

fn transfer(db: &Db, txn: &mut Txn, from: u64, to: u64, amount: u64) -> Result<()> {
    let source = balance(txn.get(db.keyspace(), &key(from))?);
    let target = balance(txn.get(db.keyspace(), &key(to))?);
    txn.put(db.keyspace(), &key(from), &(source - amount).to_be_bytes())?;
    txn.put(db.keyspace(), &key(to), &(target + amount).to_be_bytes())
}

fn balances(db: &Db, snapshot: &Snapshot) -> Result<Vec<u64>> {
    (0..ACCOUNTS).map(|account| Ok(balance(snapshot.get(db.keyspace(), &key(account))?))).collect()
}

fn key(account: u64) -> Vec<u8> {
    format!("account/{account}").into_bytes()
}

fn balance(value: Option<Vec<u8>>) -> u64 {
    let bytes = value.expect("an account that was opened");
    u64::from_be_bytes(bytes.try_into().expect("a balance of eight bytes"))
}
