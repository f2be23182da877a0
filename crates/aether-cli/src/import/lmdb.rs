//! LMDB, by heed: a directory with `data.mdb`, or the file alone. Opened read-only; other processes may use it.
//!
//! This room has `unsafe`: LMDB maps the file, and whoever truncates or overwrites it meanwhile breaks the map.

#![allow(unsafe_code)]

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use heed::types::Bytes;
use heed::{Database, EnvFlags, EnvOpenOptions, Error, MdbError, RoTxn, WithoutTls};
use std::io;
use std::path::PathBuf;

type Bare = Database<Bytes, Bytes>;
/// Several transactions of one thread are wanted.
type Env = heed::Env<WithoutTls>;

pub(super) fn run(job: &Job<'_>) -> Outcome {
    let env = open(job)?;
    let failed = |error: Error| refused(job, &error);
    let txn = env.read_txn().map_err(failed)?;
    judge_length(job, &env, &txn)?;
    let database = database(job, &env, &txn)?;
    let rows_total = database.len(&txn).map_err(failed)?;
    let rows = database.iter(&txn).map_err(failed)?;
    job.load(rows.map(|row| row.map_err(|error| failure(&error))), Some(rows_total))
}

fn data_file(job: &Job<'_>) -> PathBuf {
    if job.path().is_dir() { job.path().join("data.mdb") } else { job.path().into() }
}

fn open(job: &Job<'_>) -> Outcome<Env> {
    if !data_file(job).is_file() {
        return Err(job.failure(Exit::Damaged, "this is not LMDB: there is no data.mdb"));
    }
    let mut flags = EnvFlags::READ_ONLY;
    flags.set(EnvFlags::NO_SUB_DIR, !job.path().is_dir());
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(1);
    // SAFETY: neither flag is one of those that drop a guarantee of LMDB (no lock, no sync, a writable map).
    let options = unsafe { options.flags(flags) };
    // SAFETY: the map stays valid while nobody truncates or overwrites the file other than through LMDB. That is in
    // the user's hands, as for every program that reads LMDB, and said in the document of `import`.
    unsafe { options.open(job.path()) }.map_err(|error| refused(job, &error))
}

/// The map reaches beyond a file that was truncated, and reading there kills the process.
fn judge_length(job: &Job<'_>, env: &Env, txn: &RoTxn<'_>) -> Outcome<()> {
    let main: Bare = unnamed(job, env, txn)?;
    let page_bytes = main.stat(txn).map_err(|error| refused(job, &error))?.page_size as u64;
    let needed = (env.info().last_page_number as u64 + 1).saturating_mul(page_bytes);
    let length = data_file(job).metadata().map_err(|error| refused(job, &error.into()))?.len();
    if length < needed {
        let told = format!("the file is truncated: {length} bytes, where its pages take {needed}");
        return Err(job.failure(Exit::Damaged, &told));
    }
    Ok(())
}

fn unnamed(job: &Job<'_>, env: &Env, txn: &RoTxn<'_>) -> Outcome<Bare> {
    let main = env.open_database(txn, None).map_err(|error| refused(job, &error))?;
    main.ok_or_else(|| job.failure(Exit::Damaged, "there is no unnamed database"))
}

/// The named database, or the unnamed one if there is no other.
fn database(job: &Job<'_>, env: &Env, txn: &RoTxn<'_>) -> Outcome<Bare> {
    let main = unnamed(job, env, txn)?;
    let names = names(job, env, txn, main)?;
    if names.is_empty() && job.arguments.table.is_none() {
        return Ok(main);
    }
    let name = job.choose("named database", names)?;
    let found = env.open_database(txn, Some(&name)).map_err(|error| refused(job, &error))?;
    found.ok_or_else(|| job.failure(Exit::Damaged, &format!("the database \"{name}\" cannot be opened")))
}

