//! A store that is converted while transactions run, and the judge of what is there afterwards.
//!
//! Every transaction raises a counter row, in the keyspace that is converted and in one beside it; so each depends on the one before, and what a
//! restart shows is the state after one of them: at least the last one acknowledged as durable.

use crate::lsm::index::txn::Durability;
use crate::lsm::run::RunHome;
use crate::lsm::tree::{LsmConfig, LsmFactory};
use crate::wal::WalConfig;
use crate::{Db, DbEnv, IndexKind, Isolation, KeyspaceOptions, Options, Result, Txn};
use crate::{buffer::BufferConfig, catalog::DEFAULT_NAME, garbage::tests::PagesInUse};
use aether_sim::Sim;
use aether_types::PageSize;
use core::ops::ControlFlow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const COUNTER: &[u8] = b"counter";
const BESIDE: &str = "beside";
/// Bytes of a value from which on it stands in a file of values.
const SEPARATE_BYTES: usize = 200;

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}

/// A conversion of a keyspace, in a store with so many log streams.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) streams: usize,
    pub(crate) from: IndexKind,
    pub(crate) to: IndexKind,
    /// Bytes of the largest values that are replaced and deleted.
    pub(crate) large_bytes: u64,
    /// Bytes of a log segment.
    pub(crate) segment_bytes: u64,
}

impl Case {
    pub(crate) fn open(self, sim: &Sim) -> Result<DbEnv> {
        let buffer = BufferConfig {
            num_frames: 128,
            page_size: PageSize::MIN,
            enable_page_provider: false,
            prefetch_threads: 0,
            partitions: 1,
            ..BufferConfig::default()
        };
        let wal = WalConfig {
            streams: self.streams,
            segment_bytes: self.segment_bytes,
            ring_bytes: 128 << 10,
            flusher: false,
            ..WalConfig::default()
        };
        let lsm = LsmConfig {
            memtable_bytes: LsmConfig::MEMTABLE_BYTES_MIN,
            level_runs: Some(2),
            separate_bytes: SEPARATE_BYTES,
            ..LsmConfig::default()
        };
        let (lock_timeout, background) = (Duration::ZERO, false);
        let options = Options { buffer, wal, lsm, lock_timeout, background, ..Options::default() };
        DbEnv::open_in(sim.env(), Path::new("/home"), options)
    }

    /// A machine with the keyspaces and a few rows.
    pub(super) fn machine(self) -> (Sim, History) {
        let sim = Sim::new(1);
        let env = self.open(&sim).unwrap();
        for (name, kind) in [(self.name, self.from), (BESIDE, IndexKind::BTREE)] {
            if name != DEFAULT_NAME {
                env.transact(|txn| env.create_keyspace(txn, name, KeyspaceOptions::of(kind)).map(drop))
                    .unwrap();
            }
        }
        let mut history = History {
            states: vec![Model::new()],
            acknowledged: 0,
            kinds: vec![self.from],
            converted: [0; 2],
        };
        let (mut world, mut dice) = (World::of(env, self).unwrap(), Dice(self.streams as u64 + 7));
        (0..12).try_for_each(|_| world.commit(&mut history, &mut dice)).unwrap();
        drop(world);
        (sim, history)
    }
}

/// What a machine may show after its lives so far.
#[derive(Clone)]
pub(super) struct History {
    /// The state after each transaction whose commit was requested.
    pub(super) states: Vec<Model>,
    /// Which of them was acknowledged as durable last.
    pub(super) acknowledged: usize,
    /// What the keyspace may be of.
    pub(super) kinds: Vec<IndexKind>,
    /// Conversions that went through, and that copied rows again.
    pub(super) converted: [u64; 2],
}

pub(super) struct World {
    pub(super) env: DbEnv,
    pub(super) rows: Db,
    pub(super) beside: Db,
    pub(super) case: Case,
}

impl World {
    pub(super) fn of(env: DbEnv, case: Case) -> Result<Self> {
        let (rows, beside) = (Db::in_env(env.clone(), case.name)?, Db::in_env(env.clone(), BESIDE)?);
        Ok(Self { env, rows, beside, case })
    }

    fn change(&self, txn: &mut Txn, dice: &mut Dice, model: &mut Model) -> Result<()> {
        for _ in 0..1 + dice.below(4) {
            let key = format!("key {}", dice.below(20)).into_bytes();
            if dice.below(3) == 0 {
                assert_eq!(txn.delete(self.rows.keyspace(), &key)?, model.remove(&key).is_some());
                continue;
            }
            let bytes =
                [dice.below(150), 300, self.case.large_bytes][[0, 0, 0, 0, 1, 2][dice.below(6) as usize]];
            let value = vec![dice.next() as u8; bytes as usize];
            txn.put(self.rows.keyspace(), &key, &value)?;

            model.insert(key, value);
        }
        Ok(())
    }

    /// One transaction, noted as asked for and as answered.
    pub(super) fn commit(&mut self, history: &mut History, dice: &mut Dice) -> Result<()> {
        let mut model = history.states.last().unwrap().clone();
        let levels = [Isolation::Snapshot, Isolation::ReadCommitted, Isolation::Serializable];
        let mut txn = self.env.begin_with(levels[dice.below(3) as usize])?;
        self.change(&mut txn, dice, &mut model)?;
        if dice.below(6) == 0 {
            return txn.abort();
        }
        self.request(&mut txn, history, model)?;
        if dice.below(3) == 0 {
            drop(txn.commit_with(Durability::None)?);
            return Ok(());
        }
        Self::acknowledge(txn, history)
    }

