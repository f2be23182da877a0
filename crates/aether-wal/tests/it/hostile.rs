//! Damage: flipped bits, missing and cut files, failed writes. The log answers with what was there or with an error that
//! names the place, never with something else.

use crate::store::{Found, HOME, STORE, Store, create, read_state, small, stream};
use aether_sim::{Errno, Fault, OpKind, Sim};
use aether_types::{ErrorKind, Lsn, Lv};
use aether_vfs::{Create, Env, OpenOptions};
use std::path::{Path, PathBuf};

fn segments(env: &Env) -> Vec<(PathBuf, u64)> {
    let entries = env.vfs.list(Path::new(HOME)).unwrap();
    let logs =
        entries.into_iter().filter(|entry| entry.name.starts_with("log-") && !entry.name.contains("free"));
    logs.map(|entry| (Path::new(HOME).join(entry.name), entry.size)).collect()
}

fn flip(env: &Env, path: &Path, offset: u64, mask: u8) {
    let file = env.vfs.open(path, OpenOptions::write(Create::No)).unwrap();
    let mut byte = [0];
    file.read_at(offset, &mut byte).unwrap();
    file.write_at(offset, &[byte[0] ^ mask]).unwrap();
}

/// Three flushes in each of two streams, crossing into a second segment in stream 0; closed cleanly or dropped.
fn written(clean: bool) -> (Env, Vec<Found>) {
    let env = Env::memory();
    create(&env);
    let store = Store::open(&env, &small(2)).unwrap();
    for round in 0..3 {
        for number in 0..2u8 {
            store.append(0, &store.wal.slv_join(), &vec![number + 1; 11_000 + round]).unwrap();
            store.append(1, &store.wal.slv_join(), &[number + 1; 50]).unwrap();
        }
        store.wal.flush_all().unwrap();
    }
    if clean {
        store.close().unwrap()
    } else {
        drop(store)
    }
    let found = Store::open(&env, &small(2)).unwrap().found;
    assert_eq!(found.len(), 12);
    (env, found)
}

#[test]
fn a_flipped_bit_in_a_clean_log_is_seen_or_does_not_matter() {
    let (env, expected) = written(true);
    let mut seen = 0;
    let files = segments(&env);
    assert_eq!(files.len(), 3);
    for (path, size) in &files {
        for offset in (0..*size).step_by(7).chain(0..80).chain(4096..4200) {
            let mask = 1 << (offset % 8);
            flip(&env, path, offset, mask);
            match Store::open(&env, &small(2)) {
                Ok(store) => assert_eq!(store.found, expected, "{path:?} {offset}"),
                Err(error) => {
                    seen += 1;
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    // A record is named by where it starts, which may be in the segment before.
                    let place = error.place();
                    let (named, at) = (place.path.as_ref().unwrap(), place.offset.unwrap());
                    assert!(named < path || (named == path && at <= offset.max(80)), "{error} at {offset}");
                }
            }
            flip(&env, path, offset, mask);
        }
    }
    assert!(seen > 8000, "{seen}");
}

/// Without a clean end, damage is told from the end of the log by what follows: only the last flush may go.
#[test]
fn a_flipped_bit_before_the_last_flush_is_never_taken_for_the_end() {
    let (env, expected) = written(false);
    for (path, size) in segments(&env) {
        for offset in (4096..size).step_by(61) {
            flip(&env, &path, offset, 16);
            match Store::open(&env, &small(2)) {
                Ok(store) => {
                    let missing = expected.iter().filter(|record| !store.found.contains(record)).count();
                    assert!(missing <= 4, "{missing} records are missing: {path:?} {offset}");
                    assert!(store.found.iter().all(|record| expected.contains(record)));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corruption, "{error}"),
            }
            flip(&env, &path, offset, 16);
        }
    }
}

