//! The manifest: which runs there are, in which order. Rows of a B+tree of its own, changed by ordinary transactions; so an edit is
//! there as a whole or not at all, and after a crash the tree stands as the log has it.
//!
//! | key | value |
//! |---|---|
//! | `i` and a file (4, big-endian) | nothing: the ingested run in this file is there. A row of the transaction that brought it |
//! | `k` | up to which change of each stripe the runs have the rows |
//! | `l` and a level (2, big-endian) | its runs, the newest first |
//! | `p` | the merge policy |
//! | `s` | its last switches |
//! | `v` and a file (4, big-endian) | bytes of a value file |

use super::{Live, charge};
use crate::policy::{PolicyKind, Switch};
use crate::run::RunInfo;
use crate::version::Version;
use aether_index::resident::tree_id;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::{Durability, Isolation, ReadView, Txn, TxnManager, TxnOptions};
use aether_index::{Anchor, BTree, Cursor, OrderedCursor};
use aether_types::{Error, FileId, PageNo, Reader, Result, Timestamp, TxnId, Writer};
use std::collections::BTreeMap;
use std::time::Duration;

const INGESTED: u8 = b'i';
const KNOWN: u8 = b'k';
const LEVEL: u8 = b'l';
const POLICY: u8 = b'p';
const SWITCHES: u8 = b's';
const VALUES: u8 = b'v';
const VERSION: u8 = 1;
const EXCLUDED: u8 = 1;
const PENDING: u8 = 2;

/// A run as the manifest has it: what it is, how many bytes of which value files its entries name, and the transaction that brought it, if
/// it is there only with that one's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RunRow {
    pub(super) info: RunInfo,
    pub(super) values: Vec<(FileId, u64)>,
    pub(super) pending: Option<TxnId>,
}

/// What the manifest says.
#[derive(Default, Debug)]
pub(super) struct Listed {
    pub(super) known: Option<Vec<u8>>,
    pub(super) policy: Option<PolicyKind>,
    pub(super) switches: Vec<Switch>,
    pub(super) levels: Vec<Vec<RunRow>>,
    pub(super) values: BTreeMap<FileId, u64>,
    pub(super) ingested: Vec<FileId>,
}

/// The manifest of a tree.
pub(super) struct Manifest {
    txns: Arc<TxnManager>,
    tree: BTree,
}

impl Manifest {
    pub(super) fn new(txns: &Arc<TxnManager>, root: PageNo, id: u32) -> Self {
        Self { txns: txns.clone(), tree: BTree::open(txns.clone(), root, tree_id(id)) }
    }

    pub(super) fn of(txns: &Arc<TxnManager>, at: Anchor) -> Self {
        Self::new(txns, at.root, at.id)
    }

    pub(super) fn tree(&self) -> &BTree {
        &self.tree
    }

    /// Reads it. Blocks.
    ///
    /// # Errors
    /// `Corruption` that names the row.
    pub(super) fn read(&self) -> Result<Listed> {
        let mut listed = Listed::default();
        let view = self.txns.view();
        let mut cursor = Cursor::new(self.tree.clone());
        while let Some((key, value)) = OrderedCursor::next(&mut cursor, &view)? {
            listed.take(key, value).map_err(|error| {
                Error::corruption(format!("the manifest of an LSM tree: {error}")).at_key(key)
            })?;
        }
        Ok(listed)
    }

    /// A transaction for an edit. It waits for nobody: who made the tree and is not over may be this thread.
    pub(super) fn begin(&self) -> Txn {
        let lock_timeout = Some(Duration::ZERO);
        let options = TxnOptions { lock_timeout, ..Isolation::ReadCommitted.into() };
        self.txns.begin_with(options).for_bookkeeping()
    }

    /// Commits, and waits as `durability` says.
    pub(super) fn commit(&self, txn: Txn, durability: Durability) -> Result<()> {
        txn.commit_with(durability)?.wait_as(durability)
    }

    pub(super) fn put_known(&self, txn: &mut Txn, known: &[u8]) -> Result<()> {
        self.tree.put(txn, &[KNOWN], known)
    }

    pub(super) fn put_policy(&self, txn: &mut Txn, policy: PolicyKind) -> Result<()> {
        self.tree.put(txn, &[POLICY], &[policy.code()])
    }

