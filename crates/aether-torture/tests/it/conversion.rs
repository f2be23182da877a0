//! What a conversion holds in memory: of a value that no page has room for, a few pages, whatever it is copied from and to.

use aether_kv::lsm::tree::LsmConfig;
use aether_kv::{Db, DbEnv, IndexKind, KeyspaceOptions, Options, Result};
use aether_torture::allocation;
use std::io::{Read, Write};
use std::ops::ControlFlow;

const KINDS: [IndexKind; 4] = [IndexKind::BTREE, IndexKind::RAX, IndexKind::SKIPLIST, IndexKind::LSM];

/// Bytes of a value, and those that may be allocated at once while it is copied: rows in memory take 4 MiB for the first of them.
const VALUE_BYTES: u64 = 8 << 20;
const BYTES_MAX: u64 = 6 << 20;

/// Whoever copies does it in its own thread, which is the one that is counted.
fn open(dir: &tempfile::TempDir) -> Result<DbEnv> {
    let lsm = LsmConfig { threads: 0, ..LsmConfig::default() };
    let options = Options { lsm, background: false, ..Options::default() };
    DbEnv::open(dir.path().join("home"), options)
}

/// Bytes that differ from one to the next and from value to value.
struct Pattern(u64);

impl Read for Pattern {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        for byte in into.iter_mut() {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(into.len())
    }
}

/// Takes what the pattern says, and nothing else.
struct Judge(Pattern);

impl Write for Judge {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut wanted = [0; 4096];
        let count = bytes.len().min(wanted.len());
        self.0.read_exact(&mut wanted[..count])?;
        assert!(bytes[..count] == wanted[..count], "a byte differs");
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put(db: &Db, key: &[u8], seed: u64) -> Result<()> {
    db.transact(|txn| txn.put_stream(db.keyspace(), key, VALUE_BYTES, &mut Pattern(seed)))
}

fn judge(db: &Db, key: &[u8], seed: u64) -> Result<()> {
    let txn = db.begin()?;
    let mut reader = txn.get_stream(db.keyspace(), key)?.unwrap();
    assert_eq!(std::io::copy(&mut reader, &mut Judge(Pattern(seed))).unwrap(), VALUE_BYTES);
    Ok(())
}

/// One value is copied with the rows, another in a round, a third is deleted meanwhile. In an LSM tree one is in a file of values.
fn convert(from: IndexKind, to: IndexKind) -> Result<u64> {
    let dir = tempfile::TempDir::new().unwrap();
    let env = open(&dir)?;
    env.transact(|txn| env.create_keyspace(txn, "rows", KeyspaceOptions::of(from)).map(drop))?;
    let db = Db::in_env(env.clone(), "rows")?;
    (0..100u8).try_for_each(|number| db.put(&[b'a', number], &[number; 50]))?;
    put(&db, b"b copied", 1)?;
    put(&db, b"c deleted", 2)?;
    if from == IndexKind::LSM {
        env.lsm(db.keyspace()).unwrap().flush()?;
    }
    put(&db, b"a replaced", 3)?;
    env.checkpoint()?;
    let mut is_first = true;
    allocation::begin();
    let done = env.convert_with("rows", KeyspaceOptions::of(to), |_| {
        if core::mem::take(&mut is_first) {
            put(&db, b"a replaced", 4).unwrap();
            db.delete(b"c deleted").unwrap();
        }
        ControlFlow::Continue(())
    })?;
    let used = allocation::peak();
    assert!(done.unwrap().rows_copied_again >= 1);
    assert_eq!((db.keyspace().kind(), db.iter()?.count()), (to, 102));
    judge(&db, b"a replaced", 4)?;
    judge(&db, b"b copied", 1)?;
    assert_eq!(db.get(b"c deleted")?, None);
    assert_eq!(env.verify()?.problems, Vec::<String>::new());
    Ok(used)
}

#[test]
fn a_conversion_holds_no_value_whole() -> Result<()> {
    let mut most = 0;
    for from in KINDS {
        for to in KINDS.into_iter().filter(|to| *to != from) {
            let used = convert(from, to)?;
            assert!(used <= BYTES_MAX, "{from} to {to}: {used} bytes at once");
            most = most.max(used);
        }
    }
    // Less would mean that nothing was counted.
    assert!(most > 64 << 10, "{most} bytes");
    Ok(())
}
