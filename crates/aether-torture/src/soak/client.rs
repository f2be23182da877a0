//! One thread of the soak: it alone writes its keys, so it knows what they hold.

use super::Settings;
use super::value;
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use aether_kv::{Advice, DbEnv, Durability, Keyspace, KeyspaceOptions, Snapshot, Txn};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Numbers that all clients raise, so that they meet.
pub(super) const COUNTERS: usize = 4;

/// Rows of a keyspace that comes and goes.
const SHORT_LIVED_ROWS: usize = 100;

/// Of the keys that a transaction touches, so many of a hundred are put and the others deleted.
const PUT_PERCENT: usize = 80;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back, whole or in part.
    pub rollbacks: u64,
    /// Transactions that met another one.
    pub conflicts: u64,
    /// Rows read and found right.
    pub rows_read: u64,
    /// Snapshots held and found unchanged.
    pub snapshots: u64,
    /// Keyspaces created and dropped.
    pub keyspaces: u64,
    /// Checkpoints asked for.
    pub checkpoints: u64,
}

impl Counts {
    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        Self {
            commits: self.commits + other.commits,
            rollbacks: self.rollbacks + other.rollbacks,
            conflicts: self.conflicts + other.conflicts,
            rows_read: self.rows_read + other.rows_read,
            snapshots: self.snapshots + other.snapshots,
            keyspaces: self.keyspaces + other.keyspaces,
            checkpoints: self.checkpoints + other.checkpoints,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "commits": self.commits,
            "rollbacks": self.rollbacks,
            "conflicts": self.conflicts,
            "rows_read": self.rows_read,
            "snapshots": self.snapshots,
            "keyspaces": self.keyspaces,
            "checkpoints": self.checkpoints,
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} commits, {} rollbacks, {} conflicts, {} rows read, {} snapshots held, {} keyspaces, {} checkpoints",
            self.commits,
            self.rollbacks,
            self.conflicts,
            self.rows_read,
            self.snapshots,
            self.keyspaces,
            self.checkpoints
        )
    }
}

/// A client.
pub struct Client {
    pub(super) number: usize,
    pub(super) seed: u64,
    clients: usize,
    rng: Rng,
    /// The version that each key holds; 0: none.
    pub(super) versions: Vec<u64>,
    newest_version: u64,
    /// How often this client has raised each counter, and what it last saw there.
    pub(super) raised: [u64; COUNTERS],
    seen: [u64; COUNTERS],
    /// The keyspace of its own that lives now.
    pub(super) short_lived: Option<String>,
    /// What it did.
    pub counts: Counts,
}

/// A snapshot and what it must show of the client's keys.
struct Held {
    snapshot: Snapshot,
    versions: Vec<u64>,
    until: Instant,
}

impl Client {
    /// A client of a store without rows.
    pub fn new(number: usize, settings: &Settings, chance: u64) -> Self {
        Self {
            number,
            seed: settings.seed,
            clients: settings.clients,
            rng: Rng::new(chance),
            versions: vec![0; settings.keys],
            newest_version: 0,
            raised: [0; COUNTERS],
            seen: [0; COUNTERS],
            short_lived: None,
            counts: Counts::default(),
        }
    }

    /// Works until the time is over. Blocks.
    ///
    /// # Errors
    /// What is wrong.
    pub fn work(&mut self, env: &DbEnv, until: Instant) -> Verdict<()> {
        let space = env.keyspace("default").map_err(failed("keyspace"))?;
        if self.newest_version == 0 {
            self.fill(env, &space)?;
        }
        let mut held = Vec::new();
        while Instant::now() < until {
            self.step(env, &space, &mut held)?;
        }
        held.into_iter().try_for_each(|held| self.release(&space, &held))
    }

    /// Puts every key, so that the live set has its size from the beginning.
    fn fill(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        for first in (0..self.versions.len()).step_by(50) {
            let mut txn = env.begin().map_err(failed("begin"))?;
            for key in first..(first + 50).min(self.versions.len()) {
                self.newest_version += 1;
                self.put(&mut txn, space, key, self.newest_version)?;
                self.versions[key] = self.newest_version;
            }
            txn.commit().map_err(failed("commit"))?;
        }
        Ok(())
    }

    fn step(&mut self, env: &DbEnv, space: &Keyspace, held: &mut Vec<Held>) -> Verdict<()> {
        match self.rng.below(1000) {
            0..450 => self.transaction(env, space),
            450..700 => self.read_own(env, space),
            700..780 => self.scan_own(env, space),
            780..800 => self.scan_others(env, space),
            800..900 => self.raise(env, space),
            900..950 => self.hold(env, space, held),
            950..960 => self.keyspace(env),
            960..961 => {
                self.counts.checkpoints += 1;
                env.checkpoint().map_err(failed("checkpoint"))
            }
            _ => self.read_other(env, space),
        }
    }

