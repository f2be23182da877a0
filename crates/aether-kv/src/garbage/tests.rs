//! Power cuts at every operation of dropping keyspaces, and again while the restart frees what is left: no page and no file stays.
//!
//! A root was once freed after the list had forgotten its index. With one log stream both went to the disk together; with several the second
//! waited for the first, and a cut in between left the page in use for good.

use crate::buffer::page::overflow::Stub;
use crate::buffer::page::space_map::{PageState, map_page_of};
use crate::buffer::page::{PageType, Swip, header};
use crate::catalog::{DEFAULT_NAME, Entry};
use crate::convert::tests::world::{Case, Dice};
use crate::lsm::index::BTree;
use crate::lsm::index::resident::tree_id;
use crate::lsm::index::txn::recovery::PAGES_FILE;
use crate::lsm::run::RunHome;
use crate::{DbEnv, IndexKind, KeyspaceOptions, Result};
use aether_sim::{CrashPolicy, Sim};
use aether_types::{ErrorKind, PageNo};
use std::collections::BTreeSet;

/// Pages of indexes that the space map has in use, and those that can be reached.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PagesInUse {
    pub(crate) nodes: u64,
    pub(crate) nodes_known: u64,
    pub(crate) values: u64,
    pub(crate) values_known: u64,
}

impl PagesInUse {
    pub(crate) fn of(env: &DbEnv) -> Result<Self> {
        let mut this = Self::default();
        this.count(env)?;
        let inner = &env.0;
        let view = inner.txns.view();
        let mut checks = vec![inner.catalog.tree().check(&view)?];
        for (name, entry) in inner.catalog.list(&view)? {
            checks.push(entry.open(&inner.indexes, &inner.txns, &name)?.index().check(&view)?);
        }
        this.nodes_known = checks.iter().map(|found| found.nodes).sum();
        this.values_known = checks.iter().map(|found| found.value_pages.len() as u64).sum();
        for stub in inner.catalog.retired(&view)? {
            this.values_known += Stub::decode(&stub)?.extents.iter().map(|(_, pages)| pages).sum::<u64>();
        }
        Ok(this)
    }

    fn count(&mut self, env: &DbEnv) -> Result<()> {
        let store = &env.0.store;
        for page in (1..store.space_stats()?.pages).map(PageNo::new) {
            if map_page_of(page, store.page_size()).is_none() {
                continue;
            }
            match store.page_state(page)? {
                PageState::Free => {}
                PageState::Used => {
                    let guard = store.pool().shared(PAGES_FILE, Swip::new(page))?;
                    let is_one = |kind| header::is_type(guard.view(), kind);
                    self.nodes += u64::from(
                        [PageType::Leaf, PageType::Inner, PageType::Radix].map(is_one).contains(&true),
                    );
                    self.values += u64::from(is_one(PageType::Overflow));
                }
                PageState::ExtentFirst | PageState::ExtentRest => self.values += 1,
            }
        }
        Ok(())
    }
}

/// A keyspace that comes and goes.
#[derive(Clone, Copy)]
struct Plan {
    case: Case,
    rows: u64,
    large: u64,
    large_bytes: usize,
}

const NAME: &str = "rows";

impl Plan {
    fn of(kind: IndexKind, streams: usize) -> Self {
        // In the memory of an LSM tree only values above 64 KiB stand in extents; the log must not ask for a flush.
        let (large, large_bytes, segment_bytes) =
            if kind == IndexKind::LSM { (2, 66_000, 2 << 20) } else { (30, 2500, 128 << 10) };
        let case = Case { name: NAME, streams, from: kind, to: kind, large_bytes: 0, segment_bytes };
        Self { case, rows: 60, large, large_bytes }
    }

