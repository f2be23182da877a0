//! Locks through the facade: waits, deadlocks, timeouts, what is asked for and what writing takes by itself.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{
    Db, DbEnv, Durability, ErrorKind, Isolation, KeyspaceOptions, LockMode, LockTarget, Options, Result,
    Transact, Txn, TxnOptions,
};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const NONE: Duration = Duration::ZERO;
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(30);

struct Home {
    db: Db,
    _dir: TempDir,
}

fn home() -> Home {
    home_with(|_| {})
}

fn home_with(change: impl FnOnce(&mut Options)) -> Home {
    let dir = TempDir::new().unwrap();
    let mut options = Options { durability: Durability::None, lock_timeout: LONG, ..Options::default() };
    options.buffer.num_frames = 2048;
    change(&mut options);
    Home { db: Db::open_with(dir.path().join("db"), options).unwrap(), _dir: dir }
}

impl Home {
    fn begin(&self) -> Txn {
        self.db.begin().unwrap()
    }

    /// A transaction that waits for a lock so long at most.
    fn patient(&self, lock_timeout: Duration) -> Txn {
        self.db.begin_with(TxnOptions { lock_timeout: Some(lock_timeout), ..TxnOptions::default() }).unwrap()
    }

    fn put(&self, txn: &mut Txn, key: &str, value: &str) -> Result<()> {
        txn.put(self.db.keyspace(), key.as_bytes(), value.as_bytes())
    }

    fn get(&self, key: &str) -> Option<String> {
        self.db.get(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
    }

    fn lock_key(&self, txn: &mut Txn, key: &str, mode: LockMode) -> Result<()> {
        txn.lock(LockTarget::Key(self.db.keyspace(), key.as_bytes()), mode)
    }

    fn lock_range(&self, txn: &mut Txn, from: &str, to: &str, mode: LockMode) -> Result<()> {
        let (from, to) = (Included(from.as_bytes()), Excluded(to.as_bytes()));
        txn.lock(LockTarget::Range(self.db.keyspace(), from, to), mode)
    }

    fn lock_keyspace(&self, txn: &mut Txn, mode: LockMode) -> Result<()> {
        txn.lock(LockTarget::Keyspace(self.db.keyspace()), mode)
    }

    /// Blocks until so many transactions wait.
    fn until_waiting(&self, count: usize) {
        while self.db.deadlocks().waits.len() < count {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn who_waits_for_a_commit_conflicts_under_snapshot_and_goes_on_under_read_committed() {
    for (level, outcome) in
        [(Isolation::Snapshot, Some(ErrorKind::Conflict)), (Isolation::ReadCommitted, None)]
    {
        let home = home();
        let mut first = home.begin();
        home.put(&mut first, "a", "1").unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut txn = home.db.begin_with(level).unwrap();
                home.put(&mut txn, "a", "2")?;
                txn.commit()
            });
            home.until_waiting(1);
            first.commit().unwrap();
            assert_eq!(second.join().unwrap().err().map(|error| error.kind()), outcome, "{level:?}");
        });
        assert_eq!(home.get("a").as_deref(), Some(if outcome.is_some() { "1" } else { "2" }));
    }
}

/// A transaction that locks a key first waits for its writer, and then goes on from what that has committed.
fn locks_first(isolation: Isolation, reads_before: bool) -> Result<()> {
    let home = home();
    home.db.put(b"k", b"old").unwrap();
    let mut writer = home.begin();
    home.put(&mut writer, "k", "new").unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut txn = home.db.begin_with(isolation).unwrap();
            if reads_before {
                txn.get(home.db.keyspace(), b"other").unwrap();
            }
            home.lock_key(&mut txn, "k", LockMode::X).unwrap();
            let seen = txn.get(home.db.keyspace(), b"k").unwrap().unwrap();
            assert_eq!(seen, if reads_before { *b"old" } else { *b"new" });
            home.put(&mut txn, "k", "newer").and_then(|()| txn.commit())
        });
        home.until_waiting(1);
        writer.commit().unwrap();
        second.join().unwrap()
    })
}

#[test]
fn who_locks_before_reading_sees_what_it_waited_for() {
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        locks_first(isolation, false).unwrap();
        assert_eq!(kind(locks_first(isolation, true)), ErrorKind::Conflict);
    }
}