/// Nothing follows in stream 0 itself, but a flush start of stream 1 says how far stream 0 was durable.
#[test]
fn damage_in_one_stream_is_told_by_another() {
    let env = Env::memory();
    create(&env);
    let store = Store::open(&env, &small(2)).unwrap();
    let needed = store.append(0, &Lv::ZERO, b"needed").unwrap();
    store.wal.flush_all().unwrap();
    for _ in 0..2 {
        store.append(1, &Lv::ZERO, b"other").unwrap();
        store.wal.flush_all().unwrap();
    }
    drop(store);
    assert_eq!(Store::open(&env, &small(2)).unwrap().found.len(), 3);
    let (path, _) = segments(&env).remove(0);
    flip(&env, &path, needed.lsn.get(), 1);
    let error = Store::open(&env, &small(2)).err().unwrap();
    assert!(error.kind() == ErrorKind::Corruption && error.to_string().contains("another stream"), "{error}");
    assert_eq!(error.place().offset, Some(needed.lsn.get()));
}

#[test]
fn a_missing_or_cut_segment_is_corruption() {
    for clean in [true, false] {
        let (env, _) = written(clean);
        for (path, size) in segments(&env) {
            let away = Path::new(HOME).join("away");
            env.vfs.rename(&path, &away).unwrap();
            let opened = Store::open(&env, &small(2));
            assert_eq!(opened.err().expect("a segment is missing").kind(), ErrorKind::Corruption);
            env.vfs.rename(&away, &path).unwrap();
            let file = env.vfs.open(&path, OpenOptions::write(Create::No)).unwrap();
            file.set_size(size - 4096).unwrap();
            let error = Store::open(&env, &small(2)).err().expect("a segment is cut");
            assert_eq!(error.kind(), ErrorKind::Corruption);
            assert_eq!(error.place().path.as_ref(), Some(&path));
            // The bytes that were cut off had never been used: they were zeros.
            file.set_size(size).unwrap();
        }
    }
}

/// The control file of before comes back: a lost write. Its incarnations know nothing of the newer segments, which once
/// were taken for nobody's and removed, and with them what had been acknowledged since.
#[test]
fn an_older_control_file_is_refused() {
    let (env, _) = written(true);
    let state = read_state(&env).unwrap();
    let store = Store::open(&env, &small(2)).unwrap();
    store.commit(b"more").unwrap();
    drop(store);
    crate::store::write_state(&env, &state).unwrap();
    let error = Store::open(&env, &small(2)).err().expect("the log is newer than the control file");
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(error.to_string().contains("out of date"), "{error}");
}

#[test]
fn a_store_of_another_id_is_refused() {
    let (env, _) = written(true);
    let state = read_state(&env).unwrap();
    let other = aether_types::StoreId::new([6; 16]);
    let opened = aether_wal::Scan::open(
        &env,
        Path::new(HOME),
        other,
        &small(2),
        &state.incarnations,
        &state.from,
        None,
    );
    assert!(opened.unwrap_err().to_string().contains("another store"));
}

fn machine() -> Sim {
    let sim = Sim::new(2);
    create(&sim.env());
    sim
}