    /// What is about to be committed.
    fn request(&self, txn: &mut Txn, history: &mut History, mut model: Model) -> Result<()> {
        let count = (history.states.len() as u64).to_le_bytes();
        txn.put(self.rows.keyspace(), COUNTER, &count)?;
        txn.put(self.beside.keyspace(), COUNTER, &count)?;
        model.insert(COUNTER.to_vec(), count.to_vec());
        history.states.push(model);
        Ok(())
    }

    fn acknowledge(txn: Txn, history: &mut History) -> Result<()> {
        txn.commit()?;
        history.acknowledged = history.states.len() - 1;
        Ok(())
    }

    /// Large values that nobody replaces.
    pub(super) fn put_large(&self, history: &mut History) -> Result<()> {
        let (mut txn, mut model) = (self.env.begin()?, history.states.last().unwrap().clone());
        for number in 0..6 {
            let (key, value) = (vec![b'l', number], vec![number; 30_000]);
            txn.put(self.rows.keyspace(), &key, &value)?;
            model.insert(key, value);
        }
        self.request(&mut txn, history, model)?;
        Self::acknowledge(txn, history)
    }

    /// All that was committed so far is durable, and shown.
    pub(super) fn settle(&self) -> Result<()> {
        self.env.transact(|txn| txn.put(self.beside.keyspace(), b"settled", b""))
    }

    /// Converts while transactions run, one of them from one part to the next.
    pub(super) fn convert(&mut self, history: &mut History, dice: &mut Dice) -> Result<()> {
        let (env, from) = (self.env.clone(), self.rows.keyspace().kind());
        let to = if from == self.case.from { self.case.to } else { self.case.from };
        history.kinds = vec![from, to];
        let (mut open, mut failed) = (None::<Txn>, Ok(()));
        let rows = history.states.last().unwrap().len() as u64;
        let breaks_off = dice.below(3) == 0 && history.converted[0] > 2;
        let converted = env.convert_with(self.case.name, KeyspaceOptions::of(to), |progress| {
            drop(open.take());
            failed = self.beside_the_copy(progress.done.rows_copied + 8 < rows, history, dice, &mut open);
            if failed.is_err() || breaks_off && dice.below(2) == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        failed?;
        let kind = if converted.is_some() { to } else { from };
        let again = converted.map_or(0, |done| done.rows_copied_again);
        history.converted[0] += u64::from(converted.is_some());
        history.converted[1] += u64::from(again > 0);
        assert_eq!(self.rows.keyspace().kind(), kind);
        history.kinds = vec![kind];
        Ok(())
    }

    fn beside_the_copy(
        &mut self,
        stays_open: bool,
        history: &mut History,
        dice: &mut Dice,
        open: &mut Option<Txn>,
    ) -> Result<()> {
        let mut txn = self.env.begin()?;
        txn.put(self.rows.keyspace(), &[200, dice.below(4) as u8], &[7; 40])?;
        *open = Some(txn).filter(|_| stays_open);
        (0..1 + dice.below(2)).try_for_each(|_| self.commit(history, dice))
    }

    /// Is it one of the states? The history goes on from there. An error is the power's.
    pub(super) fn judge(&mut self, history: &mut History) -> Result<()> {
        let kind = self.rows.keyspace().kind();
        assert!(history.kinds.contains(&kind), "{kind}, not of {:?}", history.kinds);
        history.kinds = vec![kind];
        let rows: Model = self.rows.iter()?.collect::<Result<_>>()?;
        let counter = rows.get(COUNTER).cloned();
        assert_eq!(self.beside.get(COUNTER)?, counter, "half of a transaction");
        let count = counter.map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap())) as usize;
        assert!(count >= history.acknowledged, "{count} commits, {} were answered", history.acknowledged);
        assert!(count < history.states.len(), "a commit that nobody asked for");
        let wanted = &history.states[count];
        let differ = |key: &&Vec<u8>| rows.get(*key) != wanted.get(*key);
        let wrong: BTreeSet<_> = rows.keys().chain(wanted.keys()).filter(differ).collect();
        assert!(wrong.is_empty(), "after {count} commits other rows are at {wrong:?}");
        for (key, value) in &rows {
            assert!(self.rows.get(key)?.as_ref() == Some(value));
        }
        assert_eq!(self.env.verify()?.problems, Vec::<String>::new());
        history.states.truncate(count + 1);
        history.acknowledged = count;
        Ok(())
    }

    /// Once something was committed nothing is left of indexes that are no keyspace's.
    pub(super) fn judge_leftovers(&self) -> Result<()> {
        let inner = &self.env.0;
        let view = inner.txns.view();
        assert_eq!(inner.catalog.dropped(&view)?, []);
        let pages = PagesInUse::of(&self.env)?;
        assert_eq!(pages.nodes, pages.nodes_known, "pages of indexes that are no keyspace's");
        let mut known = BTreeSet::new();
        for (_, entry) in
            inner.catalog.list(&view)?.iter().filter(|(_, entry)| entry.kind() == IndexKind::LSM)
        {
            known.extend(LsmFactory::listed_files(&inner.txns, entry.anchor())?);
        }
        assert_eq!(RunHome::of(&inner.store).leftovers(&known)?, []);
        Ok(())
    }
}
