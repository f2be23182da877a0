//! A clock that jumps. The engine reads one clock, for `Async`; every other wait is the system's own.

use super::options;
use aether::vfs::{Clock, Env};
use aether::{Db, DbEnv, Durability, Options};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

/// When nothing has come by then, it never will.
const HANG: Duration = Duration::from_secs(30);

/// Real time, hours off in one direction or the other, whatever [`Jumpy::set`] says.
struct Jumpy {
    start: Instant,
    hours: AtomicU64,
}

impl Jumpy {
    fn set(&self, hours: u64) {
        self.hours.store(hours, SeqCst);
    }
}

impl Clock for Jumpy {
    fn now(&self) -> Duration {
        self.start.elapsed() + HOUR * self.hours.load(SeqCst) as u32
    }
}

#[test]
fn a_clock_that_jumps_by_hours_neither_hangs_nor_loses_anything() {
    for background in [true, false] {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(Jumpy { start: Instant::now(), hours: AtomicU64::new(50) });
        let env = Env { clock: clock.clone(), ..Env::real() };
        let options = Options { background, durability: Durability::Sync, ..options(4096) };
        let db_env = DbEnv::open_in(env, &dir.path().join("home"), options.clone()).unwrap();
        let db = Db::in_env(db_env, "default").unwrap();
        for (round, hours) in [50, 3, 99, 98, 0, 1, 49, 2].into_iter().enumerate() {
            let key = round.to_be_bytes();
            let mut txn = db.begin().unwrap();
            txn.put(db.keyspace(), &key, b"async").unwrap();
            let interval = Duration::from_millis(5);
            let handle = txn.commit_with(Durability::Async { interval }).unwrap();
            // The deadline is drawn; now the clock jumps.
            clock.set(hours);
            let begun = Instant::now();
            while background && handle.poll().is_none() {
                assert!(begun.elapsed() < HANG, "a jump to hour {hours} holds the flush back");
                std::thread::sleep(Duration::from_millis(1));
            }
            handle.wait().unwrap();
            let mut txn = db.begin().unwrap();
            txn.put(db.keyspace(), &key, b"group").unwrap();
            txn.set_durability(Durability::Group { max_wait: Duration::from_millis(1) });
            txn.commit().unwrap();
            db.env().checkpoint().unwrap();
        }
        drop(db);
        let db = Db::open_with(dir.path().join("home"), options).unwrap();
        assert_eq!(db.iter().unwrap().count(), 8);
    }
}