#[test]
fn the_first_failed_write_or_sync_ends_all_writing() {
    for nth in 0..60 {
        let sim = machine();
        let env = sim.env();
        sim.inject(Fault::FailOp { nth, kind: OpKind::Any, error: Errno::Eio, sticky: nth % 2 == 0 });
        let store = Store::open(&env, &small(1)).unwrap();
        let mut acknowledged = Vec::new();
        let failed = loop {
            let body = vec![acknowledged.len() as u8; 3000];
            match store.commit(&body) {
                Ok(_) => acknowledged.push(body),
                Err(error) => break error,
            }
        };
        assert!(matches!(failed.kind(), ErrorKind::InDoubt | ErrorKind::Poisoned), "{failed}");
        sim.heal();
        assert_eq!(store.wal.poisoned().unwrap().kind(), ErrorKind::Io);
        assert_eq!(store.commit(b"later").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(store.wal.flush_all().is_ok(), store.wal.is_durable(&store.wal.positions()));
        let durable = store.wal.durable();
        assert!(store.wal.wait_durable(&durable).is_ok(), "what was durable stays acknowledged");
        assert!(store.wal.close().is_err() || store.wal.is_durable(&store.wal.positions()));
        drop(store);
        let found = Store::open(&env, &small(1)).unwrap().bodies();
        assert!(found.starts_with(&acknowledged) && found.len() <= acknowledged.len() + 1);
    }
}

/// R3: when no new file can be made, ordinary records are refused before they are claimed, urgent ones get
/// the reserve, nothing is lost, and the log goes on once there is space.
#[test]
fn a_full_disk_refuses_ordinary_records_and_lets_urgent_ones_through() {
    let sim = machine();
    let env = sim.env();
    let store = Store::open(&env, &small(1)).unwrap();
    store.commit(b"first").unwrap();
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::Create, error: Errno::Enospc, sticky: true });
    let body = vec![7; 9000];
    let mut count = 1;
    let error = loop {
        match store.commit(&body) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(store.wal.poisoned().is_none());
    for _ in 0..3 {
        let credit = store.wal.reserve_urgent(stream(0), body.len()).unwrap();
        let appended = store.wal.append(credit, 17, &Lv::ZERO, &body);
        store.wal.wait_durable(&appended.lv).unwrap();
        count += 1;
    }
    assert_eq!(store.commit(&body).unwrap_err().kind(), ErrorKind::Full, "the reserve is not for everyone");
    sim.heal();
    for _ in 0..20 {
        store.commit(&body).unwrap();
        count += 1;
    }
    store.close().unwrap();
    assert_eq!(Store::open(&env, &small(1)).unwrap().found.len(), count);
}

/// What the control file says was taken as it was: an epoch at the end of numbers overflowed, and a log that began
/// below what had been cut off, or near the end of positions, could not be opened again once it had been written to.
#[test]
fn impossible_incarnations_are_refused() {
    let env = Env::memory();
    create(&env);
    let lv = |position| Lv::at(stream(0), aether_types::Lsn::new(position));
    let began = |epoch, cut, start| aether_wal::Incarnation { epoch, cut: lv(cut), start: lv(start) };
    let scan = |incarnations: &[aether_wal::Incarnation], from: Lv| {
        let scan =
            aether_wal::Scan::open(&env, Path::new(HOME), STORE, &small(1), incarnations, &from, None)?;
        aether_wal::Wal::resume(&scan, small(1), Box::new(|_| Ok(()))).map(drop)
    };
    scan(&[], Lv::ZERO).unwrap();
    for (incarnations, from) in [
        (vec![began(u64::MAX, 0, 0)], 0),
        (vec![began(1 << 59, 0, 0)], 0),
        (vec![began(1, 0, u64::MAX)], 0),
        (vec![began(1, 8192, 4096)], 0),
        (vec![began(2, 0, 0), began(2, 0, 0)], 0),
        (vec![began(1, 0, 8192), began(2, 0, 4096)], 0),
        (vec![], 4096),
    ] {
        let error = scan(&incarnations, lv(from)).expect_err("impossible");
        assert_eq!(error.kind(), ErrorKind::Corruption, "{incarnations:?}: {error}");
    }
}

#[test]
fn log_that_pages_prove_to_have_been_there_is_missed() {
    let env = Env::memory();
    create(&env);
    let store = Store::open(&env, &small(2)).unwrap();
    store.commit(b"x").unwrap();
    let state = read_state(&store.env).unwrap();
    let scan = aether_wal::Scan::open(
        &env,
        Path::new(HOME),
        STORE,
        &small(2),
        &state.incarnations,
        &state.from,
        None,
    )
    .unwrap();
    scan.check_durable(&store.wal.durable()).unwrap();
    scan.check_durable(&scan.cut()).unwrap();
    for id in [0, 1] {
        let mut proved = scan.cut();
        proved.raise(stream(id), Lsn::new(scan.cut().get(stream(id)).get() + 1));
        assert_eq!(scan.check_durable(&proved).unwrap_err().kind(), ErrorKind::Corruption);
    }
}