/// A slow transaction over a row that another thread changes all the time.
#[test]
fn who_lost_a_row_stands_in_line_for_it() {
    let (home, done) = (home(), AtomicBool::new(false));
    home.db.put(b"k", b"0").unwrap();
    let hammer = |txn: &mut Txn| home.put(txn, "k", "hammered");
    let slow = |txn: &mut Txn| {
        txn.get(home.db.keyspace(), b"k")?;
        thread::sleep(SHORT);
        home.put(txn, "k", "slow")
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                home.db.transact(hammer).unwrap();
            }
        });
        let how = Transact { attempts_max: 5, ..Transact::default() };
        let attempts: Vec<_> = (0..5).map(|_| home.db.transact_with(how, slow)).collect();
        done.store(true, Relaxed);
        for done in attempts {
            assert!(done.unwrap().attempts <= 2, "after the first loss it has the row");
        }
    });
}

#[test]
fn who_waits_for_an_abort_goes_on() {
    let home = home();
    let mut first = home.begin();
    home.put(&mut first, "a", "1").unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut txn = home.begin();
            home.put(&mut txn, "a", "2")?;
            txn.commit()
        });
        home.until_waiting(1);
        let wait = home.db.deadlocks().waits.remove(0);
        assert!(wait.to_string().contains("waits for X on key \"a\""), "{wait}");
        first.abort().unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(home.get("a").as_deref(), Some("2"));
}

fn number(value: Option<Vec<u8>>) -> u64 {
    value.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
}

/// Snapshot: whoever was second runs again. ReadCommitted: whoever locks before reading loses nothing.
#[test]
fn two_threads_count_without_losing_one() {
    const ROUNDS: u64 = 300;
    for level in [Isolation::Snapshot, Isolation::ReadCommitted] {
        let home = home();
        let add = || -> Result<()> {
            let mut txn = home.db.begin_with(level)?;
            if level == Isolation::ReadCommitted {
                home.lock_key(&mut txn, "counter", LockMode::X)?;
            }
            let now = number(txn.get(home.db.keyspace(), b"counter")?);
            txn.put(home.db.keyspace(), b"counter", &(now + 1).to_le_bytes())?;
            txn.commit()
        };
        let count = || {
            for _ in 0..ROUNDS {
                while let Err(error) = add() {
                    assert_eq!((level, error.kind()), (Isolation::Snapshot, ErrorKind::Conflict), "{error}");
                }
            }
        };
        thread::scope(|scope| [scope.spawn(count), scope.spawn(count)].map(|thread| thread.join().unwrap()));
        assert_eq!(number(home.db.get(b"counter").unwrap()), 2 * ROUNDS, "{level:?}");
    }
}

#[test]
fn a_deadlock_has_one_victim_and_names_the_cycle() {
    let home = home();
    let (mut first, mut second) = (home.begin(), home.begin());
    home.put(&mut first, "a", "1").unwrap();
    home.put(&mut second, "b", "2").unwrap();
    let names = thread::scope(|scope| {
        let waiter = scope.spawn(|| home.put(&mut first, "b", "1"));
        home.until_waiting(1);
        let error = home.put(&mut second, "a", "2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadlock);
        let text = error.to_string();
        for part in ["waits for X on key \"a\"", "waits for X on key \"b\"", "is the victim"] {
            assert!(text.contains(part), "{text:?} should say {part:?}");
        }
        second.abort().unwrap();
        waiter.join().unwrap().unwrap();
        text
    });
    first.commit().unwrap();
    assert_eq!((home.get("a").as_deref(), home.get("b").as_deref()), (Some("1"), Some("1")));
    let report = home.db.deadlocks();
    assert!(report.waits.is_empty() && report.cycles.len() == 1);
    assert!(names.contains(&report.cycles[0].to_string()));
}

/// The older closes the cycle, the younger, asleep, is told.
#[test]
fn the_youngest_is_the_victim_also_if_it_sleeps() {
    let home = home();
    let (mut old, mut young) = (home.begin(), home.begin());
    home.put(&mut old, "a", "1").unwrap();
    home.put(&mut young, "b", "2").unwrap();
    thread::scope(|scope| {
        let victim = scope.spawn(|| {
            let denied = home.put(&mut young, "a", "2").unwrap_err();
            assert_eq!(denied.kind(), ErrorKind::Deadlock);
            // The transaction is whole: only what it waited for was refused.
            home.put(&mut young, "c", "2").unwrap();
            young.abort().unwrap();
        });
        home.until_waiting(1);
        home.put(&mut old, "b", "1").unwrap();
        victim.join().unwrap();
    });
    old.commit().unwrap();
    assert_eq!(home.get("c"), None);
}

#[test]
fn a_wait_is_bounded_and_says_who_is_in_the_way() {
    let home = home();
    let (mut first, mut second) = (home.begin(), home.patient(SHORT));
    home.put(&mut first, "a", "1").unwrap();
    let error = home.put(&mut second, "a", "2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("X on key \"a\"") && error.to_string().contains("txn "), "{error}");
    home.put(&mut second, "b", "2").unwrap();
    let mut third = home.patient(NONE);
    assert_eq!(kind(home.put(&mut third, "a", "3")), ErrorKind::Conflict);
    first.commit().unwrap();
    second.commit().unwrap();
}

