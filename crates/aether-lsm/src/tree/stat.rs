//! An LSM tree in numbers.

use super::Lsm;
use crate::policy::{PolicyKind, Reason, Switch};
use crate::schedule::Told;

/// A level in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStat {
    /// Its runs.
    pub runs: usize,
    /// Bytes of their files.
    pub bytes: u64,
    /// Versions in them.
    pub entries: u64,
    /// Tombstones among them.
    pub tombstones: u64,
}

/// A merge under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeStat {
    /// Why.
    pub reason: Reason,
    /// The level of the newest run that it reads.
    pub level: usize,
    /// The runs that it reads.
    pub runs: usize,
    /// Where the result goes.
    pub target: usize,
    /// Bytes of all files that it reads.
    pub bytes: u64,
    /// Bytes of them that are still to be read, about; 0 if only its result is to come in.
    pub left_bytes: u64,
}

impl MergeStat {
    fn of(told: &Told) -> Self {
        let Told { level, plan, left_bytes } = told;
        let (runs, left_bytes) = (plan.inputs.len(), *left_bytes);
        Self { reason: plan.reason, level: *level, runs, target: plan.target, bytes: plan.bytes, left_bytes }
    }
}

/// An LSM tree in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LsmStat {
    /// The policy that was chosen, and the one in charge.
    pub policy: Option<(PolicyKind, PolicyKind)>,
    /// The last switches, the oldest first; those before the tree was opened, too.
    pub switches: Vec<Switch>,
    /// Rows in memory, and the bytes that they take.
    pub memory_rows: u64,
    /// The same in bytes.
    pub memory_bytes: u64,
    /// The levels, the newest first.
    pub levels: Vec<LevelStat>,
    /// Bytes of large values in files of their own, those that no run names any more among them.
    pub value_bytes: u64,
    /// Those that runs name.
    pub live_value_bytes: u64,
    /// The merges under way, the shallowest first, as they stood after the last slice of work.
    pub merges: Vec<MergeStat>,
    /// Bytes that are to be merged.
    pub owed_bytes: u64,
    /// Since the tree was opened: bytes that were written to it, flushed to runs and written by merges.
    pub put_bytes: u64,
    /// The same, of flushes.
    pub flushed_bytes: u64,
    /// The same, of merges.
    pub merged_bytes: u64,
    /// The same, of runs that were ingested.
    pub ingested_bytes: u64,
    /// Since the tree was opened: runs that filters told scans to leave out.
    pub runs_spared: u64,
}

impl LsmStat {
    /// Bytes of runs written for each byte that was put; none before the first flush.
    pub fn write_amplification(&self) -> Option<f64> {
        let written = self.flushed_bytes + self.merged_bytes;
        (self.flushed_bytes > 0).then(|| written as f64 / self.put_bytes.max(1) as f64)
    }
}

impl Lsm {
    /// The tree in numbers. Does not block for long.
    pub fn stat(&self) -> LsmStat {
        let inner = &self.0;
        let version = inner.runs.current();
        let level = |runs: &Vec<_>| {
            runs.iter().map(|run: &super::Arc<crate::version::Run<super::Live>>| run.shape()).fold(
                LevelStat::default(),
                |all, run| LevelStat {
                    runs: all.runs + 1,
                    bytes: all.bytes + run.bytes,
                    entries: all.entries + run.entries,
                    tombstones: all.tombstones + run.tombstones,
                },
            )
        };
        let (kind, in_charge, switches) = {
            let policy = inner.policy.lock();
            (policy.kind, policy.policy.current(), policy.switches())
        };
        LsmStat {
            policy: Some((kind, in_charge)),
            switches,
            memory_rows: inner.rows.len(),
            memory_bytes: inner.rows.used_bytes(),
            levels: version.levels().iter().map(level).collect(),
            value_bytes: super::runs::value_files(&version)
                .values()
                .map(|held| held.info().value_bytes)
                .sum(),
            live_value_bytes: version.runs().flat_map(|run| &run.file().values).map(|(_, bytes)| bytes).sum(),
            merges: inner.merges.under_way().iter().map(MergeStat::of).collect(),
            owed_bytes: inner.pacer.debts().1,
            put_bytes: inner.put_bytes.get(),
            flushed_bytes: inner.flushed.get(),
            merged_bytes: inner.merged.get(),
            ingested_bytes: inner.ingested.get(),
            runs_spared: inner.runs_spared.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::{LsmConfig, LsmFactory};
    use aether_index::conformance::World;
    use aether_index::txn::Durability;
    use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
    use aether_index::{IndexFactory, IndexKind, ResidentFactory, TablesConfig};
    use aether_vfs::Env;

    #[test]
    fn a_merge_is_told_of_while_somebody_works_at_it() {
        let rows = Arc::new(ResidentFactory::new(TablesConfig::new(7)));
        let config = LsmConfig { memtable_bytes: 8 << 10, threads: 0, ..LsmConfig::default() };
        let factory = Arc::new(LsmFactory::alone(rows, config));
        let world = World::open(Env::memory(), &(factory.clone() as Arc<dyn IndexFactory>)).unwrap();
        let mut txn = world.txns.begin();
        let at = factory.create_tree(&mut txn, IndexKind::LSM, 17, config.policy).unwrap();
        drop(txn.commit_with(Durability::Sync).unwrap());
        let tree = factory.open_tree(&world.txns, at).unwrap();

        let told = (0..20_000_u32).find_map(|number| {
            let mut txn = world.txns.begin();
            tree.put(&mut txn, &number.wrapping_mul(2_654_435_761).to_be_bytes(), &[7; 60]).unwrap();
            drop(txn.commit_with(Durability::Sync).unwrap());
            tree.stat().merges.first().copied()
        });
        assert!(
            told.is_some_and(|merge| merge.runs > 1 && merge.left_bytes <= merge.bytes),
            "{:?}",
            tree.stat()
        );
        tree.merge_all().unwrap();
        assert_eq!(tree.stat().merges, []);
    }
}
