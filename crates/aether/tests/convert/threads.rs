//! Threads that write, delete, read and scan while their keyspace is converted over and over.

use super::{create, key, open};
use aether::{Db, Error, ErrorKind, IndexKind, Isolation, KeyspaceOptions, Result, Txn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use tempfile::TempDir;

const ACCOUNTS: u64 = 900;
const BALANCE: u64 = 100;
const LEVELS: [Isolation; 2] = [Isolation::Snapshot, Isolation::Serializable];

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn is_in_the_way(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock | ErrorKind::TimedOut)
}

fn balance(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// Moves money; who has none has no row.
fn transfer(db: &Db, txn: &mut Txn, dice: &mut Dice) -> Result<()> {
    let (from, to) = (dice.below(ACCOUNTS) as u32, dice.below(ACCOUNTS) as u32);
    let held = |txn: &Txn, number| {
        Ok::<_, Error>(txn.get(db.keyspace(), &key(number))?.map_or(0, |row| balance(&row)))
    };
    let (rich, poor) = (held(txn, from)?, held(txn, to)?);
    if from == to {
        return Ok(());
    }
    let amount = if dice.below(4) == 0 { rich } else { dice.below(30).min(rich) };
    for (number, next) in [(from, rich - amount), (to, poor + amount)] {
        if next == 0 {
            txn.delete(db.keyspace(), &key(number))?;
        } else {
            let mut value = next.to_le_bytes().to_vec();
            value.resize(if dice.below(50) == 0 { 9000 } else { 20 }, number as u8);
            txn.put(db.keyspace(), &key(number), &value)?;
        }
    }
    Ok(())
}

fn write(db: &Db, seed: u64, is_over: &AtomicBool, commits: &AtomicU64) {
    let mut dice = Dice(seed);
    while !is_over.load(Relaxed) {
        let mut txn = db.begin_with(LEVELS[dice.below(2) as usize]).unwrap();
        let moved = transfer(db, &mut txn, &mut dice);
        let ended = match moved {
            Ok(()) if dice.below(10) == 0 => txn.abort(),
            Ok(()) => txn.commit().map(|()| {
                commits.fetch_add(1, Relaxed);
            }),
            Err(error) => txn.abort().and(Err(error)),
        };
        assert!(ended.as_ref().err().is_none_or(is_in_the_way), "{ended:?}");
    }
}

fn sum(rows: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>) -> u64 {
    rows.map(|row| balance(&row.unwrap().1)).sum()
}

/// Every state has all the money, whoever looks.
fn scan(db: &Db, seed: u64, is_over: &AtomicBool) {
    let mut dice = Dice(seed);
    while !is_over.load(Relaxed) {
        let total = match dice.below(3) {
            0 => sum(db.iter().unwrap()),
            1 => sum(db.snapshot().unwrap().iter(db.keyspace()).unwrap().rev()),
            _ => sum(db.begin().unwrap().iter(db.keyspace()).unwrap()),
        };
        assert_eq!(total, ACCOUNTS * BALANCE);
    }
}

/// A row that one thread alone writes shows that thread what it has written, from every kind of read.
fn count_alone(db: &Db, number: u32, is_over: &AtomicBool) {
    let key = format!("alone {number}").into_bytes();
    let mut count = 0_u64;
    while !is_over.load(Relaxed) {
        count += 1;
        if count.is_multiple_of(7) {
            assert!(db.delete(&key).unwrap(), "{count}");
            assert_eq!(db.get(&key).unwrap(), None, "{count}");
            assert!(!db.delete(&key).unwrap());
        }
        db.put(&key, &[&0_u64.to_le_bytes()[..], &count.to_le_bytes()].concat()).unwrap();
        let seen = |row: Option<Vec<u8>>| row.map(|row| u64::from_le_bytes(row[8..].try_into().unwrap()));
        assert_eq!(seen(db.get(&key).unwrap()), Some(count));
        let txn = db.begin_with(Isolation::ReadCommitted).unwrap();
        assert_eq!(seen(txn.get(db.keyspace(), &key).unwrap()), Some(count));
        let fresh = db.env().keyspace("rows").unwrap();
        assert_eq!(seen(db.snapshot().unwrap().get(&fresh, &key).unwrap()), Some(count));
    }
}

#[test]
fn no_row_is_lost_and_none_comes_back() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    db.transact(|txn| {
        (0..ACCOUNTS as u32).try_for_each(|number| {
            txn.put(db.keyspace(), &key(number), &[&BALANCE.to_le_bytes()[..], &[0; 12]].concat())
        })
    })?;
    let (is_over, commits) = (AtomicBool::new(false), AtomicU64::new(0));
    let kinds = [IndexKind::LSM, IndexKind::RAX, IndexKind::SKIPLIST, IndexKind::BTREE];
    let mut converted = 0;
    thread::scope(|scope| {
        let (db, is_over, commits) = (&db, &is_over, &commits);
        let mut threads = Vec::new();
        threads.extend((1..3).map(|seed| scope.spawn(move || write(db, seed * 77, is_over, commits))));
        threads.push(scope.spawn(move || scan(db, 5, is_over)));
        threads.extend((0..2).map(|number| scope.spawn(move || count_alone(db, number, is_over))));
        for turn in 0..16 {
            let to = KeyspaceOptions::of(kinds[turn % kinds.len()]);
            match env.convert("rows", to) {
                Ok(_) => converted += 1,
                Err(error) => assert!(is_in_the_way(&error), "{error}"),
            }
            if threads.iter().any(|thread| thread.is_finished()) {
                break;
            }
        }
        is_over.store(true, Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(converted >= 8 && commits.load(Relaxed) > 20, "{converted} conversions, {commits:?} commits");
    assert_eq!(sum(db.iter()?), ACCOUNTS * BALANCE);
    assert_eq!(env.verify()?.problems, Vec::<String>::new());
    Ok(())
}