/// A caller that leaks a transaction keeps what it has locked; others are told by whom.
#[test]
fn a_leaked_transaction_is_named_by_those_who_wait_for_it() {
    let home = home();
    let mut leaked = home.begin();
    home.put(&mut leaked, "a", "1").unwrap();
    home.lock_key(&mut leaked, "b", LockMode::X).unwrap();
    std::mem::forget(leaked);
    let names: Vec<String> = ["a", "b"]
        .into_iter()
        .map(|key| {
            let error = home.put(&mut home.patient(SHORT), key, "2").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let text = error.to_string();
            text.split("in time: ").nth(1).unwrap().split(" has").next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names[0], names[1]);
    home.db.put(b"c", b"3").unwrap();
}

#[test]
fn a_keyspace_locked_exclusively_has_no_other_writers_but_readers() {
    let home = home();
    home.db.put(b"a", b"0").unwrap();
    let mut before = home.begin();
    home.put(&mut before, "early", "1").unwrap();
    thread::scope(|scope| {
        let locker = scope.spawn(|| {
            let mut txn = home.begin();
            home.lock_keyspace(&mut txn, LockMode::X)?;
            Ok::<_, aether::Error>(txn)
        });
        home.until_waiting(1);
        before.commit().unwrap();
        let mut locker = locker.join().unwrap().unwrap();
        assert_eq!(kind(home.put(&mut home.patient(NONE), "a", "1")), ErrorKind::Conflict);
        assert_eq!(kind(home.put(&mut home.patient(SHORT), "new", "1")), ErrorKind::TimedOut);
        assert_eq!(home.get("a").as_deref(), Some("0"), "readers are not kept out");
        home.put(&mut locker, "a", "2").unwrap();
        locker.commit().unwrap();
    });
    home.db.put(b"new", b"1").unwrap();
    assert_eq!((home.get("a").as_deref(), home.get("early").as_deref()), (Some("2"), Some("1")));
}

#[test]
fn the_database_locked_shared_has_no_writers_anywhere() {
    let home = home();
    let other = home.db.env().open_or_create_keyspace("other").unwrap();
    let mut locker = home.begin();
    locker.lock(LockTarget::Database, LockMode::S).unwrap();
    let mut writer = home.patient(NONE);
    assert_eq!(kind(writer.put(&other, b"a", b"1")), ErrorKind::Conflict);
    let made = home.db.env().create_keyspace(&mut writer, "new", KeyspaceOptions::default());
    assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::Conflict), "the catalog is part of it");
    let mut second = home.patient(NONE);
    second.lock(LockTarget::Database, LockMode::S).unwrap();
    assert_eq!(kind(home.put(&mut second, "a", "1")), ErrorKind::Conflict, "two who only read");
    second.commit().unwrap();
    home.put(&mut locker, "a", "1").unwrap();
    locker.commit().unwrap();
    home.db.put(b"b", b"1").unwrap();
}

