//! `stat`: sizes and counters of a home and its keyspaces.

use crate::arguments::{Common, Format};
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::{home, show};
use aether::lsm::{LsmStat, PolicyKind};
use aether::{KeyspaceStat, Stat};
use serde_json::{Map, Value, json};

pub(crate) fn run(common: &Common, full: bool) -> Outcome {
    let env = home::open_existing(common)?;
    let stat = if full { env.stat_full() } else { env.stat() }?;
    show(&stat, &mut Output::new(common.format))?;
    Ok(Exit::Done)
}

/// Prints the numbers.
pub(crate) fn show(stat: &Stat, output: &mut Output) -> Outcome<()> {
    if output.format() == Format::Json {
        output.json(&json(stat))?;
        return output.flush();
    }
    output.pairs(numbers(stat).into_iter().map(|(name, number)| (name, show::count(number))).collect())?;
    keyspaces(stat, output)?;
    output.flush()
}

/// Every number, by name, in the order of the store's layers.
fn numbers(stat: &Stat) -> Vec<(String, u64)> {
    let fixed = [
        ("page_size", stat.page_size as u64),
        ("pages", stat.pages),
        ("free_pages", stat.free_pages),
        ("frames", stat.frames as u64),
        ("free_frames", stat.free_frames as u64),
        ("dirty_frames", stat.dirty_frames as u64),
        ("hot_frames", stat.hot as u64),
        ("cool_frames", stat.cool as u64),
        ("pages_repaired", stat.pages_repaired),
        ("memory_limit", stat.memory_limit),
        ("log_bytes_since_checkpoint", stat.log_bytes_since_checkpoint),
        ("image_bytes", stat.image_bytes),
        ("checkpoints", stat.checkpoints),
        ("log_appended_bytes", stat.log.appended_bytes),
        ("log_flushes", stat.log.flushes),
        ("log_flushed_bytes", stat.log.flushed_bytes),
        ("log_segments", stat.log.segments),
        ("commits", stat.commits),
        ("aborts", stat.aborts),
        ("active_txns", stat.active_txns as u64),
        ("pinned_bytes", stat.pinned_bytes),
    ];
    let memory = stat.memory.iter().map(|(name, bytes)| (memory_name(name), *bytes));
    let fixed = fixed.into_iter().map(|(name, number)| (name.to_string(), number));
    let oldest = stat.oldest_snapshot.map(|at| ("oldest_snapshot".to_string(), at));
    let age =
        stat.oldest_snapshot_age.map(|age| ("oldest_snapshot_age_ms".to_string(), age.as_millis() as u64));
    fixed.chain(memory).chain(oldest).chain(age).collect()
}

/// The number that tells what an account uses.
fn memory_name(account: &str) -> String {
    format!("memory_{}", account.to_lowercase().replace([' ', '-'], "_"))
}

fn keyspaces(stat: &Stat, output: &mut Output) -> Outcome<()> {
    let rows = stat.keyspaces.iter().map(keyspace_row);
    if output.format() == Format::Table {
        let header = ["keyspace", "kind", "id", "height", "leaf pages", "entries", "more"];
        return output.table(&header, rows.map(Vec::from).collect());
    }
    for row in rows {
        let [name, kind, id, height, leaf_pages, entries, more] = row;
        let more = if more.is_empty() { more } else { format!(", {more}") };
        output.line(&format!(
            "keyspace {name}: {kind}, id {id}, height {height}, {leaf_pages} leaf pages, entries: {entries}{more}"
        ))?;
    }
    Ok(())
}

fn keyspace_row(keyspace: &KeyspaceStat) -> [String; 7] {
    [
        keyspace.name.clone(),
        keyspace.kind.clone(),
        keyspace.id.to_string(),
        keyspace.height.to_string(),
        show::count(keyspace.leaf_pages),
        keyspace.entries.map_or("not counted".into(), show::count),
        more(keyspace),
    ]
}