/// The keys of the unnamed database behind which a database stands.
fn names(job: &Job<'_>, env: &Env, txn: &RoTxn<'_>, main: Bare) -> Outcome<Vec<String>> {
    /// Bytes of what LMDB keeps of a database.
    const RECORD_BYTES: usize = 48;
    let mut names = Vec::new();
    for row in main.iter(txn).map_err(|error| refused(job, &error))? {
        let (key, value) = row.map_err(|error| refused(job, &error))?;
        let Ok(name) = str::from_utf8(key) else { continue };
        if value.len() == RECORD_BYTES && !name.contains('\0') && is_database(env, name)? {
            names.push(name.into());
        }
    }
    Ok(names)
}

/// Whether a database of that name can be opened. A transaction of its own opens and closes it again, for LMDB
/// holds no more than one here.
fn is_database(env: &Env, name: &str) -> Outcome<bool> {
    let txn = env.read_txn().map_err(|error| failure(&error))?;
    match env.open_database::<Bytes, Bytes>(&txn, Some(name)) {
        Ok(found) => Ok(found.is_some()),
        Err(Error::Mdb(MdbError::Incompatible)) => Ok(false),
        Err(error) => Err(failure(&error)),
    }
}

fn refused(job: &Job<'_>, error: &Error) -> Failure {
    failure(error).within(&job.path().display().to_string(), "")
}

fn failure(error: &Error) -> Failure {
    let exit = match error {
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidInput => Exit::Damaged,
        Error::Io(_) => Exit::System,
        Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch) => Exit::Damaged,
        Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound | MdbError::Panic) => Exit::Damaged,
        _ => Exit::Other,
    };
    Failure::new(exit, format!("LMDB: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::Parser;
    use std::path::Path;
    use tempfile::TempDir;

    type Rows = Vec<(Vec<u8>, Vec<u8>)>;

    fn opened(path: &Path) -> heed::Env {
        let mut options = EnvOpenOptions::new();
        options.max_dbs(4).map_size(16 << 20);
        // SAFETY: a directory of this test's own.
        unsafe { options.open(path) }.unwrap()
    }

    fn put(env: &heed::Env, name: Option<&str>, flags: heed::DatabaseFlags, rows: &[(&str, &str)]) {
        let mut txn = env.write_txn().unwrap();
        let mut options = env.database_options().types::<Bytes, Bytes>();
        if let Some(name) = name {
            options.name(name);
        }
        let database = options.flags(flags).create(&mut txn).unwrap();
        for (key, value) in rows {
            database.put(&mut txn, key.as_bytes(), value.as_bytes()).unwrap();
        }
        txn.commit().unwrap();
    }

    /// The rows that an import brings, or its failure.
    fn imported(dir: &Path, flags: &[&str]) -> Result<Rows, String> {
        let home = TempDir::new().unwrap();
        let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
        let source = dir.to_str().unwrap();
        let line = ["aether", "import", "--from", "lmdb", source, "--home", &path("home")];
        let arguments = Arguments::parse_from([&line, flags].concat());
        crate::run(&arguments).map_err(|failure| format!("{failure:?}"))?;
        let db = aether::Db::open(path("home")).unwrap();
        Ok(db.iter().unwrap().collect::<aether::Result<_>>().unwrap())
    }

    #[test]
    fn an_environment_that_is_open_elsewhere_comes_over() {
        let dir = TempDir::new().unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let env = opened(&other);
        // Not a database, though its value is as long as LMDB's record of one.
        let long = "x".repeat(48);
        put(&env, None, heed::DatabaseFlags::empty(), &[("k", &long), ("b", "")]);
        drop(env);
        let rows = imported(&other, &["--batch", "1"]).unwrap();
        assert_eq!(rows, [(b"b".to_vec(), vec![]), (b"k".to_vec(), long.into_bytes())]);
    }

    #[test]
    fn several_values_of_a_key_want_a_choice() {
        let dir = TempDir::new().unwrap();
        let env = opened(dir.path());
        put(&env, Some("many"), heed::DatabaseFlags::DUP_SORT, &[("k", "1"), ("k", "2")]);
        drop(env);
        let told = imported(dir.path(), &[]).unwrap_err();
        assert!(told.contains("row 2: the key \\\"k\\\" has several values"), "{told}");
        let rows = imported(dir.path(), &["--table", "many", "--on-duplicate", "last"]).unwrap();
        assert_eq!(rows, [(b"k".to_vec(), b"2".to_vec())]);
    }
}
