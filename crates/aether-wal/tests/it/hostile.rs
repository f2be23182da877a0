//! Damage: flipped bits, missing and cut files, failed writes. The log answers with what was there or with an error that
//! names the place, never with something else.

use crate::store::{Found, HOME, Store, create, read_state, small};
use aether_sync::Arc;
use aether_sync::atomic::{AtomicU64, Ordering::SeqCst};
use aether_types::{Error, ErrorKind, Lv, Result};
use aether_vfs::{Create, Entry, Env, File, MemoryVfs, Mode, OpenOptions, Vfs};
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

#[test]
fn a_missing_or_cut_segment_is_corruption() {
    for clean in [true, false] {
        let (env, _) = written(clean);
        for (path, size) in segments(&env) {
            let away = Path::new(HOME).join("away");
            env.vfs.rename(&path, &away).unwrap();
            let last = !clean && path.ends_with("log-00-0000000000000001");
            let opened = Store::open(&env, &small(2));
            if !last {
                assert_eq!(opened.err().expect("a segment is missing").kind(), ErrorKind::Corruption);
            }
            env.vfs.rename(&away, &path).unwrap();
            let file = env.vfs.open(&path, OpenOptions::write(Create::No)).unwrap();
            file.set_size(size - 4096).unwrap();
            let error = Store::open(&env, &small(2)).err().expect("a segment is cut");
            assert_eq!(error.kind(), ErrorKind::Corruption);
            assert_eq!(error.place().path.as_ref(), Some(&path));
            return_to(&*file, size);
        }
    }
}

/// The cut bytes were never used: zeros.
fn return_to(file: &dyn File, size: u64) {
    file.set_size(size).unwrap();
}

#[test]
fn bytes_after_a_clean_end_are_reported() {
    let (env, _) = written(true);
    let state = read_state(&env).unwrap();
    let stale = state.clean_end.unwrap();
    let store = Store::open(&env, &small(2)).unwrap();
    store.commit(b"more").unwrap();
    drop(store);
    // The control file of before comes back: a lost write. Its incarnations know nothing of the newer segments, which
    // hence are not read; but nothing of the old log is missing.
    crate::store::write_state(&env, &state).unwrap();
    let store = Store::open(&env, &small(2)).unwrap();
    assert!(store.cut.covers(&stale));
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

/// Fails the nth write or sync, and every one after it, with a given error.
struct Failing {
    inner: MemoryVfs,
    left: Arc<AtomicU64>,
    kind: ErrorKind,
    /// Only the making of new files fails.
    only_new: bool,
}

struct FailingFile {
    inner: Arc<dyn File>,
    left: Arc<AtomicU64>,
    kind: ErrorKind,
    counted: bool,
}

fn pass(left: &AtomicU64, kind: ErrorKind) -> Result<()> {
    let passed = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
    passed.map(drop).map_err(|_| Error::new(kind, "made to fail"))
}

impl Vfs for Failing {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let log = path.to_string_lossy().contains("log-") && options.write;
        let counted = log && (!self.only_new || options.create == Create::New);
        let inner = self.inner.open(path, options)?;
        Ok(Arc::new(FailingFile { inner, left: self.left.clone(), kind: self.kind, counted }))
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.inner.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.inner.create_dir(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.inner.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.inner.sync_dir(dir)
    }
}

impl File for FailingFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.inner.read_at(offset, into)
    }
    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        if self.counted {
            pass(&self.left, self.kind)?;
        }
        self.inner.write_at(offset, from)
    }
    fn sync(&self) -> Result<()> {
        if self.counted {
            pass(&self.left, self.kind)?;
        }
        self.inner.sync()
    }
    fn size(&self) -> Result<u64> {
        self.inner.size()
    }
    fn set_size(&self, size: u64) -> Result<()> {
        self.inner.set_size(size)
    }
    fn lock(&self, holder: &str) -> Result<()> {
        self.inner.lock(holder)
    }
}

fn failing(kind: ErrorKind, only_new: bool) -> (Env, Arc<AtomicU64>) {
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let vfs = Failing { inner: MemoryVfs::new(), left: left.clone(), kind, only_new };
    let env = Env { vfs: Arc::new(vfs), ..Env::memory() };
    create(&env);
    (env, left)
}

#[test]
fn the_first_failed_write_or_sync_ends_all_writing() {
    for fail_at in 0..40 {
        let (env, left) = failing(ErrorKind::Io, false);
        left.store(fail_at, SeqCst);
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
        left.store(u64::MAX, SeqCst);
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
    let (env, left) = failing(ErrorKind::Full, true);
    let store = Store::open(&env, &small(1)).unwrap();
    store.commit(b"first").unwrap();
    left.store(0, SeqCst);
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
        let credit = store.wal.reserve_urgent(crate::store::stream(0), body.len()).unwrap();
        let appended = store.wal.append(credit, 17, &Lv::ZERO, &body);
        store.wal.wait_durable(&appended.lv).unwrap();
        count += 1;
    }
    assert_eq!(store.commit(&body).unwrap_err().kind(), ErrorKind::Full, "the reserve is not for everyone");
    left.store(u64::MAX, SeqCst);
    for _ in 0..20 {
        store.commit(&body).unwrap();
        count += 1;
    }
    store.close().unwrap();
    assert_eq!(Store::open(&env, &small(1)).unwrap().found.len(), count);
}

#[test]
fn a_log_that_cannot_be_read_is_an_error_and_not_its_end() {
    let (env, _) = written(false);
    struct Unreadable(Arc<dyn Vfs>);
    struct UnreadableFile(Arc<dyn File>);
    impl Vfs for Unreadable {
        fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
            Ok(Arc::new(UnreadableFile(self.0.open(path, options)?)))
        }
        fn remove(&self, path: &Path) -> Result<()> {
            self.0.remove(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> Result<()> {
            self.0.rename(from, to)
        }
        fn create_dir(&self, path: &Path) -> Result<()> {
            self.0.create_dir(path)
        }
        fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
            self.0.list(dir)
        }
        fn sync_dir(&self, dir: &Path) -> Result<()> {
            self.0.sync_dir(dir)
        }
    }
    impl File for UnreadableFile {
        fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
            if offset + into.len() as u64 > 20_000 {
                return Err(Error::new(ErrorKind::Io, "made to fail"));
            }
            self.0.read_at(offset, into)
        }
        fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
            self.0.write_at(offset, from)
        }
        fn sync(&self) -> Result<()> {
            self.0.sync()
        }
        fn size(&self) -> Result<u64> {
            self.0.size()
        }
        fn set_size(&self, size: u64) -> Result<()> {
            self.0.set_size(size)
        }
        fn lock(&self, holder: &str) -> Result<()> {
            self.0.lock(holder)
        }
    }
    let env = Env { vfs: Arc::new(Unreadable(env.vfs.clone())), ..env };
    assert_eq!(Store::open(&env, &small(2)).err().unwrap().kind(), ErrorKind::Io);
    assert_eq!(OpenOptions::read().mode, Mode::Buffered);
}