/// No phantoms: a locked range gets no new rows, loses none and keeps its values, also beyond one leaf.
#[test]
fn a_range_locked_shared_stays_as_it_is() {
    let home = home();
    let name = |number: u32| format!("key {number:05}");
    let mut filler = home.begin();
    (0..4000).for_each(|number| home.put(&mut filler, &name(number * 2), "value").unwrap());
    filler.commit().unwrap();
    let mut reader = home.begin();
    home.lock_range(&mut reader, &name(1000), &name(7000), LockMode::S).unwrap();
    for number in [1000, 1001, 3001, 5000, 6999] {
        assert_eq!(kind(home.put(&mut home.patient(NONE), &name(number), "new")), ErrorKind::Conflict);
    }
    let deleted = home.patient(NONE).delete(home.db.keyspace(), name(4000).as_bytes());
    assert_eq!(kind(deleted), ErrorKind::Conflict);
    let mut beside = home.patient(NONE);
    [999, 7000, 7001].into_iter().for_each(|number| home.put(&mut beside, &name(number), "new").unwrap());
    beside.commit().unwrap();
    home.put(&mut reader, &name(3001), "mine").unwrap();
    reader.commit().unwrap();
    home.put(&mut home.patient(NONE), &name(1001), "new").unwrap();
}

/// The lock of a range waits for every writer that was there before it, though none has an entry.
#[test]
fn a_range_lock_waits_for_writers_inside() {
    let home = home();
    let (mut one, mut two) = (home.begin(), home.begin());
    home.put(&mut one, "c", "1").unwrap();
    home.put(&mut two, "k", "2").unwrap();
    let locked = |timeout| {
        let mut txn = home.patient(timeout);
        txn.lock(LockTarget::Range(home.db.keyspace(), Unbounded, Unbounded), LockMode::S).map(|()| txn)
    };
    assert_eq!(locked(NONE).err().map(|error| error.kind()), Some(ErrorKind::Conflict));
    thread::scope(|scope| {
        let reader = scope.spawn(|| locked(LONG));
        home.until_waiting(1);
        one.commit().unwrap();
        assert_eq!(home.db.deadlocks().waits.len(), 1, "the other is still there");
        two.abort().unwrap();
        reader.join().unwrap().unwrap();
    });
}

#[test]
fn a_key_that_is_not_there_can_be_locked() {
    let home = home();
    let mut owner = home.begin();
    home.lock_key(&mut owner, "absent", LockMode::X).unwrap();
    assert_eq!(kind(home.put(&mut home.patient(NONE), "absent", "1")), ErrorKind::Conflict);
    assert_eq!(kind(home.lock_key(&mut home.patient(NONE), "absent", LockMode::S)), ErrorKind::Conflict);
    home.put(&mut home.patient(NONE), "present", "1").unwrap();
    owner.abort().unwrap();
    home.put(&mut home.patient(NONE), "absent", "1").unwrap();
}

#[test]
fn a_savepoint_gives_back_what_was_locked_and_written_since() {
    let home = home();
    let mut txn = home.begin();
    home.lock_key(&mut txn, "kept", LockMode::X).unwrap();
    let mark = txn.savepoint();
    home.lock_key(&mut txn, "asked", LockMode::X).unwrap();
    home.put(&mut txn, "written", "1").unwrap();
    thread::scope(|scope| {
        let waiters = ["asked", "written"].map(|key| {
            let home = &home;
            scope.spawn(move || home.db.put(key.as_bytes(), b"2"))
        });
        home.until_waiting(2);
        txn.rollback_to(&mark).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
    });
    assert_eq!(kind(home.put(&mut home.patient(NONE), "kept", "2")), ErrorKind::Conflict);
    txn.commit().unwrap();
    home.db.put(b"kept", b"2").unwrap();
    assert_eq!(home.get("written").as_deref(), Some("2"));
}

#[test]
fn a_hundred_thousand_locks_take_what_is_said() {
    const LOCKS: u64 = 100_000;
    let home = home();
    let used = || {
        let stat = home.db.env().stat().unwrap();
        stat.memory.into_iter().find(|(name, _)| name == "locks").map_or(0, |(_, bytes)| bytes)
    };
    let mut txn = home.begin();
    for number in 0..LOCKS {
        home.lock_key(&mut txn, &format!("{number:08}"), LockMode::X).unwrap();
    }
    let bytes = used();
    assert!((LOCKS * (288 + 8)..(LOCKS + 10) * (288 + 8)).contains(&bytes), "{bytes} bytes");
    assert_eq!(kind(home.put(&mut home.patient(NONE), "00050000", "1")), ErrorKind::Conflict);
    home.db.put(b"beside", b"1").unwrap();
    txn.commit().unwrap();
    assert_eq!(used(), 0);
}

