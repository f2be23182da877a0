//! Appending, waiting, closing and coming back, without faults.

use crate::store::{HOME, Store, create, read_state, shared, small, stream};
use aether_sync::{Arc, thread};
use aether_types::{ErrorKind, Lv};
use aether_vfs::{Env, ManualClock};
use aether_wal::{FIRST_KIND, Wal, WalConfig};
use std::path::Path;
use std::time::Duration;

fn body(number: u64, size: usize) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(size.max(8), number as u8);
    body
}

fn fresh(config: &WalConfig) -> Store {
    let env = Env::memory();
    create(&env);
    Store::open(&env, config).unwrap()
}

#[test]
fn what_is_committed_is_found_after_a_clean_close() {
    for streams in [1, 2, 4] {
        let store = fresh(&small(streams));
        let env = store.env.clone();
        let mut expected = Vec::new();
        for number in 0..50u64 {
            let id = (number % streams as u64) as u8;
            let appended = store.append(id, &store.wal.slv_join(), &body(number, 100)).unwrap();
            expected.push((id, appended.lsn.get(), 16, body(number, 100)));
        }
        store.close().unwrap();
        let store = Store::open(&env, &small(streams)).unwrap();
        expected.sort();
        assert_eq!(store.found, expected);
    }
}

#[test]
fn a_clean_open_writes_nothing() {
    let store = fresh(&small(2));
    let env = store.env.clone();
    store.commit(b"one").unwrap();
    store.close().unwrap();
    let before = (env.vfs.list(Path::new(HOME)).unwrap(), read_state(&env).unwrap().clean_end);
    let store = Store::open(&env, &small(2)).unwrap();
    assert_eq!(store.wal.durable(), Lv::ZERO);
    store.close().unwrap();
    assert_eq!((env.vfs.list(Path::new(HOME)).unwrap(), read_state(&env).unwrap().clean_end), before);
    let store = Store::open(&env, &small(2)).unwrap();
    assert_eq!(store.bodies(), [b"one"]);
}

#[test]
fn a_fresh_log_writes_nothing_before_the_first_append() {
    let store = fresh(&small(1));
    assert_eq!(store.env.vfs.list(Path::new(HOME)).unwrap().len(), 0);
    store.commit(b"x").unwrap();
    assert!(!store.env.vfs.list(Path::new(HOME)).unwrap().is_empty());
}

#[test]
fn segments_are_crossed_and_the_ring_wraps() {
    let store = fresh(&small(1));
    let env = store.env.clone();
    let sizes = [8, 16_000, 3, 4096, 9000, 500];
    for number in 0..200 {
        store.append(0, &Lv::ZERO, &body(number, sizes[number as usize % sizes.len()])).unwrap();
    }
    assert!(store.wal.stats().segments > 5, "{:?}", store.wal.stats());
    store.close().unwrap();
    let store = Store::open(&env, &small(1)).unwrap();
    assert_eq!(store.found.len(), 200);
    for (number, found) in store.bodies().iter().enumerate() {
        assert_eq!(*found, body(number as u64, sizes[number % sizes.len()]));
    }
}

#[test]
fn incarnations_follow_each_other_and_void_ranges_are_skipped() {
    let env = Env::memory();
    create(&env);
    let mut expected = Vec::new();
    for round in 0..5u64 {
        let store = Store::open(&env, &small(1)).unwrap();
        assert_eq!(store.bodies(), expected);
        store.commit(&body(round, 40)).unwrap();
        expected.push(body(round, 40));
        // Appended and never flushed: dropped with the process.
        store.append(0, &Lv::ZERO, &body(99, 40)).unwrap();
        if round % 2 == 0 {
            store.close().unwrap();
            expected.push(body(99, 40));
        }
    }
    let state = read_state(&env).unwrap();
    assert_eq!(state.incarnations.len(), 5);
    assert!(state.incarnations.windows(2).all(|pair| pair[1].epoch > pair[0].epoch));
}

#[test]
fn the_number_of_streams_may_change() {
    let env = Env::memory();
    create(&env);
    let mut count = 0;
    for streams in [2, 4, 1, 1, 3] {
        let store = Store::open(&env, &small(streams)).unwrap();
        assert_eq!(store.found.len(), count);
        for id in 0..streams as u8 {
            let deps = store.wal.slv_join();
            let appended = store.append(id, &deps, &body(id.into(), 30)).unwrap();
            store.wal.wait_durable(&appended.lv).unwrap();
            count += 1;
        }
    }
}