/// What not every keyspace has.
fn more(keyspace: &KeyspaceStat) -> String {
    let log = (keyspace.log_bytes > 0).then(|| format!("log bytes: {}", show::count(keyspace.log_bytes)));
    let damaged = keyspace.error.as_ref().map(|error| format!("damaged: {error}"));
    let parts = [keyspace.lsm.as_ref().map(lsm), log, damaged];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn lsm(tree: &LsmStat) -> String {
    let policy = match tree.policy {
        Some((chosen, in_charge)) if chosen != in_charge => format!("{chosen} ({in_charge} now)"),
        Some((chosen, _)) => chosen.to_string(),
        None => "none".into(),
    };
    let runs: Vec<_> = tree.levels.iter().map(|level| level.runs.to_string()).collect();
    let runs = if runs.is_empty() { "none".into() } else { runs.join(" ") };
    format!("policy {policy}, {} switches, runs by level: {runs}", tree.switches.len())
}

fn json(stat: &Stat) -> Value {
    let mut all: Map<String, Value> =
        numbers(stat).into_iter().map(|(name, number)| (name, Value::from(number))).collect();
    let keyspaces = stat.keyspaces.iter().map(keyspace_json).collect();
    all.insert("keyspaces".into(), Value::Array(keyspaces));
    Value::Object(all)
}

fn keyspace_json(keyspace: &KeyspaceStat) -> Value {
    json!({
        "name": keyspace.name,
        "kind": keyspace.kind,
        "id": keyspace.id,
        "height": keyspace.height,
        "leaf_pages": keyspace.leaf_pages,
        "entries": keyspace.entries,
        "log_bytes": keyspace.log_bytes,
        "error": keyspace.error,
        "lsm": keyspace.lsm.as_ref().map(lsm_json),
    })
}

fn lsm_json(tree: &LsmStat) -> Value {
    let (chosen, in_charge) = tree.policy.unzip();
    json!({
        "policy": chosen.map(|kind| kind.to_string()),
        "policy_in_charge": in_charge.map(|kind| kind.to_string()),
        "adaptive": chosen == Some(PolicyKind::Adaptive),
        "switches": tree.switches.len(),
        "runs_by_level": tree.levels.iter().map(|level| level.runs).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether::lsm::LevelStat;
    use aether::lsm::policy::Switch;

    fn level(runs: usize) -> LevelStat {
        LevelStat { runs, ..LevelStat::default() }
    }

    #[test]
    fn policy_switches_and_runs_of_an_lsm_tree_are_told() {
        let switch = Switch { from: PolicyKind::Fast, to: PolicyKind::Leveled, puts_of_thousand: Some(10) };
        let tree = LsmStat {
            policy: Some((PolicyKind::Adaptive, PolicyKind::Leveled)),
            switches: vec![switch; 3],
            levels: vec![level(2), level(1)],
            ..LsmStat::default()
        };
        assert_eq!(lsm(&tree), "policy adaptive (leveled now), 3 switches, runs by level: 2 1");
        let told = json!({
            "policy": "adaptive", "policy_in_charge": "leveled", "adaptive": true, "switches": 3, "runs_by_level": [2, 1],
        });
        assert_eq!(lsm_json(&tree), told);
        let keyspace = KeyspaceStat { lsm: Some(tree), ..KeyspaceStat::default() };
        assert_eq!(keyspace_json(&keyspace)["lsm"], told);
        assert_eq!(keyspace_json(&KeyspaceStat::default())["lsm"], Value::Null);
    }

    #[test]
    fn why_a_keyspace_is_not_read_and_the_log_that_it_keeps_are_told() {
        let error = Some("no such run".to_string());
        let keyspace = KeyspaceStat { error, log_bytes: 7000, ..KeyspaceStat::default() };
        let told = keyspace_json(&keyspace);
        assert_eq!((&told["error"], &told["log_bytes"]), (&json!("no such run"), &json!(7000)));
        assert_eq!(more(&keyspace), format!("log bytes: {}, damaged: no such run", show::count(7000)));
        assert_eq!(keyspace_json(&KeyspaceStat::default())["error"], Value::Null);
    }

    #[test]
    fn repaired_pages_and_every_account_are_told() {
        let memory = vec![("frames".into(), 5), ("PSN tables".into(), 6), ("read-ahead".into(), 7)];
        let numbers = numbers(&Stat { pages_repaired: 3, memory, ..Stat::default() });
        let told =
            [("pages_repaired", 3), ("memory_frames", 5), ("memory_psn_tables", 6), ("memory_read_ahead", 7)];
        for (name, number) in told {
            assert!(numbers.contains(&(name.to_string(), number)), "{name}: {numbers:?}");
        }
    }
}
