//! Power cuts at every operation of a conversion with writes in between, again while the restart recovers, and a look at what is there
//! then: the old index or the new one, whole, and nothing left over of the other.

use super::world::{Case, Dice, History, World};
use crate::catalog::DEFAULT_NAME;
use crate::{IndexKind, Result};
use aether_sim::{CrashPolicy, Sim};

/// Opens, judges, converts twice; an error is the power's.
pub(super) fn live(sim: &Sim, case: Case, history: &mut History, seed: u64) -> Result<()> {
    let mut world = World::of(case.open(sim)?, case)?;
    world.judge(history)?;
    let mut dice = Dice(seed);
    for _ in 0..2 {
        world.commit(history, &mut dice)?;
        world.convert(history, &mut dice)?;
    }
    world.env.transact(|txn| txn.put(world.beside.keyspace(), b"freed", b""))?;
    world.judge_leftovers()
}

fn lived(sim: &Sim, case: Case, history: &mut History, seed: u64, cut: u64) -> Sim {
    let sim = sim.fork();
    sim.cut_power_at(cut);
    let lived = live(&sim, case, history, seed);
    assert!(lived.is_ok() || sim.is_off(), "without a power cut: {:?}", lived.err());
    sim
}

/// Cuts the first life at each operation, the second at a random one, and judges a third.
fn cut_everywhere(case: Case) {
    let (sim, history) = case.machine();
    let mut dice = Dice(case.streams as u64 + 100);
    for cut in 0.. {
        let mut first = history.clone();
        let dead = lived(&sim, case, &mut first, 11, cut);
        let policies = CrashPolicy::all(cut);
        let policy = policies[dice.below(policies.len() as u64) as usize];
        let images = [dead.crash_image(policy), dead.kill_image()];
        // Every other cut with both.
        for image in images.into_iter().skip((cut % 2) as usize) {
            let mut second = first.clone();
            let end = dice.below(120);
            let dead = lived(&image, case, &mut second, dice.next() | 1, end);
            let image = dead.crash_image(CrashPolicy::Mixed { seed: dice.next() });
            let mut third = second.clone();
            live(&image, case, &mut third, dice.next() | 1).unwrap();
        }
        if !dead.is_off() {
            assert!(
                cut > 50 && first.converted == [2, 2],
                "{cut} operations, {:?} converted",
                first.converted
            );
            break;
        }
    }
}

fn cut_with_streams(name: &'static str, from: IndexKind, to: IndexKind) {
    [1, 2, 4].into_iter().for_each(|streams| {
        cut_everywhere(Case { name, streams, from, to, large_bytes: 5000, segment_bytes: 128 << 10 })
    });
}

#[test]
fn a_tree_becomes_an_lsm_tree_or_stays_one() {
    cut_with_streams("rows", IndexKind::BTREE, IndexKind::LSM);
}

#[test]
fn an_lsm_tree_becomes_a_skiplist_or_stays_one() {
    cut_with_streams("rows", IndexKind::LSM, IndexKind::SKIPLIST);
}

#[test]
fn a_skiplist_becomes_a_radix_tree_or_stays_one() {
    cut_with_streams("rows", IndexKind::SKIPLIST, IndexKind::RAX);
}

#[test]
fn the_default_keyspace_becomes_a_radix_tree_or_stays_one() {
    cut_with_streams(DEFAULT_NAME, IndexKind::BTREE, IndexKind::RAX);
}