    fn fill(self, env: &DbEnv) -> Result<()> {
        let options = KeyspaceOptions::of(self.case.from);
        let rows = env.transact(|txn| env.create_keyspace(txn, NAME, options))?;
        let put =
            |number: u64, bytes| env.transact(|txn| txn.put(&rows, &number.to_be_bytes(), &vec![7; bytes]));
        (0..self.rows).try_for_each(|number| put(number, 100))?;
        env.lsm(&rows).map_or(Ok(()), |tree| tree.flush())?;
        (0..self.large).try_for_each(|number| put(1 << 32 | number, self.large_bytes))
    }

    fn drop_it(self, env: &DbEnv) -> Result<()> {
        match env.transact(|txn| env.drop_keyspace(txn, NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
        // The next commit frees what nobody can see any more.
        let beside = env.keyspace(DEFAULT_NAME)?;
        env.transact(|txn| txn.put(&beside, b"freed", b""))
    }

    /// Opens and takes away what is there.
    fn tidy(self, sim: &Sim) -> Result<()> {
        let env = self.case.open(sim)?;
        self.drop_it(&env)?;
        judge(&env)
    }

    /// Opens, takes away what is there, and makes and drops the keyspace. An error is the power's.
    fn live(self, sim: &Sim) -> Result<()> {
        let env = self.case.open(sim)?;
        self.drop_it(&env)?;
        self.fill(&env)?;
        self.drop_it(&env)?;
        judge(&env)
    }

    fn lived(self, sim: &Sim, cut: u64) -> Sim {
        let sim = sim.fork();
        sim.cut_power_at(cut);
        let lived = self.live(&sim);
        assert!(lived.is_ok() || sim.is_off(), "without a power cut: {:?}", lived.err());
        sim
    }
}

/// Nothing is left of keyspaces that were dropped.
pub(super) fn judge(env: &DbEnv) -> Result<()> {
    let inner = &env.0;
    assert_eq!(inner.catalog.dropped(&inner.txns.view())?, []);
    let pages = PagesInUse::of(env)?;
    assert_eq!((pages.nodes, pages.values), (pages.nodes_known, pages.values_known));
    assert_eq!(RunHome::of(&inner.store).leftovers(&BTreeSet::new())?, []);
    assert_eq!(env.verify()?.problems, Vec::<String>::new());
    Ok(())
}

/// Cuts a first life at each operation, the one after it at a random one, and judges a third.
fn cut_everywhere(plan: Plan) {
    let sim = Sim::new(1);
    drop(plan.case.open(&sim).unwrap());
    let mut dice = Dice(plan.case.streams as u64 + 100);
    for cut in 0.. {
        let dead = plan.lived(&sim, cut);
        let policies = CrashPolicy::all(cut);
        let policy = policies[dice.below(policies.len() as u64) as usize];
        let image = if cut % 2 == 0 { dead.crash_image(policy) } else { dead.kill_image() };
        let again = plan.lived(&image, dice.below(60));
        plan.live(&again.crash_image(CrashPolicy::Mixed { seed: dice.next() })).unwrap();
        if !dead.is_off() {
            assert!(cut > 50, "{cut} operations");
            break;
        }
    }
}

/// The log of a drop ends anywhere.
fn tear_everywhere(plan: Plan) {
    let sim = Sim::new(1);
    let env = plan.case.open(&sim).unwrap();
    plan.fill(&env).unwrap();
    // What is in an LSM tree's memory stays there: nobody closes it.
    let killed = (plan.case.from == IndexKind::LSM).then(|| sim.kill_image());
    drop(env);
    let sim = killed.unwrap_or(sim);
    for cut in 0.. {
        let dead = sim.fork();
        dead.cut_power_at(cut);
        let tidied = plan.tidy(&dead);
        for seed in (0..3).map(|seed| cut * 8 + seed) {
            let policies = [
                CrashPolicy::Torn { seed },
                CrashPolicy::LastTorn { seed },
                CrashPolicy::PrefixOnly { seed },
            ];
            policies.into_iter().for_each(|policy| plan.tidy(&dead.crash_image(policy)).unwrap());
        }
        if !dead.is_off() {
            tidied.unwrap();
            assert!(cut > 10, "{cut} operations");
            break;
        }
    }
}

fn cut_with_streams(kind: IndexKind) {
    for streams in [1, 2, 4] {
        let plan = Plan::of(kind, streams);
        // A flush, as when a home is closed, frees the extents of what it has written to files; a crash before that loses their space.
        cut_everywhere(Plan { large: if kind == IndexKind::LSM { 0 } else { plan.large }, ..plan });
        // Large values in one page each: an extent in every row.
        tear_everywhere(Plan { large: plan.large * 4, ..plan });
    }
}

#[test]
fn a_dropped_tree_leaves_nothing() {
    cut_with_streams(IndexKind::BTREE);
}

#[test]
fn a_dropped_lsm_tree_leaves_nothing() {
    cut_with_streams(IndexKind::LSM);
}

#[test]
fn a_dropped_skiplist_leaves_nothing() {
    cut_with_streams(IndexKind::SKIPLIST);
}

#[test]
fn a_dropped_radix_tree_leaves_nothing() {
    cut_with_streams(IndexKind::RAX);
}

/// Rows in many slices of an image, or in many leaves.
fn put_many(env: &DbEnv) -> Result<()> {
    let rows = env.keyspace(NAME)?;
    for part in 0..300u64 {
        env.transact(|txn| {
            (0..16).try_for_each(|row| txn.put(&rows, &(part << 8 | row).to_be_bytes(), &[9; 900]))
        })?;
        if part % 20 == 0 {
            env.checkpoint()?;
        }
    }
    Ok(())
}

/// Rows of a manifest that say nothing, so that it has more than one leaf.
fn put_in_manifest(env: &DbEnv, entry: &Entry) -> Result<()> {
    let tree = BTree::open(env.0.txns.clone(), PageNo::new(entry.root), tree_id(entry.id));
    let mut txn = env.0.txns.begin();
    let key = |file: u32| [&b"i"[..], &file.to_be_bytes()].concat();
    (1..600).try_for_each(|file| tree.put(&mut txn, &key(file << 8), &[]))?;
    txn.commit()
}

#[test]
fn a_drop_goes_on_where_everything_but_the_root_was_free() {
    for kind in [IndexKind::BTREE, IndexKind::LSM, IndexKind::SKIPLIST, IndexKind::RAX] {
        for streams in [1, 2, 4] {
            let plan = Plan::of(kind, streams);
            let sim = Sim::new(1);
            let env = plan.case.open(&sim).unwrap();
            plan.fill(&env).unwrap();
            put_many(&env).unwrap();
            let entry = env.0.catalog.find(&env.0.txns.view(), NAME).unwrap();
            if kind == IndexKind::LSM {
                put_in_manifest(&env, &entry).unwrap();
            }
            let leaves = env.stat().unwrap().keyspaces.last().unwrap().leaf_pages;
            assert!(leaves > 1 || kind == IndexKind::LSM, "{kind}: {leaves}");
            // What a snapshot sees is not freed with the commit that drops it.
            let held = env.snapshot().unwrap();
            env.transact(|txn| env.drop_keyspace(txn, NAME)).unwrap();
            drop(held);
            let index = entry.open(&env.0.indexes, &env.0.txns, NAME).unwrap();
            index.index().free_below().unwrap();
            env.0.store.log().unwrap().flush_all().unwrap();
            let image = sim.crash_image(CrashPolicy::LoseAll);
            drop((index, env));
            let env = plan.case.open(&image).unwrap();
            assert_eq!(env.0.catalog.dropped(&env.0.txns.view()).unwrap(), [entry]);
            drop(env);
            plan.tidy(&image).unwrap_or_else(|error| panic!("{kind}, {streams} streams: {error}"));
        }
    }
}
