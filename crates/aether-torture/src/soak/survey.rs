//! The whole store, held against what every client knows. Nobody works meanwhile.

use super::client::{COUNTERS, Client, counter_key, read_counter};
use super::value;
use crate::oracle::{Verdict, failed};
use aether_kv::DbEnv;

/// Compares every row and has the store verify itself.
///
/// # Errors
/// What is wrong.
pub fn survey(env: &DbEnv, clients: &[Client]) -> Verdict<()> {
    rows(env, clients)?;
    counters(env, clients)?;
    keyspaces(env, clients)?;
    let report = env.verify().map_err(failed("verify"))?;
    match report.problems.first() {
        None => Ok(()),
        Some(first) => Err(format!("verify reports {} problems, first: {first}", report.problems.len())),
    }
}

fn rows(env: &DbEnv, clients: &[Client]) -> Verdict<()> {
    let space = env.keyspace("default").map_err(failed("keyspace"))?;
    let snapshot = env.snapshot().map_err(failed("snapshot"))?;
    let mut wanted = clients.iter().flat_map(|client| {
        let there = client.versions.iter().enumerate().filter(|(_, version)| **version != 0);
        there.map(move |(key, version)| (client, key, *version))
    });
    let mut rows = snapshot.iter(&space).map_err(failed("iter"))?;
    while let Some((key, found)) = rows.next_ref().map_err(failed("scan"))? {
        if key.starts_with(b"~") {
            continue;
        }
        let shown = || String::from_utf8_lossy(key).into_owned();
        let (client, number, version) = wanted.next().ok_or_else(|| format!("nobody wrote {}", shown()))?;
        if key != value::key(client.number, number) {
            return Err(format!("{} is there, {}/{number} comes next", shown(), client.number));
        }
        let seen = value::check(client.seed, client.number, number, found)?;
        if seen != version {
            return Err(format!("{} shows version {seen}, it holds {version}", shown()));
        }
    }
    match wanted.next() {
        None => Ok(()),
        Some((client, number, version)) => {
            Err(format!("{}/{number} is missing, version {version}", client.number))
        }
    }
}

fn counters(env: &DbEnv, clients: &[Client]) -> Verdict<()> {
    let space = env.keyspace("default").map_err(failed("keyspace"))?;
    let snapshot = env.snapshot().map_err(failed("snapshot"))?;
    for counter in 0..COUNTERS {
        let number = read_counter(snapshot.get(&space, &counter_key(counter)).map_err(failed("get"))?)?;
        let raised: u64 = clients.iter().map(|client| client.raised[counter]).sum();
        if number != raised {
            return Err(format!("counter {counter} is {number}, it was raised {raised} times"));
        }
    }
    Ok(())
}

fn keyspaces(env: &DbEnv, clients: &[Client]) -> Verdict<()> {
    let mut wanted = vec!["default".to_owned()];
    wanted.extend(clients.iter().filter_map(|client| client.short_lived.clone()));
    let mut found = env.keyspaces().map_err(failed("keyspaces"))?;
    wanted.sort();
    found.sort();
    if found != wanted {
        return Err(format!("keyspaces {found:?} are there, {wanted:?} should be"));
    }
    Ok(())
}
