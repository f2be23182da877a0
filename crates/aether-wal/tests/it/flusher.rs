//! The background flusher and who appends: who flushes what is overdue, and that nobody is busy meanwhile.

use crate::store::{Store, create, small};
use aether_sync::Arc;
use aether_types::Lv;
use aether_vfs::{Clock, Env};
use aether_wal::WalConfig;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Stands still for the flusher, whose looks it counts; for everybody else it is told what to say.
#[derive(Default)]
struct TwoTimes {
    others: AtomicU64,
    looks: AtomicU64,
}

impl Clock for TwoTimes {
    fn now(&self) -> Duration {
        if thread::current().name() == Some("log flusher") {
            self.looks.fetch_add(1, SeqCst);
            return Duration::ZERO;
        }
        Duration::from_secs(self.others.load(SeqCst))
    }
}

fn open() -> (Arc<TwoTimes>, Store) {
    let clock = Arc::new(TwoTimes::default());
    let env = Env { clock: clock.clone(), ..Env::memory() };
    create(&env);
    (clock, Store::open(&env, &WalConfig { flusher: true, ..small(1) }).unwrap())
}

#[test]
fn what_is_overdue_is_left_to_the_flusher() {
    let (clock, store) = open();
    let appended = store.append(0, &Lv::ZERO, b"x").unwrap();
    store.wal.flush_after(HOUR);
    clock.others.store(2 * HOUR.as_secs(), SeqCst);
    assert!(store.wal.poll_durable(&appended.lv).is_none());
    store.append(0, &Lv::ZERO, b"y").unwrap();
    assert!(!store.wal.is_durable(&appended.lv));
    store.close().unwrap();
}

#[test]
fn the_flusher_sleeps_until_a_flush_is_due() {
    let (clock, store) = open();
    store.append(0, &Lv::ZERO, b"x").unwrap();
    store.wal.flush_after(HOUR);
    thread::sleep(Duration::from_millis(100));
    // It looks when it begins, and when it is told that there is something to wait for.
    let looks = clock.looks.load(SeqCst);
    assert!(looks < 10, "{looks} looks at the clock");
    store.close().unwrap();
}
