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
//! txn commit
//!   ingest alpha "row-000100" 812@56 "row-000200" "short"
//!   delete-range alpha from "row-000100" below "row-000300"
//! convert alpha commit rax
//!   put alpha "row-000124" 812@57
//! reopen 3
//! ```
//!
//! A keyspace without a kind is a B+tree. A value is its text, or its length and the tag it is made from. A range is `from` or `after` a
//! key, `to` or `below` another; without the one it begins at the first row, without the other it ends at the last. Below a
//! conversion are the calls of a transaction while rows are copied, beside its name how that ends; `convert-some` is broken off.

use super::{Conversion, End, PASSING, SPACES, Script, Side, Step, TxnScript, tagged};
use crate::kind::Kind;
use crate::model::{Bytes, Op, Range};
use aether_sync::Arc;
use core::fmt;
use core::ops::Bound;
use core::str::FromStr;

const CONVERT: &str = "convert";
const CONVERT_SOME: &str = "convert-some";

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(end, _)| end == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for TxnScript {
    type Err = ();

    /// Without calls.
    fn from_str(name: &str) -> Result<Self, ()> {
        let (end, _) = End::NAMES.into_iter().find(|(_, known)| *known == name).ok_or(())?;
        Ok(Self { ops: Vec::new(), end, after: Arc::default() })
    }
}

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
                writeln!(f, "txn {}", txn.end)?;
                write_ops(f, &txn.ops)
            }
            Step::Convert(Conversion { space, to, is_broken_off, during }) => {
                let name = if *is_broken_off { CONVERT_SOME } else { CONVERT };
                writeln!(f, "{name} {space} {} {to}", during.end)?;
                write_ops(f, &during.ops)
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
            Op::Ingest(space, rows) => {
                write!(f, "  ingest {space}")?;
                let write = |(key, value): &(Bytes, Bytes)| {
                    write!(f, " \"{}\" {}", key.escape_ascii(), value_text(value))
                };
                rows.iter().try_for_each(write)?;
                writeln!(f)
            }
            Op::DeleteRange(space, range) => {
                writeln!(f, "  delete-range {space}{}{}", from_text(&range.from), to_text(&range.to))
            }
            Op::Savepoint => writeln!(f, "  savepoint"),
            Op::Rollback => writeln!(f, "  rollback"),
            Op::RollbackTo(depth) => writeln!(f, "  rollback-to {depth}"),
        }?;
    }
    Ok(())
}

fn from_text(bound: &Bound<Bytes>) -> String {
    bound_text(bound, ["from", "after"])
}

fn to_text(bound: &Bound<Bytes>) -> String {
    bound_text(bound, ["to", "below"])
}

fn bound_text(bound: &Bound<Bytes>, [included, excluded]: [&str; 2]) -> String {
    match bound {
        Bound::Included(key) => format!(" {included} \"{}\"", key.escape_ascii()),
        Bound::Excluded(key) => format!(" {excluded} \"{}\"", key.escape_ascii()),
        Bound::Unbounded => String::new(),
    }
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
                Step::Txn(txn) | Step::Convert(Conversion { during: txn, .. }) => txn.ops.push(op),
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
            ("txn", name) => Step::Txn(name.parse().ok()?),
            (CONVERT, rest) => Step::Convert(conversion(rest, false)?),
            (CONVERT_SOME, rest) => Step::Convert(conversion(rest, true)?),
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

fn known_space(name: &str) -> Option<&'static str> {
    SPACES.into_iter().chain([PASSING]).find(|known| *known == name)
}

fn conversion(text: &str, is_broken_off: bool) -> Option<Conversion> {
    let (space, rest) = text.split_once(' ')?;
    let (end, kind) = rest.split_once(' ')?;
    let during = end.parse().ok()?;
    Some(Conversion { space: known_space(space)?, to: kind.parse().ok()?, is_broken_off, during })
}

fn parse_op(line: &str) -> Option<Op> {
    let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (space, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let depth = space.parse();
    let space = known_space(space);
    Some(match what {
        "create" => Op::Create(space?, if rest.is_empty() { Kind::Btree } else { rest.parse().ok()? }),
        "drop" => Op::Drop(space?),
        "delete" => Op::Delete(space?, quoted(rest)?.0),
        "put" => {
            let (key, rest) = quoted(rest)?;
            Op::Put(space?, key, value(rest.trim())?.0)
        }
        "ingest" => Op::Ingest(space?, rows(rest)?),
        "delete-range" => Op::DeleteRange(space?, range(rest)?),
        "savepoint" => Op::Savepoint,
        "rollback" => Op::Rollback,
        "rollback-to" => Op::RollbackTo(depth.ok()?),
        _ => return None,
    })
}

fn rows(mut text: &str) -> Option<Arc<[(Bytes, Bytes)]>> {
    let mut rows = Vec::new();
    while !text.is_empty() {
        let (key, rest) = quoted(text)?;
        let (value, rest) = value(rest.trim_start())?;
        rows.push((key, value));
        text = rest.trim_start();
    }
    rows.is_sorted_by(|one, other| one.0 < other.0).then(|| rows.into())
}

fn range(text: &str) -> Option<Range> {
    let (from, rest) = bound(text, ["from", "after"])?;
    let (to, rest) = bound(rest, ["to", "below"])?;
    rest.is_empty().then_some(Range { from, to })
}

/// A bound, if it begins with one of these words, and what comes after it.
fn bound<'t>(text: &'t str, [included, excluded]: [&str; 2]) -> Option<(Bound<Bytes>, &'t str)> {
    let text = text.trim_start();
    let Some((word, rest)) = text.split_once(' ') else { return Some((Bound::Unbounded, text)) };
    let of = match word {
        word if word == included => Bound::Included,
        word if word == excluded => Bound::Excluded,
        _ => return Some((Bound::Unbounded, text)),
    };
    let (key, rest) = quoted(rest)?;
    Some((of(key), rest))
}

/// A value and what comes after it.
fn value(text: &str) -> Option<(Bytes, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (length, tag) = value.split_once('@')?;
    Some((tagged(tag.parse().ok()?, length.parse().ok()?), rest))
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