#[test]
fn locks_beyond_the_memory_budget_are_refused() {
    let home = home_with(|options| {
        options.buffer.num_frames = 128;
        options.memory_bytes = 64 << 20;
    });
    let mut txn = home.begin();
    let long = "long key ".repeat(100);
    let refused = (0..100_000)
        .find_map(|number| home.lock_key(&mut txn, &format!("{long}{number}"), LockMode::S).err());
    let error = refused.expect("the budget is smaller than that");
    assert_eq!(error.kind(), ErrorKind::OverLimit);
    assert!(error.to_string().contains("locks"), "{error}");
    txn.abort().unwrap();
    home.db.put(b"a", b"1").unwrap();
}

#[test]
fn a_mode_or_range_that_means_nothing_is_refused() {
    let home = home();
    let mut txn = home.begin();
    assert_eq!(kind(home.lock_key(&mut txn, "a", LockMode::IX)), ErrorKind::InvalidInput);
    assert_eq!(kind(home.lock_range(&mut txn, "b", "a", LockMode::S)), ErrorKind::InvalidInput);
    home.lock_keyspace(&mut txn, LockMode::SIX).unwrap();
    txn.commit().unwrap();
}

/// A thread that panics with a transaction in its hands: the transaction aborts, its locks go, the store lives.
#[test]
fn a_panic_gives_the_locks_back() {
    let home = home();
    let panicked = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut txn = home.begin();
            home.put(&mut txn, "a", "1").unwrap();
            home.lock_keyspace(&mut txn, LockMode::X).unwrap();
            panic!("as planned");
        });
        thread.join()
    });
    assert!(panicked.is_err());
    let mut txn = home.patient(NONE);
    home.put(&mut txn, "a", "2").unwrap();
    txn.commit().unwrap();
}

/// Transactions over few keys in any order, with locks of all kinds: each ends, by commit or as a victim; what is
/// counted is what was committed.
#[test]
fn a_crowd_ends() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 150;
    let home = home_with(|options| options.isolation = Isolation::ReadCommitted);
    let start = Barrier::new(THREADS as usize);
    let work = |seed: u64| {
        start.wait();
        let mut dice = seed * 7919 + 1;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut committed = 0;
        for _ in 0..ROUNDS {
            let run = |txn: &mut Txn, roll: &mut dyn FnMut(u64) -> u64| -> Result<u64> {
                let mut added = 0;
                for _ in 0..3 {
                    let key = format!("{}", roll(4));
                    match roll(8) {
                        0 => home.lock_range(txn, "1", "3", LockMode::S)?,
                        1 => home.lock_keyspace(txn, LockMode::S)?,
                        _ => {
                            home.lock_key(txn, &key, LockMode::X)?;
                            let now = number(txn.get(home.db.keyspace(), key.as_bytes())?);
                            txn.put(home.db.keyspace(), key.as_bytes(), &(now + 1).to_le_bytes())?;
                            added += 1;
                        }
                    }
                }
                Ok(added)
            };
            let mut txn = home.begin();
            match run(&mut txn, &mut roll) {
                Ok(added) if roll(10) > 0 => {
                    txn.commit().unwrap();
                    committed += added;
                }
                Ok(_) => txn.abort().unwrap(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}"),
            }
        }
        committed
    };
    let work = &work;
    let counted: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || work(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let found: u64 = home.db.iter().unwrap().map(|row| number(Some(row.unwrap().1))).sum();
    assert_eq!(found, counted);
    assert!(home.db.deadlocks().waits.is_empty());
}

/// Dropping the pages of a keyspace is housekeeping: it does not wait for who has locked the database.
#[test]
fn housekeeping_does_not_wait_for_locks() {
    let home = home();
    let env: &DbEnv = home.db.env();
    env.open_or_create_keyspace("gone").unwrap();
    let mut dropper = home.begin();
    env.drop_keyspace(&mut dropper, "gone").unwrap();
    let snapshot = home.db.snapshot().unwrap();
    dropper.commit().unwrap();
    let mut locker = home.begin();
    locker.lock(LockTarget::Database, LockMode::X).unwrap();
    drop(snapshot);
    home.begin().commit().unwrap();
    locker.commit().unwrap();
}
