//! Target `catalog`: the rows of the catalog, as bytes and in a store that lives by them.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | bit 0: open the store again before it is used; bit 1: create keyspaces; bit 2: drop them |
//! | the rest | rows: key (string), value (string) |

use super::input::Input;
use super::{expect_damage, stays};
use aether_kv::fuzzing::{entry_again, put_catalog_row, tree_id_again};
use aether_kv::{DbEnv, Error, ErrorKind, KeyspaceOptions};
use aether_vfs::Env;

/// Rows that are put at the most.
const ROWS_MAX: usize = 24;
/// Rows of a keyspace that are read at the most.
const READ_MAX: usize = 1000;

/// Reads the rows of a catalog, and uses a store that has them.
pub fn catalog(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let rows = rows(&mut input);
    for (_, value) in &rows {
        stays("an entry", entry_again, value);
        stays("a tree id", tree_id_again, value);
    }
    let env = Env::memory();
    let Some(store) = filled(&env, &rows) else { return };
    let store = match flags & 1 {
        0 => Ok(store),
        _ => store.close().and_then(|()| open(&env)),
    };
    match store {
        Ok(store) => use_all(&store, flags),
        Err(error) => expect_refusal("opening", &error),
    }
}

fn rows<'a>(input: &mut Input<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    let mut rows = Vec::new();
    while !input.is_empty() && rows.len() < ROWS_MAX {
        rows.push((input.string(), input.string()));
    }
    rows
}

fn open(env: &Env) -> Result<DbEnv, Error> {
    super::store::open(env)
}

/// A store with those rows, unless no store could hold one of them.
fn filled(env: &Env, rows: &[(&[u8], &[u8])]) -> Option<DbEnv> {
    let store = open(env).expect("a new store");
    for (key, value) in rows {
        if let Err(error) = put_catalog_row(&store, key, value) {
            expect_refusal("a row of the catalog", &error);
            return None;
        }
    }
    Some(store)
}

/// Everything that reads the catalog; each step is done or refused.
fn use_all(store: &DbEnv, flags: u8) {
    let names = match store.keyspaces() {
        Ok(names) => names,
        Err(error) => return expect_refusal("the names", &error),
    };
    for name in names.iter().chain([&"new".to_owned()]) {
        told("reading", read(store, name));
        if flags & 2 != 0 {
            told("creating", create(store, name));
        }
        told("writing", write(store, name));
        if flags & 4 != 0 {
            told("dropping", drop_it(store, name));
        }
    }
    told("figures", store.stat_full().map(drop));
    told("verifying", store.verify().map(drop));
    told("a checkpoint", store.checkpoint());
}

fn read(store: &DbEnv, name: &str) -> Result<(), Error> {
    let (snapshot, space) = (store.snapshot()?, store.keyspace(name)?);
    snapshot.get(&space, b"key")?;
    snapshot.iter(&space)?.take(READ_MAX).try_for_each(|row| row.map(drop))?;
    snapshot.iter(&space)?.rev().take(READ_MAX).try_for_each(|row| row.map(drop))
}

fn create(store: &DbEnv, name: &str) -> Result<(), Error> {
    let mut txn = store.begin()?;
    store.create_keyspace(&mut txn, name, KeyspaceOptions::default())?;
    txn.commit()
}

fn write(store: &DbEnv, name: &str) -> Result<(), Error> {
    let (mut txn, space) = (store.begin()?, store.keyspace(name)?);
    txn.put(&space, b"key", &[7; 300])?;
    txn.commit()
}

fn drop_it(store: &DbEnv, name: &str) -> Result<(), Error> {
    let mut txn = store.begin()?;
    store.drop_keyspace(&mut txn, name)?;
    txn.commit()
}

#[track_caller]
fn told(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        expect_refusal(what, &error);
    }
}

/// Damage, or what a caller may do wrong.
#[track_caller]
fn expect_refusal(what: &str, error: &Error) {
    use ErrorKind::{AlreadyExists, InvalidInput, NotFound, OverLimit};
    if !matches!(error.kind(), AlreadyExists | InvalidInput | NotFound | OverLimit) {
        expect_damage(what, error);
    }
}