    fn transaction(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let mut txn = env.begin().map_err(failed("begin"))?;
        txn.set_durability(self.durability());
        let mut draft = BTreeMap::new();
        self.change(&mut txn, space, &mut draft)?;
        if self.rng.chance(15) {
            let mark = txn.savepoint();
            self.change(&mut txn, space, &mut draft.clone())?;
            txn.rollback_to(&mark).map_err(failed("rollback_to"))?;
            self.counts.rollbacks += 1;
        }
        self.read_back(&txn, space, &draft)?;
        if self.rng.chance(10) {
            self.counts.rollbacks += 1;
            return txn.abort().map_err(failed("abort"));
        }
        txn.commit().map_err(failed("commit"))?;
        draft.into_iter().for_each(|(key, version)| self.versions[key] = version);
        self.counts.commits += 1;
        Ok(())
    }

    fn durability(&mut self) -> Durability {
        match self.rng.below(100) {
            0..80 => Durability::None,
            80..90 => Durability::Async { interval: Duration::from_millis(20) },
            90..98 => Durability::Group { max_wait: Duration::from_micros(500) },
            _ => Durability::Sync,
        }
    }

    /// Puts and deletes some of the client's keys.
    fn change(&mut self, txn: &mut Txn, space: &Keyspace, draft: &mut BTreeMap<usize, u64>) -> Verdict<()> {
        for _ in 0..self.rng.between(1, 12) {
            let key = self.rng.below(self.versions.len());
            let was = draft.get(&key).copied().unwrap_or(self.versions[key]);
            let version = if self.rng.chance(PUT_PERCENT) {
                self.newest_version += 1;
                self.put(txn, space, key, self.newest_version)?;
                self.newest_version
            } else {
                let deleted = txn.delete(space, &value::key(self.number, key)).map_err(failed("delete"))?;
                if deleted != (was != 0) {
                    return Err(format!(
                        "delete of key {}/{key} says {deleted}; it held version {was}",
                        self.number
                    ));
                }
                0
            };
            draft.insert(key, version);
        }
        Ok(())
    }

    fn put(&self, txn: &mut Txn, space: &Keyspace, key: usize, version: u64) -> Verdict<()> {
        let value = value::value(self.seed, self.number, key, version);
        txn.put(space, &value::key(self.number, key), &value).map_err(failed("put"))
    }

    /// A transaction sees its own changes.
    fn read_back(&mut self, txn: &Txn, space: &Keyspace, draft: &BTreeMap<usize, u64>) -> Verdict<()> {
        for (key, version) in draft {
            let found = txn.get(space, &value::key(self.number, *key)).map_err(failed("get"))?;
            self.expect(*key, *version, found.as_deref())?;
        }
        Ok(())
    }

    fn expect(&mut self, key: usize, version: u64, found: Option<&[u8]>) -> Verdict<()> {
        let seen = found.map_or(Ok(0), |found| value::check(self.seed, self.number, key, found))?;
        if seen != version {
            return Err(format!(
                "key {}/{key} shows version {seen}, it holds {version} (0: none)",
                self.number
            ));
        }
        self.counts.rows_read += 1;
        Ok(())
    }

    fn read_own(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        for _ in 0..self.rng.between(1, 8) {
            let key = self.rng.below(self.versions.len());
            let found = snapshot.get(space, &value::key(self.number, key)).map_err(failed("get"))?;
            self.expect(key, self.versions[key], found.as_deref())?;
        }
        Ok(())
    }

    fn read_other(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let (owner, key) = (self.rng.below(self.clients), self.rng.below(self.versions.len()));
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        let Some(found) = snapshot.get(space, &value::key(owner, key)).map_err(failed("get"))? else {
            return Ok(());
        };
        value::check(self.seed, owner, key, &found)?;
        self.counts.rows_read += 1;
        Ok(())
    }

    fn scan_own(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let first = self.rng.below(self.versions.len());
        let end = (first + self.rng.between(1, 100)).min(self.versions.len());
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        let versions = self.versions.clone();
        self.compare(&snapshot, space, &versions, first..end)
    }

    /// The client's rows in a range are those of `versions` and no others, from either end.
    fn compare(
        &mut self,
        snapshot: &Snapshot,
        space: &Keyspace,
        versions: &[u64],
        keys: std::ops::Range<usize>,
    ) -> Verdict<()> {
        let range = value::key(self.number, keys.start)..value::key(self.number, keys.end);
        let iter = snapshot.range(space, range).map_err(failed("range"))?;
        let mut rows: Vec<_> = match self.rng.chance(30) {
            true => iter.rev().collect::<Result<_, _>>().map_err(failed("backward scan"))?,
            false => iter.collect::<Result<_, _>>().map_err(failed("forward scan"))?,
        };
        rows.sort();
        let wanted: Vec<usize> = keys.filter(|key| versions[*key] != 0).collect();
        let names: Vec<_> = wanted.iter().map(|key| value::key(self.number, *key)).collect();
        if !names.iter().eq(rows.iter().map(|(key, _)| key)) {
            return Err(format!(
                "a scan of client {} gives {} rows, {} are there",
                self.number,
                rows.len(),
                wanted.len()
            ));
        }
        wanted
            .iter()
            .zip(&rows)
            .try_for_each(|(key, (_, found))| self.expect(*key, versions[*key], Some(found)))
    }