    pub(super) fn put_switches(&self, txn: &mut Txn, switches: &[Switch]) -> Result<()> {
        self.tree.put(txn, &[SWITCHES], &charge::encode(switches))
    }

    pub(super) fn put_values(&self, txn: &mut Txn, file: FileId, bytes: u64) -> Result<()> {
        self.tree.put(txn, &file_key(VALUES, file), &bytes.to_le_bytes())
    }

    pub(super) fn remove_values(&self, txn: &mut Txn, file: FileId) -> Result<()> {
        self.tree.delete(txn, &file_key(VALUES, file)).map(drop)
    }

    /// Makes the ingested run in `file` be there as soon as `txn` commits.
    pub(super) fn put_ingested(&self, txn: &mut Txn, file: FileId) -> Result<()> {
        self.tree.put(txn, &file_key(INGESTED, file), &[])
    }

    pub(super) fn remove_ingested(&self, txn: &mut Txn, file: FileId) -> Result<()> {
        self.tree.delete(txn, &file_key(INGESTED, file)).map(drop)
    }

    /// True if `view` shows that the ingested run in `file` is there. Blocks for reads.
    pub(super) fn has_ingested(&self, view: &ReadView, file: FileId) -> Result<bool> {
        self.tree.get_into(view, &file_key(INGESTED, file), &mut Vec::new())
    }

    /// True if whoever made the tree has committed.
    pub(super) fn is_made(&self) -> Result<bool> {
        self.tree.get_into(self.begin().view(), &[KNOWN], &mut Vec::new())
    }

    /// Writes the levels of `next` that are not as in `old`, or not as the manifest has them.
    pub(super) fn put_levels(&self, txn: &mut Txn, old: &Version<Live>, next: &Version<Live>) -> Result<()> {
        for level in 0..old.levels().len().max(next.levels().len()) {
            let files = |version: &Version<Live>| -> Vec<FileId> {
                version.levels().get(level).into_iter().flatten().map(|run| run.id()).collect()
            };
            let is_stale = || old.levels().get(level).into_iter().flatten().any(|run| run.file().is_stale());
            if files(old) == files(next) && !is_stale() {
                continue;
            }
            match next.levels().get(level).filter(|runs| !runs.is_empty()) {
                None => drop(self.tree.delete(txn, &level_key(level)?)?),
                Some(runs) => {
                    let rows: Vec<_> = runs.iter().map(|run| run.file().row()).collect();
                    self.tree.put(txn, &level_key(level)?, &encode_runs(&rows))?;
                }
            }
        }
        Ok(())
    }
}

fn level_key(level: usize) -> Result<[u8; 3]> {
    let level = u16::try_from(level).map_err(|_| Error::invalid(format!("{level} levels are too many")))?;
    let [high, low] = level.to_be_bytes();
    Ok([LEVEL, high, low])
}

fn file_key(kind: u8, file: FileId) -> [u8; 5] {
    let [a, b, c, d] = file.get().to_be_bytes();
    [kind, a, b, c, d]
}

impl Listed {
    /// The files of all runs and large values.
    pub(super) fn files(&self) -> impl Iterator<Item = FileId> + '_ {
        let runs = self.levels.iter().flatten().map(|row| row.info.file);
        runs.chain(self.values.keys().copied())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match (key, value) {
            ([KNOWN], known) => self.known = Some(known.to_vec()),
            ([POLICY], [code]) => self.policy = Some(charge::kind(*code)?),
            ([SWITCHES], switches) => self.switches = charge::decode(switches)?,
            ([LEVEL, high, low], runs) => {
                let level = usize::from(u16::from_be_bytes([*high, *low]));
                self.levels.resize_with(level, Vec::new);
                self.levels.push(decode_runs(runs)?);
            }
            ([INGESTED, a, b, c, d], []) => self.ingested.push(file_of([*a, *b, *c, *d])?),
            ([VALUES, a, b, c, d], bytes) => {
                let file = file_of([*a, *b, *c, *d])?;
                let bytes = bytes.try_into().map_err(|_| Error::corruption("a length that is none"))?;
                self.values.insert(file, u64::from_le_bytes(bytes));
            }
            _ => return Err(Error::corruption("a row of unknown kind")),
        }
        Ok(())
    }
}

fn file_of(key: [u8; 4]) -> Result<FileId> {
    file_id(u32::from_be_bytes(key).into())
}

