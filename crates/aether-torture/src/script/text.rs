//! Scripts as text: one line a step, and below a transaction one line a call.
//!
//! ```text
//! seed 7
//! txn commit
//!   create alpha lsm fast
//!   create beta
//!   put alpha "row-000123" 812@55
//! side
//!   delete beta "row-000456-side-1"
//! side commit
//! reopen 3
//! ```
//!
//! A keyspace without a kind is a B+tree. A value is its text, or its length and the tag it is made from.

use super::{End, PASSING, SPACES, Script, Side, Step, TxnScript, tagged};
use crate::kind::Kind;
use crate::model::{Bytes, Op};
use aether_sync::Arc;
use core::fmt;
use core::str::FromStr;

impl End {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Commit, "commit"),
        (Self::Group, "group"),
        (Self::Async, "async"),
        (Self::Weak, "weak"),
        (Self::Abort, "abort"),
    ];
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Txn(txn) => {
                let name = End::NAMES.iter().find(|(end, _)| *end == txn.end).map_or("", |(_, name)| name);
                writeln!(f, "txn {name}")?;
                write_ops(f, &txn.ops)
            }
            Step::Side(Side::Calls(ops)) => {
                writeln!(f, "side")?;
                write_ops(f, ops)
            }
            Step::Side(Side::Commit(_)) => writeln!(f, "side commit"),
            Step::Side(Side::Abort) => writeln!(f, "side abort"),
            Step::Hold => writeln!(f, "hold"),
            Step::Release => writeln!(f, "release"),
            Step::Checkpoint => writeln!(f, "checkpoint"),
            Step::Reopen(tuning) => writeln!(f, "reopen {tuning}"),
        }
    }
}

fn write_ops(f: &mut fmt::Formatter<'_>, ops: &[Op]) -> fmt::Result {
    for op in ops {
        match op {
            Op::Create(space, Kind::Btree) => writeln!(f, "  create {space}"),
            Op::Create(space, kind) => writeln!(f, "  create {space} {kind}"),
            Op::Drop(space) => writeln!(f, "  drop {space}"),
            Op::Put(space, key, value) => {
                writeln!(f, "  put {space} \"{}\" {}", key.escape_ascii(), value_text(value))
            }
            Op::Delete(space, key) => writeln!(f, "  delete {space} \"{}\"", key.escape_ascii()),
            Op::Savepoint => writeln!(f, "  savepoint"),
            Op::Rollback => writeln!(f, "  rollback"),
            Op::RollbackTo(depth) => writeln!(f, "  rollback-to {depth}"),
        }?;
    }
    Ok(())
}

fn value_text(value: &Bytes) -> String {
    let tag = value.first_chunk().map(|tag| u32::from_le_bytes(*tag));
    match tag.filter(|tag| value.len() > 16 && tagged(*tag, value.len()) == *value) {
        Some(tag) => format!("{}@{tag}", value.len()),
        None => format!("\"{}\"", value.escape_ascii()),
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { seed: 0, steps: Vec::new() };
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            reader
                .line(line)
                .ok_or_else(|| format!("line {}: {line:?} is no part of a script", index + 1))?;
        }
        Ok(Script::of(reader.seed, reader.steps))
    }
}

struct Reader {
    seed: u64,
    steps: Vec<Step>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        if line.starts_with(' ') {
            let op = parse_op(line.trim())?;
            match self.steps.last_mut()? {
                Step::Txn(txn) => txn.ops.push(op),
                Step::Side(Side::Calls(ops)) => ops.push(op),
                _ => return None,
            }
            return Some(());
        }
        let step = match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
            ("seed", seed) => {
                self.seed = seed.parse().ok()?;
                return Some(());
            }
            ("txn", name) => {
                let (end, _) = End::NAMES.into_iter().find(|(_, known)| *known == name)?;
                Step::Txn(TxnScript { ops: Vec::new(), end, after: Arc::default() })
            }
            ("side", "") => Step::Side(Side::Calls(Vec::new())),
            ("side", "commit") => Step::Side(Side::Commit(Arc::default())),
            ("side", "abort") => Step::Side(Side::Abort),
            ("hold", "") => Step::Hold,
            ("release", "") => Step::Release,
            ("checkpoint", "") => Step::Checkpoint,
            ("reopen", tuning) => Step::Reopen(tuning.parse().ok()?),
            _ => return None,
        };
        self.steps.push(step);
        Some(())
    }
}

fn parse_op(line: &str) -> Option<Op> {
    let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (space, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let depth = space.parse();
    let space = SPACES.into_iter().chain([PASSING]).find(|known| *known == space);
    Some(match what {
        "create" => Op::Create(space?, if rest.is_empty() { Kind::Btree } else { rest.parse().ok()? }),
        "drop" => Op::Drop(space?),
        "delete" => Op::Delete(space?, quoted(rest)?.0),
        "put" => {
            let (key, rest) = quoted(rest)?;
            Op::Put(space?, key, value(rest.trim())?)
        }
        "savepoint" => Op::Savepoint,
        "rollback" => Op::Rollback,
        "rollback-to" => Op::RollbackTo(depth.ok()?),
        _ => return None,
    })
}

fn value(text: &str) -> Option<Bytes> {
    if text.starts_with('"') {
        return quoted(text).map(|(value, _)| value);
    }
    let (length, tag) = text.split_once('@')?;
    Some(tagged(tag.parse().ok()?, length.parse().ok()?))
}

/// A quoted text and what comes after it.
fn quoted(text: &str) -> Option<(Bytes, &str)> {
    let mut letters = text.strip_prefix('"')?.bytes();
    let mut bytes = Vec::new();
    loop {
        match letters.next()? {
            b'"' => break,
            b'\\' => bytes.push(escaped(&mut letters)?),
            letter => bytes.push(letter),
        }
    }
    let left = letters.len();
    Some((bytes.into(), &text[text.len() - left..]))
}

fn escaped(letters: &mut core::str::Bytes<'_>) -> Option<u8> {
    Some(match letters.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let mut digit = || char::from(letters.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        }
        letter => letter,
    })
}
