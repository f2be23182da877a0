//! Damage met by a restart that still has changes to make.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, ErrorKind, Options};
use aether_sim::Sim;
use aether_vfs::{Create, OpenOptions, Vfs, read_file};
use std::path::Path;

const HOME: &str = "/store";
const PAGES: &str = "/store/pages-00000001";
const ROWS: u32 = 2000;

fn open(sim: &Sim) -> DbEnv {
    let buffer = BufferConfig { num_frames: 64, enable_page_provider: false, ..BufferConfig::default() };
    let options = Options { buffer, background: false, ..Options::default() };
    DbEnv::open_in(sim.env(), Path::new(HOME), options).unwrap()
}

fn key(row: u32) -> Vec<u8> {
    format!("row-{row:06}").into_bytes()
}

fn put(db: &DbEnv, rows: impl Iterator<Item = u32>, value: &[u8]) {
    let space = db.keyspace("default").unwrap();
    let mut txn = db.begin().unwrap();
    rows.for_each(|row| txn.put(&space, &key(row), value).unwrap());
    txn.commit().unwrap();
}

fn harm(vfs: &dyn Vfs, page: u64) {
    let file = vfs.open(Path::new(PAGES), OpenOptions::write(Create::No)).unwrap();
    file.write_at(page * 4096 + 1024, &[0xa5; 64]).unwrap();
}

/// A store that was closed, opened again, changed in every leaf, and killed: the log has changes of pages, not their lives.
fn stopped() -> Sim {
    let sim = Sim::new(1);
    let db = open(&sim);
    put(&db, 0..ROWS, &[7; 100]);
    db.close().unwrap();
    let db = open(&sim);
    put(&db, (0..ROWS).step_by(10), &[8; 100]);
    sim.kill_image()
}

#[test]
fn a_damaged_page_with_changes_in_the_log_is_fenced_and_the_store_opens() {
    let stopped = stopped();
    let pages = read_file(&*stopped.env().vfs, Path::new(PAGES)).unwrap().len() as u64 / 4096;
    let mut fenced = 0;
    for page in (5..pages).step_by(3) {
        let sim = stopped.fork();
        harm(&*sim.env().vfs, page);
        let db = open(&sim);
        if db.recovery_report().fenced.is_empty() {
            continue;
        }
        fenced += 1;
        let space = db.keyspace("default").unwrap();
        let snapshot = db.snapshot().unwrap();
        let mut lost = 0;
        for row in 0..ROWS {
            let wanted = if row % 10 == 0 { [8; 100] } else { [7; 100] };
            match snapshot.get(&space, &key(row)) {
                Ok(value) => assert_eq!(value.as_deref(), Some(&wanted[..])),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption);
                    lost += 1;
                }
            }
        }
        assert!((1..200).contains(&lost), "page {page}: {lost} rows cannot be read");
        assert!(!db.verify().unwrap().problems.is_empty());
        drop(snapshot);
        // What is fenced stays fenced, whoever puts back the page as it was before.
        db.checkpoint().unwrap();
        db.close().unwrap();
        let mut old = vec![0; 4096];
        let from = stopped.env().vfs.open(Path::new(PAGES), OpenOptions::read()).unwrap();
        from.read_at(page * 4096, &mut old).unwrap();
        let to = sim.env().vfs.open(Path::new(PAGES), OpenOptions::write(Create::No)).unwrap();
        to.write_at(page * 4096, &old).unwrap();
        let db = open(&sim);
        let space = db.keyspace("default").unwrap();
        let unread = (0..ROWS).filter(|row| db.snapshot().unwrap().get(&space, &key(*row)).is_err()).count();
        assert_eq!(unread, lost, "page {page}");
    }
    assert!(fenced > 5, "{fenced} pages were fenced");
}
