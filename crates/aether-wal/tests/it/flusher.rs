//! The background flusher and who appends: who flushes what is overdue, and that nobody is busy meanwhile.

use crate::store::{Store, create, shared, small};
use aether_sim::{Fault, OpKind, Sim};
use aether_sync::{Arc, Mutex};
use aether_types::{ErrorKind, Lv, StreamId};
use aether_vfs::{Clock, Env};
use aether_wal::WalConfig;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

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

/// Nobody asked for a flush: it began when the whole ring was full, and who wrote then waited for all of it.
#[test]
fn half_a_ring_is_flushed_while_the_other_is_filled() {
    let (_clock, store) = open();
    let half = store.wal.config().ring_bytes as u64 / 2;
    let began = store.append(0, &Lv::ZERO, b"x").unwrap().lsn;
    while store.append(0, &Lv::ZERO, &[0; 1000]).unwrap().end.since(began) < half + 1000 {}
    let waits = || store.wal.durable().get(StreamId::new(0)) <= began;
    (0..10_000).take_while(|_| waits()).for_each(|_| thread::sleep(Duration::from_millis(1)));
    assert!(!waits(), "half a ring waits for somebody to ask");
    store.close().unwrap();
}

struct Bell(Arc<Mutex<bool>>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        *self.0.lock() = true;
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed().as_secs() < 30, "{what}");
        thread::yield_now();
    }
}

/// Its flush fails while it waits: nobody comes by any more who could tell it.
#[test]
fn who_waits_without_a_thread_is_told_that_writing_has_ended() {
    let sim = Sim::new(1);
    create(&sim.env());
    let store = Store::open(&sim.env(), &WalConfig { flusher: true, ..small(1) }).unwrap();
    let appended = store.append(0, &Lv::ZERO, b"x").unwrap();
    sim.inject(Fault::Stuck { nth: 0, kind: OpKind::Any });
    let rung = shared(false);
    store.wal.subscribe(&appended.lv, Waker::from(std::sync::Arc::new(Bell(rung.clone()))));
    wait_until("the flusher does not write", || sim.stuck() == 1);
    assert!(!*rung.lock() && store.wal.poll_durable(&appended.lv).is_none());
    sim.cut_power_at(0);
    wait_until("the waker is not woken", || *rung.lock());
    let outcome = store.wal.poll_durable(&appended.lv);
    assert_eq!(outcome.unwrap().unwrap_err().kind(), ErrorKind::InDoubt);
}