#[test]
fn an_oversize_body_is_refused_and_the_largest_is_not() {
    let store = fresh(&small(2));
    let most = store.wal.config().group_bytes_max();
    let error = store.append(0, &Lv::ZERO, &vec![1; most + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for _ in 0..20 {
        store.append(1, &Lv::ZERO, &vec![1; most]).unwrap();
    }
    store.wal.flush_all().unwrap();
}

#[test]
fn an_idle_log_comes_to_rest() {
    let store = fresh(&small(2));
    store.append(1, &Lv::ZERO, b"x").unwrap();
    store.wal.flush_all().unwrap();
    let before = store.wal.stats();
    store.wal.flush_all().unwrap();
    store.wal.wait_durable(&store.wal.slv_join()).unwrap();
    assert_eq!(store.wal.stats().flushes, before.flushes);
    assert_eq!(store.wal.positions(), store.wal.durable());
}

#[test]
fn a_vector_beyond_the_log_is_refused() {
    let store = fresh(&small(1));
    store.commit(b"x").unwrap();
    let mut beyond = store.wal.positions();
    beyond.raise(stream(0), beyond.get(stream(0)).advance(1));
    assert_eq!(store.wal.wait_durable(&beyond).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn vectors_accumulate_and_name_only_what_is_new() {
    let store = fresh(&small(2));
    let a = store.append(1, &Lv::ZERO, b"a").unwrap();
    let b = store.append(0, &a.lv, b"8 bytes.").unwrap();
    let c = store.append(0, &Lv::ZERO, b"8 bytes.").unwrap();
    let d = store.append(0, &a.lv, b"8 bytes.").unwrap();
    assert_eq!(b.lv.get(stream(1)), a.end);
    assert_eq!(c.lv.get(stream(1)), a.end, "accumulated");
    assert!(b.end.since(b.lsn) > c.end.since(c.lsn));
    assert_eq!(c.end.since(c.lsn), d.end.since(d.lsn), "implied, hence not written again");
}

#[test]
fn a_commit_waits_for_the_streams_it_needs() {
    let store = fresh(&small(2));
    let a = store.append(1, &Lv::ZERO, b"a").unwrap();
    let b = store.append(0, &a.lv, b"b").unwrap();
    assert!(store.wal.poll_durable(&b.lv).is_none());
    store.wal.wait_durable(&b.lv).unwrap();
    assert!(store.wal.durable().get(stream(1)) >= a.end);
    assert!(matches!(store.wal.poll_durable(&b.lv), Some(Ok(()))));
}

#[test]
fn truncation_recycles_and_keeps_what_redo_needs() {
    let store = fresh(&small(1));
    let env = store.env.clone();
    for round in 0..40u64 {
        for number in 0..8 {
            store.append(0, &Lv::ZERO, &body(round * 8 + number, 3000)).unwrap();
        }
        store.wal.flush_all().unwrap();
        store.checkpoint().unwrap();
    }
    let names: Vec<_> = env.vfs.list(Path::new(HOME)).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.len() <= 7, "{names:?}");
    store.append(0, &Lv::ZERO, &body(1, 10)).unwrap();
    store.close().unwrap();
    let store = Store::open(&env, &small(1)).unwrap();
    assert_eq!(store.bodies(), [body(1, 10)]);
    store.commit(b"next").unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let store = Store::open(&env, &small(1)).unwrap();
    assert!(store.found.is_empty());
    assert!(read_state(&env).unwrap().incarnations.len() <= 2);
}

#[test]
fn a_closed_log_takes_nothing_more() {
    let store = fresh(&small(1));
    store.commit(b"x").unwrap();
    let wal = store.wal.clone();
    store.close().unwrap();
    assert_eq!(wal.reserve(stream(0), 1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(wal.poisoned().is_none());
}

#[test]
fn unused_credit_is_given_back() {
    let store = fresh(&small(1));
    for _ in 0..1000 {
        drop(store.wal.reserve(stream(0), 16 << 10).unwrap());
    }
    store.commit(b"x").unwrap();
}

#[test]
fn committers_share_flushes() {
    const COMMITS: usize = 200;
    let config = WalConfig { flusher: true, ..small(2) };
    let store = Arc::new(fresh(&config));
    let workers: Vec<_> = (0..8)
        .map(|id| {
            let store = store.clone();
            thread::spawn("committer", move || {
                for number in 0..COMMITS {
                    let appended = store.append(id % 2, &Lv::ZERO, &body(number as u64, 60)).unwrap();
                    store.wal.wait_durable_within(&appended.lv, Duration::from_millis(1)).unwrap();
                    assert!(store.wal.is_durable(&appended.lv));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let stats = store.wal.stats();
    assert!(stats.flushes < 8 * COMMITS as u64 / 2, "{stats:?}");
    let env = store.env.clone();
    Arc::into_inner(store).unwrap().close().unwrap();
    assert_eq!(Store::open(&env, &config).unwrap().found.len(), 8 * COMMITS);
}

#[test]
fn committers_without_patience_pass_through_a_small_ring() {
    let store = Arc::new(fresh(&small(4)));
    let workers: Vec<_> = (0..4u8)
        .map(|id| {
            let store = store.clone();
            thread::spawn("committer", move || {
                let mut deps = Lv::ZERO;
                for number in 0..60u64 {
                    let to = ((u64::from(id) + number) % 4) as u8;
                    let appended = store.append(to, &deps, &body(number, 12_000)).unwrap();
                    deps = appended.lv;
                    if number % 7 == 0 {
                        store.wal.wait_durable(&deps).unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let env = store.env.clone();
    Arc::into_inner(store).unwrap().close().unwrap();
    assert_eq!(Store::open(&env, &small(4)).unwrap().found.len(), 240);
}

#[test]
fn an_asynchronous_flush_comes_in_time() {
    let clock = Arc::new(ManualClock::new());
    let env = Env { clock: clock.clone(), ..Env::memory() };
    create(&env);
    let store = Store::open(&env, &small(1)).unwrap();
    let appended = store.append(0, &Lv::ZERO, b"x").unwrap();
    store.wal.flush_after(Duration::from_millis(5));
    assert!(store.wal.poll_durable(&appended.lv).is_none());
    clock.advance(Duration::from_millis(6));
    assert!(matches!(store.wal.poll_durable(&appended.lv), Some(Ok(()))));
}

#[test]
fn the_background_thread_flushes_and_wakes() {
    use std::task::{Wake, Waker};
    struct Bell(Arc<aether_sync::Mutex<bool>>);
    impl Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock() = true;
        }
    }
    for flusher in [true, false] {
        let env = Env { clock: Env::real().clock, ..Env::memory() };
        create(&env);
        let store = Store::open(&env, &WalConfig { flusher, ..small(2) }).unwrap();
        let appended = store.append(1, &Lv::ZERO, b"x").unwrap();
        let rung = shared(false);
        store.wal.subscribe(&appended.lv, Waker::from(std::sync::Arc::new(Bell(rung.clone()))));
        while !*rung.lock() {
            thread::yield_now();
        }
        assert!(store.wal.is_durable(&appended.lv));
        let appended = store.append(0, &Lv::ZERO, b"y").unwrap();
        store.wal.flush_after(Duration::from_millis(2));
        while store.wal.poll_durable(&appended.lv).is_none() {
            thread::yield_now();
        }
        store.close().unwrap();
    }
}

#[test]
fn a_log_says_how_many_streams_it_has_and_whether_it_has_begun() {
    for streams in [1, 3] {
        let store = fresh(&small(streams));
        assert_eq!((store.wal.streams(), store.wal.is_started()), (streams, false));
        store.commit(b"x").unwrap();
        assert!(store.wal.is_started());
    }
}

#[test]
fn the_log_is_a_gate_for_pages() {
    use aether_wal::buffer::{Durable, FlushGate};
    let store = fresh(&small(1));
    let appended = store.append(0, &Lv::ZERO, b"x").unwrap();
    let gate: Arc<dyn FlushGate> = store.wal.clone();
    Durable::up_to(&*gate, &appended.lv).unwrap();
    assert!(gate.durable().covers(&appended.lv));
}

#[test]
fn wrong_configurations_are_refused() {
    let env = Env::memory();
    create(&env);
    for config in [
        WalConfig { streams: 0, ..small(1) },
        WalConfig { streams: 17, ..small(1) },
        WalConfig { ring_bytes: 100_000, ..small(1) },
        WalConfig { segment_bytes: 4096, ..small(1) },
    ] {
        let made = Wal::fresh(&env, Path::new(HOME), crate::store::STORE, config, Box::new(|_| Ok(())));
        assert_eq!(made.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(FIRST_KIND, 16);
}

#[test]
fn the_log_runs_on_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { flusher: true, ..small(2) };
    let control = || -> aether_wal::Control { Box::new(|_| Ok(())) };
    let wal = Wal::fresh(&Env::real(), dir.path(), crate::store::STORE, config.clone(), control()).unwrap();
    for number in 0..30 {
        let credit = wal.reserve(stream(number as u8 % 2), 9000).unwrap();
        let appended = wal.append(credit, 16, &wal.slv_join(), &body(number, 9000));
        wal.wait_durable(&appended.lv).unwrap();
    }
    let incarnations = [wal.incarnation()];
    let ends = wal.close().unwrap();
    let scan = aether_wal::Scan::open(
        &Env::real(),
        dir.path(),
        crate::store::STORE,
        &config,
        &incarnations,
        &Lv::ZERO,
        Some(&ends),
    );
    let found = crate::store::read_all(&scan.unwrap(), &Lv::ZERO).unwrap();
    assert_eq!(found.len(), 30);
}

#[test]
fn the_memory_of_a_log_is_that_of_its_streams() {
    let one = small(1).memory_bytes();
    // The ring and what is written of it at once; a counter of 4 bytes for each block of 4 KiB.
    assert_eq!(one, 2 * (64 << 10) + (64 << 10) / 4096 * 4);
    assert_eq!(small(3).memory_bytes(), 3 * one);
    let large = WalConfig { ring_bytes: 8 << 20, ..small(1) };
    assert_eq!(large.memory_bytes(), (8 << 20) + (1 << 20) + (8 << 20) / 4096 * 4);
}

/// A flush is written piece by piece, each as long as the buffer for it.
#[test]
fn a_flush_may_be_longer_than_what_is_written_at_once() {
    let config = WalConfig { segment_bytes: 8 << 20, ring_bytes: 4 << 20, ..small(1) };
    let store = fresh(&config);
    let env = store.env.clone();
    // Segments grow: from the third round on, one holds a whole flush.
    for number in 0..48 {
        store.append(0, &Lv::ZERO, &body(number, 250 << 10)).unwrap();
        if number % 12 == 11 {
            store.wal.flush_all().unwrap();
        }
    }
    store.close().unwrap();
    let found = Store::open(&env, &config).unwrap().bodies();
    assert!(found.iter().enumerate().all(|(number, found)| *found == body(number as u64, 250 << 10)));
    assert_eq!(found.len(), 48);
}

#[test]
fn free_files_of_a_stream_that_is_gone_go_when_the_next_open_begins() {
    let store = fresh(&small(2));
    let env = store.env.clone();
    for number in 0..80 {
        store.append(1, &Lv::ZERO, &body(number, 3000)).unwrap();
        if number % 8 == 7 {
            store.wal.flush_all().unwrap();
            store.checkpoint().unwrap();
        }
    }
    store.close().unwrap();
    let free = || {
        let names = env.vfs.list(Path::new(HOME)).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.starts_with("log-01-free")).count()
    };
    let store = Store::open(&env, &small(1)).unwrap();
    assert!(free() > 0, "some are kept for reuse");
    store.commit(b"x").unwrap();
    assert_eq!(free(), 0);
}

/// Otherwise the one who has time would hold up the other, here for an hour.
#[test]
fn who_gathers_waits_no_longer_when_somebody_is_in_a_hurry() {
    let store = Arc::new(fresh(&small(1)));
    let patient = {
        let store = store.clone();
        thread::spawn("patient", move || {
            let appended = store.append(0, &Lv::ZERO, b"x").unwrap();
            store.wal.wait_durable_within(&appended.lv, Duration::from_secs(3600)).unwrap();
        })
    };
    while store.wal.stats().groups_waited == 0 {
        thread::yield_now();
    }
    // Most of the time it gathers by now; if not, it finds its record durable.
    thread::sleep(Duration::from_millis(50));
    store.commit(b"y").unwrap();
    patient.join().unwrap();
}

#[test]
fn nothing_of_a_stream_that_is_gone_is_kept_for_reuse() {
    let store = fresh(&small(2));
    let env = store.env.clone();
    for number in 0..80 {
        store.append(1, &Lv::ZERO, &body(number, 3000)).unwrap();
    }
    store.close().unwrap();
    let files = || {
        let names = env.vfs.list(Path::new(HOME)).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.starts_with("log-01-")).collect::<Vec<_>>()
    };
    let store = Store::open(&env, &small(1)).unwrap();
    store.commit(b"x").unwrap();
    assert!(files().len() > 2, "the log is still needed: {:?}", files());
    store.checkpoint().unwrap();
    assert!(files().iter().all(|name| !name.contains("free")), "{:?}", files());
}