fn file_id(number: u64) -> Result<FileId> {
    let id = u32::try_from(number).ok().filter(|id| (1..FileId::END).contains(id));
    id.map(FileId::new).ok_or_else(|| Error::corruption(format!("a file {number} that cannot be")))
}

fn encode_runs(runs: &[RunRow]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.put_varint(runs.len() as u64);
    for RunRow { info, values, pending } in runs {
        out.put_varint(info.file.get().into());
        for number in [info.bytes, info.entries, info.tombstones, info.range_tombstones, info.newest.get()] {
            out.put_varint(number);
        }
        out.put_string(&info.smallest);
        out.put_string(&info.largest);
        let excluded = if info.is_largest_excluded { EXCLUDED } else { 0 };
        out.put_u8(excluded | if pending.is_some() { PENDING } else { 0 });
        pending.iter().for_each(|writer| out.put_varint(writer.get()));
        out.put_varint(values.len() as u64);
        for (file, bytes) in values {
            out.put_varint(file.get().into());
            out.put_varint(*bytes);
        }
    }
    out
}

fn decode_runs(bytes: &[u8]) -> Result<Vec<RunRow>> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(reader.bad(format!("a list of runs of version {version}")));
    }
    let count = reader.varint_below(bytes.len() as u64)?;
    let runs = (0..count).map(|_| decode_run(&mut reader, bytes.len())).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(runs)
}

fn decode_run(reader: &mut Reader<'_>, bytes_max: usize) -> Result<RunRow> {
    let file = file_id(reader.varint()?)?;
    let (bytes, entries, tombstones) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let (range_tombstones, newest) = (reader.varint()?, Timestamp::new(reader.varint()?));
    let (smallest, largest) = (reader.string()?.to_vec(), reader.string()?.to_vec());
    let flags = reader.u8()?;
    if flags & !(EXCLUDED | PENDING) != 0 {
        return Err(reader.bad(format!("a run with unknown flags {flags}")));
    }
    let is_largest_excluded = flags & EXCLUDED != 0;
    let pending = if flags & PENDING != 0 { Some(TxnId::new(reader.varint()?)) } else { None };
    let count = reader.varint_below(bytes_max as u64)?;
    let value = |_| Ok((file_id(reader.varint()?)?, reader.varint()?));
    let values = (0..count).map(value).collect::<Result<Vec<_>>>()?;
    let info = RunInfo {
        file,
        bytes,
        entries,
        tombstones,
        range_tombstones,
        smallest,
        largest,
        is_largest_excluded,
        newest,
    };
    Ok(RunRow { info, values, pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(file: u32) -> RunRow {
        let info = RunInfo {
            file: FileId::new(file),
            bytes: 70_000,
            entries: 300,
            tombstones: 7,
            range_tombstones: 1,
            smallest: b"a".to_vec(),
            largest: b"zz".to_vec(),
            is_largest_excluded: file.is_multiple_of(2),
            newest: Timestamp::new(u64::from(file) * 1000),
        };
        let pending = (file % 3 == 1).then(|| TxnId::new(1 << 40));
        RunRow { info, values: (0..file % 3).map(|other| (FileId::new(90 + other), 5000)).collect(), pending }
    }

    #[test]
    fn levels_round_trip_and_hostile_ones_are_refused() {
        let runs: Vec<_> = (1..6).map(row).collect();
        let bytes = encode_runs(&runs);
        assert_eq!(decode_runs(&bytes).unwrap(), runs);
        assert!((0..bytes.len()).all(|end| decode_runs(&bytes[..end]).is_err()));
        for at in 0..bytes.len() {
            let mut hostile = bytes.clone();
            hostile[at] ^= 0x80;
            let _ = decode_runs(&hostile);
        }
        let mut listed = Listed::default();
        assert!(listed.take(b"x", b"").is_err() && listed.take(b"p", &[99]).is_err());
        assert!(listed.take(b"v\0\0\0\0", &[0; 8]).is_err() && listed.take(b"v\0\0\0\x09", &[0; 7]).is_err());
        listed.take(b"l\0\x02", &bytes).unwrap();
        assert!(listed.take(b"i\0\0\0\x09", b"x").is_err() && listed.take(b"i\0\0\0\0", b"").is_err());
        listed.take(b"i\0\0\0\x09", b"").unwrap();
        assert_eq!(listed.ingested, [FileId::new(9)]);
        assert_eq!((listed.levels.len(), listed.levels[2].len()), (3, 5));
    }
}
