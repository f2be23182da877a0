//! The scripts. At first, row `x` holds 10 and row `y` 20.

use super::{How, Outcome};
use crate::histories::level::Level;
use crate::oracle::{Verdict, failed};
use crate::shape::Shape;
use crate::world::World;
use aether_kv::{Db, Error, ErrorKind, Txn, TxnOptions};
use std::time::Duration;

/// A script.
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// True if the anomaly has happened.
    play: fn(&Stage) -> Result<bool, Stop>,
}

pub(super) const SCRIPTS: [Script; 11] = [
    Script {
        name: "G0",
        what: "dirty write: two overwrite each other's uncommitted rows, and a mixture remains",
        play: g0,
    },
    Script { name: "G1a", what: "aborted read: a row is read whose writer then aborts", play: g1a },
    Script {
        name: "G1b",
        what: "intermediate read: a row is read that its writer then changes again",
        play: g1b,
    },
    Script {
        name: "G1c",
        what: "circular information flow: two read each other's uncommitted rows",
        play: g1c,
    },
    Script {
        name: "OTV",
        what: "observed transaction vanishes: a part of a transaction is seen, then the state before it",
        play: otv,
    },
    Script {
        name: "PMP",
        what: "predicate-many-preceders: a scan done again finds a row that has come since",
        play: pmp,
    },
    Script { name: "P4", what: "lost update: two read a row, both change it, one change is gone", play: p4 },
    Script {
        name: "G-single",
        what: "read skew: one row is read before another's commit and one after it",
        play: g_single,
    },
    Script {
        name: "G2-item",
        what: "write skew: two read the same rows and each changes another of them",
        play: g2_item,
    },
    Script {
        name: "G2",
        what: "write skew by phantoms: two scan, and each inserts what the other's scan would have found",
        play: g2,
    },
    Script {
        name: "read-only",
        what: "read-only anomaly: a reader sees a state that no serial order of the writers has",
        play: read_only,
    },
];

/// Why a script ends early.
enum Stop {
    /// A write was refused.
    Write,
    /// A commit was refused.
    Commit,
    /// Something else.
    Broken(String),
}

impl Script {
    /// Plays the script on a new store.
    pub(super) fn play(&self, level: Level) -> Verdict<Outcome> {
        match (self.play)(&Stage::new(level)?) {
            Ok(true) => Ok(Outcome::Shown),
            Ok(false) => Ok(Outcome::Prevented(How::Reads)),
            Err(Stop::Write) => Ok(Outcome::Prevented(How::Write)),
            Err(Stop::Commit) => Ok(Outcome::Prevented(How::Commit)),
            Err(Stop::Broken(what)) => Err(format!("{level}: {what}")),
        }
    }
}

/// A store and a level.
struct Stage {
    db: Db,
    level: Level,
}

impl Stage {
    fn new(level: Level) -> Verdict<Self> {
        let world = World::new(1, Shape::new(0), None);
        let env = world.open_with(|options| options.lock_timeout = Duration::ZERO)?;
        let db = Db::in_env(env, "default").map_err(failed("keyspace"))?;
        for (key, value) in [("x", 10), ("y", 20)] {
            db.put(key.as_bytes(), &i64::to_le_bytes(value)).map_err(failed("put"))?;
        }
        Ok(Self { db, level })
    }

    fn begin(&self) -> Result<Actor<'_>, Stop> {
        let txn = self.db.begin_with(TxnOptions::at(self.level.isolation()));
        txn.map(|txn| Actor { txn, db: &self.db }).map_err(broken("begin"))
    }

    /// What is committed now.
    fn committed(&self, key: &str) -> Result<Option<i64>, Stop> {
        self.begin()?.get(key)
    }
}

/// A transaction of a script.
struct Actor<'a> {
    txn: Txn,
    db: &'a Db,
}

impl Actor<'_> {
    fn get(&self, key: &str) -> Result<Option<i64>, Stop> {
        let value = self.txn.get(self.db.keyspace(), key.as_bytes()).map_err(broken("get"))?;
        Ok(value.map(|value| decode(&value)))
    }

    fn put(&mut self, key: &str, value: i64) -> Result<(), Stop> {
        let put = self.txn.put(self.db.keyspace(), key.as_bytes(), &value.to_le_bytes());
        put.map_err(|error| if is_refusal(&error) { Stop::Write } else { broken("put")(error) })
    }

    /// How many rows of the store hold a multiple of three.
    fn count_threes(&self) -> Result<usize, Stop> {
        let rows = self.txn.iter(self.db.keyspace()).map_err(broken("iter"))?;
        let values = rows.map(|row| row.map(|(_, value)| decode(&value)));
        let values: Vec<i64> = values.collect::<Result<_, _>>().map_err(broken("next"))?;
        Ok(values.into_iter().filter(|value| value % 3 == 0).count())
    }

    fn commit(self) -> Result<(), Stop> {
        let commit = self.txn.commit();
        commit.map_err(|error| if is_refusal(&error) { Stop::Commit } else { broken("commit")(error) })
    }

    fn abort(self) -> Result<(), Stop> {
        self.txn.abort().map_err(broken("abort"))
    }
}

fn decode(value: &[u8]) -> i64 {
    value.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock | ErrorKind::TimedOut)
}

fn broken(call: &'static str) -> impl Fn(Error) -> Stop {
    move |error| Stop::Broken(failed(call)(error))
}