    /// Everybody's rows in a range prove themselves.
    fn scan_others(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let (owner, first) = (self.rng.below(self.clients), self.rng.below(self.versions.len()));
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        let range = value::key(owner, first)..value::key(owner, first + 50);
        for row in snapshot.range(space, range).map_err(failed("range"))? {
            let (key, found) = row.map_err(failed("scan"))?;
            let number = str::from_utf8(&key[4..]).ok().and_then(|digits| digits.parse().ok());
            value::check(self.seed, owner, number.ok_or("a key is not one of ours")?, &found)?;
            self.counts.rows_read += 1;
        }
        Ok(())
    }

    /// Raises a counter that others raise too: none of the raises may be lost.
    fn raise(&mut self, env: &DbEnv, space: &Keyspace) -> Verdict<()> {
        let counter = self.rng.below(COUNTERS);
        let mut txn = env.begin().map_err(failed("begin"))?;
        let number = read_counter(txn.get(space, &counter_key(counter)).map_err(failed("get"))?)?;
        if number < self.seen[counter] {
            return Err(format!("counter {counter} shows {number}, it was {} before", self.seen[counter]));
        }
        self.seen[counter] = number;
        let text = (number + 1).to_string();
        let raised = txn.put(space, &counter_key(counter), text.as_bytes()).and_then(|()| txn.commit());
        match raised {
            Ok(()) => self.raised[counter] += 1,
            Err(error) if error.advice() == Advice::Retry => self.counts.conflicts += 1,
            Err(error) => return Err(failed("raise")(error)),
        }
        Ok(())
    }

    /// Takes a snapshot to hold for a while, or lets go of one that is due.
    fn hold(&mut self, env: &DbEnv, space: &Keyspace, held: &mut Vec<Held>) -> Verdict<()> {
        if let Some(due) = held.iter().position(|held| held.until <= Instant::now()) {
            return self.release(space, &held.swap_remove(due));
        }
        if held.len() < 2 {
            let until = Instant::now() + Duration::from_millis(self.rng.between(1, 1000) as u64);
            let snapshot = env.snapshot().map_err(failed("snapshot"))?;
            held.push(Held { snapshot, versions: self.versions.clone(), until });
        }
        Ok(())
    }

    fn release(&mut self, space: &Keyspace, held: &Held) -> Verdict<()> {
        self.compare(&held.snapshot, space, &held.versions, 0..self.versions.len())
            .map_err(|what| format!("a snapshot held for a while: {what}"))?;
        self.counts.snapshots += 1;
        Ok(())
    }

    /// Creates a keyspace of its own with rows, or reads and drops it.
    fn keyspace(&mut self, env: &DbEnv) -> Verdict<()> {
        let done = match self.short_lived.clone() {
            None => self.create_keyspace(env)?,
            Some(name) => self.drop_keyspace(env, &name)?,
        };
        match done {
            Ok(()) if self.short_lived.take().is_none() => self.short_lived = Some(self.keyspace_name()),
            Ok(()) => self.counts.keyspaces += 1,
            // Two that create a keyspace draw their ids from one row.
            Err(error) if error.advice() == Advice::Retry => self.counts.conflicts += 1,
            Err(error) => return Err(failed("create_keyspace or drop_keyspace")(error)),
        }
        Ok(())
    }

    fn keyspace_name(&self) -> String {
        format!("client {}", self.number)
    }

    fn create_keyspace(&self, env: &DbEnv) -> Verdict<aether_types::Result<()>> {
        let mut txn = env.begin().map_err(failed("begin"))?;
        let space = match env.create_keyspace(&mut txn, &self.keyspace_name(), KeyspaceOptions::default()) {
            Ok(space) => space,
            Err(error) => return Ok(Err(error)),
        };
        (0..SHORT_LIVED_ROWS).try_for_each(|key| self.put(&mut txn, &space, key, 1))?;
        Ok(txn.commit())
    }

    fn drop_keyspace(&mut self, env: &DbEnv, name: &str) -> Verdict<aether_types::Result<()>> {
        let mut txn = env.begin().map_err(failed("begin"))?;
        let space = env.keyspace(name).map_err(failed("keyspace"))?;
        (0..SHORT_LIVED_ROWS).try_for_each(|key| {
            let found = txn.get(&space, &value::key(self.number, key)).map_err(failed("get"))?;
            self.expect(key, 1, found.as_deref())
        })?;
        Ok(env.drop_keyspace(&mut txn, name).and_then(|()| txn.commit()))
    }
}

/// The key of a counter.
pub(super) fn counter_key(counter: usize) -> Vec<u8> {
    format!("~counter/{counter}").into_bytes()
}

/// The number under a counter's key; 0 without a row.
pub(super) fn read_counter(found: Option<Vec<u8>>) -> Verdict<u64> {
    let Some(found) = found else { return Ok(0) };
    let number = str::from_utf8(&found).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| "a counter holds no number".into())
}
