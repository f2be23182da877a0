//! `demo`: a real data set in, a few questions, a killed loader, and the proof that nothing is lost.

mod crash;

use crate::arguments::{Common, OnDuplicate};
use crate::exit::{Exit, Failure, Outcome};
use crate::load::{self, Columns, LineLimit, Loader, Rules, Shape};
use crate::output::Output;
use crate::{home, stat, verify};
use aether::{DbEnv, Keyspace};
use std::path::Path;
use std::time::Instant;

/// Unicode's table of characters: code point; name; category; ..
static UNICODE_DATA: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/data/UnicodeData.txt"));

const DELIMITER: u8 = b';';
const BATCH_ROWS: u64 = 1000;
const KEYSPACE: &str = "unicode";
const CRASH_KEYSPACE: &str = "unicode-crash";
const POINT: &[u8] = b"1F980";
const PREFIX: &[u8] = b"265";

pub(crate) fn run(common: &Common) -> Outcome {
    let mut output = Output::new(common.format);
    match &common.home {
        Some(home) => demonstrate(home, &mut output),
        None => in_temporary_home(&mut output),
    }
}

fn in_temporary_home(output: &mut Output) -> Outcome {
    let dir = tempfile::Builder::new()
        .prefix("aether-demo-")
        .tempdir()
        .map_err(|error| Failure::system("creating a temporary home", &error))?;
    demonstrate(&dir.path().join("home"), output)
}

fn demonstrate(home: &Path, output: &mut Output) -> Outcome {
    let env = home::open_for_load(home)?;
    let keyspace = fresh(&env, KEYSPACE)?;
    fresh(&env, CRASH_KEYSPACE)?;
    output.note(&format!("home {}", env.home().display()))?;
    load_all(&env, &keyspace, output)?;
    questions(&env, &keyspace, output)?;
    drop(keyspace);
    env.close()?;
    let killed = crash::kill_while_loading(home, output)?;
    let env = home::open_for_load(home)?;
    let verdict = crash::judge(&env, &killed, output)?;
    let sound = verify::show(&env, output)?;
    stat::show(&env.stat_full()?, output)?;
    env.close()?;
    Ok(if verdict == Exit::Done { sound } else { verdict })
}

/// An empty keyspace, whatever an earlier demo left in this home.
fn fresh(env: &DbEnv, name: &str) -> Outcome<Keyspace> {
    if env.keyspaces()?.iter().any(|known| known == name) {
        let mut txn = env.begin()?;
        env.drop_keyspace(&mut txn, name)?;
        txn.commit()?;
    }
    Ok(env.open_or_create_keyspace(name)?)
}

fn rows() -> Columns<'static> {
    let shape = Shape { delimiter: DELIMITER, escapes: false, key_column: 1 };
    Columns::new(Box::new(UNICODE_DATA), shape, LineLimit::of_user(1 << 20))
}

fn load_all(env: &DbEnv, keyspace: &Keyspace, output: &mut Output) -> Outcome<()> {
    let start = Instant::now();
    let on_duplicate = Some(OnDuplicate::Error);
    let rules = Rules { on_duplicate, batch_rows: BATCH_ROWS, by_database: false };
    let report = Loader::new(env, keyspace.name(), rules).run(&mut rows(), &mut |_| Ok(()))?;
    output.note(&format!("UnicodeData.txt: {}", load::summary(&report, start.elapsed())))?;
    output.flush()
}

fn questions(env: &DbEnv, keyspace: &Keyspace, output: &mut Output) -> Outcome<()> {
    let snapshot = env.snapshot()?;
    let start = Instant::now();
    let crab = snapshot.get(keyspace, POINT)?;
    let took = start.elapsed();
    let missing = || Failure::new(Exit::Absent, "a loaded row is missing");
    output.note(&format!("get {} ({took:.1?}):", String::from_utf8_lossy(POINT)))?;
    output.rows(std::iter::once(Ok((POINT.to_vec(), crab.ok_or_else(missing)?))))?;
    output.note(&format!("scan --prefix {}:", String::from_utf8_lossy(PREFIX)))?;
    output.rows(snapshot.prefix(keyspace, PREFIX)?)?;
    output.flush()
}
