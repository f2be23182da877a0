//! The judge: reads a whole store in every way there is and says which permitted state it is in.

use crate::history::History;
use crate::model::{Bytes, Rows, State, show};
use aether_kv::{DbEnv, Keyspace, Snapshot};

/// Why a store is not right, in words.
pub type Verdict<T> = Result<T, String>;

/// Reads the whole store: every keyspace forward, backward and by key; and has it verify itself.
///
/// # Errors
/// If the ways of reading differ, an error is reported, or `verify` finds a problem.
pub fn read(env: &DbEnv) -> Verdict<State> {
    let snapshot = env.snapshot().map_err(failed("snapshot"))?;
    let state = read_spaces(&snapshot, &spaces(env)?)?;
    drop(snapshot);
    verify(env)?;
    Ok(state)
}

/// Reads keyspaces as `snapshot` shows them.
///
/// # Errors
/// If the ways of reading differ, or an error is reported.
pub fn read_spaces(snapshot: &Snapshot, spaces: &[(String, Keyspace)]) -> Verdict<State> {
    let mut state = State::default();
    for (name, space) in spaces {
        let rows = read_rows(snapshot, space).map_err(|what| format!("keyspace {name}: {what}"))?;
        if name != "default" || !rows.is_empty() {
            state.add(name, space.kind(), rows);
        }
    }
    Ok(state)
}

/// Every keyspace that exists now.
pub(crate) fn spaces(env: &DbEnv) -> Verdict<Vec<(String, Keyspace)>> {
    let names = env.keyspaces().map_err(failed("keyspaces"))?.into_iter();
    let open = |name: String| env.keyspace(&name).map(|space| (name, space));
    names.map(open).collect::<Result<_, _>>().map_err(failed("keyspace"))
}

/// The number of the permitted state that the store is in.
///
/// # Errors
/// If it is in none, or cannot be read.
pub fn judge(env: &DbEnv, history: &History) -> Verdict<usize> {
    let k = history.place(&read(env)?)?;
    absent_keys(env, history, k)?;
    Ok(k)
}

fn verify(env: &DbEnv) -> Verdict<()> {
    let report = env.verify().map_err(failed("verify"))?;
    match report.problems.first() {
        None => Ok(()),
        Some(first) => Err(format!("verify reports {} problems, first: {first}", report.problems.len())),
    }
}

fn read_rows(snapshot: &Snapshot, space: &Keyspace) -> Verdict<Rows> {
    let forward = scan(snapshot, space, false)?;
    let mut backward = scan(snapshot, space, true)?;
    backward.reverse();
    if forward != backward {
        return Err(format!("{} rows forward, {} backward, not the same", forward.len(), backward.len()));
    }
    if let Some(pair) = forward.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(format!("key {} comes before {}", show(&pair[0].0), show(&pair[1].0)));
    }
    point_reads(snapshot, space, &forward)?;
    Ok(forward.into_iter().map(|(key, value)| (Bytes::from(key), Bytes::from(value))).collect())
}

fn scan(snapshot: &Snapshot, space: &Keyspace, reverse: bool) -> Verdict<Vec<(Vec<u8>, Vec<u8>)>> {
    let iter = snapshot.iter(space).map_err(failed("iter"))?;
    let rows: Result<Vec<_>, _> = if reverse { iter.rev().collect() } else { iter.collect() };
    rows.map_err(failed(if reverse { "backward scan" } else { "forward scan" }))
}

fn point_reads(snapshot: &Snapshot, space: &Keyspace, rows: &[(Vec<u8>, Vec<u8>)]) -> Verdict<()> {
    for (key, value) in rows {
        let got = snapshot.get(space, key).map_err(failed("get"))?;
        if got.as_ref() != Some(value) {
            return Err(format!("get of key {} differs from the scan", show(key)));
        }
    }
    Ok(())
}

/// Keys of neighbouring states that are not in state `k` must not be found.
fn absent_keys(env: &DbEnv, history: &History, k: usize) -> Verdict<()> {
    let neighbour = if k < history.requested() { k + 1 } else { k.saturating_sub(1) };
    let state = history.state(k);
    for (name, rows) in &history.state(neighbour).spaces {
        let Some(own) = state.rows(name) else { continue };
        let space = env.keyspace(name).map_err(failed("keyspace"))?;
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        for key in rows.keys().filter(|key| !own.contains_key(*key)) {
            if snapshot.get(&space, key).map_err(failed("get"))?.is_some() {
                return Err(format!("keyspace {name}: get finds key {}, which no scan shows", show(key)));
            }
        }
    }
    Ok(())
}

/// Turns an error into words that begin with the call.
pub(crate) fn failed(call: &'static str) -> impl Fn(aether_kv::Error) -> String {
    move |error| format!("{call} failed: {:?}: {error}", error.kind())
}