fn g0(stage: &Stage) -> Result<bool, Stop> {
    let (mut first, mut second) = (stage.begin()?, stage.begin()?);
    first.put("x", 11)?;
    second.put("x", 12)?;
    first.put("y", 21)?;
    first.commit()?;
    second.put("y", 22)?;
    second.commit()?;
    let found = (stage.committed("x")?, stage.committed("y")?);
    Ok(found != (Some(11), Some(21)) && found != (Some(12), Some(22)))
}

fn g1a(stage: &Stage) -> Result<bool, Stop> {
    let (mut writer, reader) = (stage.begin()?, stage.begin()?);
    writer.put("x", 101)?;
    let early = reader.get("x")?;
    writer.abort()?;
    let late = reader.get("x")?;
    reader.commit()?;
    Ok(early == Some(101) || late == Some(101))
}

fn g1b(stage: &Stage) -> Result<bool, Stop> {
    let (mut writer, reader) = (stage.begin()?, stage.begin()?);
    writer.put("x", 101)?;
    let early = reader.get("x")?;
    writer.put("x", 11)?;
    writer.commit()?;
    let late = reader.get("x")?;
    reader.commit()?;
    Ok(early == Some(101) || late == Some(101))
}

fn g1c(stage: &Stage) -> Result<bool, Stop> {
    let (mut first, mut second) = (stage.begin()?, stage.begin()?);
    first.put("x", 11)?;
    second.put("y", 22)?;
    if first.get("y")? != Some(22) || second.get("x")? != Some(11) {
        return Ok(false);
    }
    first.commit()?;
    second.commit()?;
    Ok(true)
}

fn otv(stage: &Stage) -> Result<bool, Stop> {
    let mut first = stage.begin()?;
    first.put("x", 11)?;
    first.put("y", 19)?;
    first.commit()?;
    let (mut second, reader) = (stage.begin()?, stage.begin()?);
    second.put("x", 12)?;
    let x = reader.get("x")?;
    second.put("y", 18)?;
    let y = reader.get("y")?;
    second.commit()?;
    // Who has seen 18 sees 12 from then on; who has seen 11, no less than 19.
    let (later_y, later_x) = (reader.get("y")?, reader.get("x")?);
    reader.commit()?;
    let vanishes = |y, x| y == Some(18) && x != Some(12);
    Ok((x, y) != (Some(11), Some(19)) || vanishes(later_y, later_x))
}

fn pmp(stage: &Stage) -> Result<bool, Stop> {
    let (reader, mut writer) = (stage.begin()?, stage.begin()?);
    let early = reader.count_threes()?;
    writer.put("z", 30)?;
    writer.commit()?;
    let late = reader.count_threes()?;
    reader.commit()?;
    Ok(early != late)
}

fn p4(stage: &Stage) -> Result<bool, Stop> {
    let (mut first, mut second) = (stage.begin()?, stage.begin()?);
    let (one, other) = (first.get("x")?.unwrap_or(0), second.get("x")?.unwrap_or(0));
    first.put("x", one + 1)?;
    first.commit()?;
    second.put("x", other + 1)?;
    second.commit()?;
    Ok(stage.committed("x")? == Some(11))
}

fn g_single(stage: &Stage) -> Result<bool, Stop> {
    let (reader, mut writer) = (stage.begin()?, stage.begin()?);
    let x = reader.get("x")?;
    writer.put("x", 12)?;
    writer.put("y", 18)?;
    writer.commit()?;
    let y = reader.get("y")?;
    reader.commit()?;
    Ok((x, y) == (Some(10), Some(18)))
}

fn g2_item(stage: &Stage) -> Result<bool, Stop> {
    let (mut first, mut second) = (stage.begin()?, stage.begin()?);
    for actor in [&first, &second] {
        let _ = (actor.get("x")?, actor.get("y")?);
    }
    first.put("x", 11)?;
    second.put("y", 21)?;
    first.commit()?;
    second.commit()?;
    Ok((stage.committed("x")?, stage.committed("y")?) == (Some(11), Some(21)))
}

fn g2(stage: &Stage) -> Result<bool, Stop> {
    let (mut first, mut second) = (stage.begin()?, stage.begin()?);
    let nothing = first.count_threes()? + second.count_threes()? == 0;
    first.put("v", 30)?;
    second.put("w", 42)?;
    first.commit()?;
    second.commit()?;
    Ok(nothing && stage.begin()?.count_threes()? == 2)
}

/// `x` is a current account, `y` a savings account. A withdrawal that finds too little in both is charged one more; a
/// deposit comes, and a reader sees it before the withdrawal: then nothing should have been charged.
fn read_only(stage: &Stage) -> Result<bool, Stop> {
    let (mut withdrawal, mut deposit) = (stage.begin()?, stage.begin()?);
    let held = withdrawal.get("x")?.unwrap_or(0) + withdrawal.get("y")?.unwrap_or(0);
    let savings = deposit.get("y")?.unwrap_or(0);
    deposit.put("y", savings + 20)?;
    deposit.commit()?;
    let reader = stage.begin()?;
    let seen = (reader.get("x")?, reader.get("y")?);
    reader.commit()?;
    let charge = i64::from(held < 40);
    withdrawal.put("x", 10 - 40 - charge)?;
    withdrawal.commit()?;
    Ok(seen == (Some(10), Some(40)) && stage.committed("x")? == Some(-31))
}
