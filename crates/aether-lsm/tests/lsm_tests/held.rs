//! Snapshots and cursors that are held while rows are flushed and runs merged; conflicts about rows that have left memory.

use crate::rng::Rng;
use crate::world::{Model, Shape, World, rows};
use aether_lsm::index::OrderedCursor;
use aether_lsm::index::txn::Txn;
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{LsmConfig, LsmCursor};
use aether_sim::{CrashPolicy, Sim};
use aether_types::ErrorKind;

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];

fn shape(policy: PolicyKind) -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { policy, ..shape.lsm }, ..shape }
}

/// A snapshot, what it must show, and a cursor that rests somewhere in it: the rows that it has given out.
struct Held {
    txn: Txn,
    model: Model,
    cursor: LsmCursor,
    given: usize,
}

impl Held {
    fn take(world: &World, model: &Model) -> Self {
        let cursor = LsmCursor::new(world.tree.clone());
        Self { txn: world.manager.begin(), model: model.clone(), cursor, given: 0 }
    }

    /// Some steps forth and back.
    fn step(&mut self, rng: &mut Rng) {
        let all: Vec<_> = self.model.iter().collect();
        for _ in 0..rng.below(6) {
            let wanted = all.get(self.given).map(|(key, value)| (&key[..], &value[..]));
            assert_eq!(self.cursor.next(self.txn.view()).unwrap(), wanted);
            self.given = (self.given + 1).min(all.len());
        }
        for _ in 0..rng.below(4) {
            let wanted = self.given.checked_sub(1).map(|at| (&all[at].0[..], &all[at].1[..]));
            assert_eq!(self.cursor.prev(self.txn.view()).unwrap(), wanted);
            self.given = self.given.saturating_sub(1);
        }
    }

    fn judge(&self, world: &World) {
        assert_eq!(rows(&world.tree, self.txn.view()), self.model);
        for number in 0..30u8 {
            let got = world.get(self.txn.view(), &[number]);
            assert_eq!(got.as_ref(), self.model.get(&[number][..]), "key {number}");
        }
    }
}

fn change(world: &World, model: &mut Model, rng: &mut Rng) {
    let mut txn = world.manager.begin();
    let mut next = model.clone();
    for _ in 0..1 + rng.below(4) {
        let key = vec![rng.below(30) as u8];
        if rng.below(3) == 0 {
            assert_eq!(world.tree.delete(&mut txn, &key).unwrap(), next.remove(&key).is_some());
        } else {
            let value = vec![rng.next() as u8; [20, 20, 300, 5000][rng.below(4) as usize]];
            world.tree.put(&mut txn, &key, &value).unwrap();
            next.insert(key, value);
        }
    }
    if rng.below(6) == 0 {
        return txn.abort().unwrap();
    }
    txn.commit().unwrap();
    *model = next;
}

fn script(policy: PolicyKind, seed: u64) {
    let (sim, mut rng) = (Sim::new(seed), Rng(seed));
    let world = World::open(&sim, shape(policy)).unwrap();
    let (mut model, mut held) = (Model::new(), Vec::new());
    for _ in 0..120 {
        match rng.below(12) {
            0 | 1 => world.tree.flush().unwrap(),
            2 => world.tree.merge_all().unwrap(),
            3 if held.len() < 5 => held.push(Held::take(&world, &model)),
            4 if !held.is_empty() => {
                let one: Held = held.swap_remove(rng.below(held.len() as u64) as usize);
                one.judge(&world);
            }
            5 => world.manager.collect().unwrap(),
            _ => change(&world, &mut model, &mut rng),
        }
        held.iter_mut().for_each(|one| one.step(&mut rng));
    }
    held.iter().for_each(|one| one.judge(&world));
    drop(held);
    world.tree.flush().unwrap();
    world.tree.merge_all().unwrap();
    assert_eq!(world.rows(), model);
    assert_eq!(world.problems(), Vec::<String>::new());
    assert!(world.tree.stat().merged_bytes > 0);
}

#[test]
fn what_a_snapshot_shows_stays_through_flushes_and_merges() {
    for (index, policy) in POLICIES.into_iter().enumerate() {
        (0..8).for_each(|seed| script(policy, seed * 5 + index as u64));
    }
}

/// Of a key: nothing, a value, a removal, a value that is rolled back, in every order, with flushes and merges in every place
/// between; each state is held, and read again at the end.
#[test]
fn changes_flushes_and_merges_in_every_order() {
    const STEPS: u32 = 4;
    let keys: Vec<[u8; 2]> = (0..4u16.pow(STEPS)).map(u16::to_be_bytes).collect();
    for pattern in 0..3u32.pow(STEPS) {
        let sim = Sim::new(1);
        let world = World::open(&sim, Shape::of_streams(1)).unwrap();
        let (mut model, mut held) = (Model::new(), Vec::new());
        for step in 0..STEPS {
            let (mut txn, mut undone) = (world.manager.begin(), world.manager.begin());
            for key in &keys {
                match u16::from_be_bytes(*key) >> (2 * step) & 3 {
                    0 => {}
                    1 => {
                        world.tree.put(&mut txn, key, &[step as u8; 9]).unwrap();
                        model.insert(key.to_vec(), vec![step as u8; 9]);
                    }
                    2 => assert_eq!(
                        world.tree.delete(&mut txn, key).unwrap(),
                        model.remove(&key[..]).is_some()
                    ),
                    _ => world.tree.put(&mut undone, key, b"never").unwrap(),
                }
            }
            txn.commit().unwrap();
            // It lies over what is flushed.
            let what = pattern / 3u32.pow(step) % 3;
            (0..what.min(1)).for_each(|_| world.tree.flush().unwrap());
            undone.abort().unwrap();
            if what == 2 {
                world.tree.flush().unwrap();
                world.tree.merge_all().unwrap();
            }
            if pattern % 2 == 0 {
                held.push((world.manager.begin(), model.clone()));
            }
            assert_eq!(world.rows(), model, "pattern {pattern}, step {step}");
        }
        for (txn, model) in &held {
            assert_eq!(rows(&world.tree, txn.view()), *model, "pattern {pattern}");
        }
    }
}

/// First updater wins, also if what it wrote is no longer in memory.
#[test]
fn a_row_that_was_changed_and_flushed_is_a_conflict() {
    let sim = Sim::new(3);
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    for key in [b"a", b"b", b"c", b"d"] {
        world.put(key, b"first");
    }
    world.sync();
    world.tree.flush().unwrap();
    let mut late = world.manager.begin();
    world.put(b"a", b"second");
    assert!(world.delete(b"b"));
    world.put(b"e", b"new");
    world.sync();
    world.tree.flush().unwrap();
    for is_merged in [false, true] {
        if is_merged {
            world.tree.merge_all().unwrap();
        }
        for key in [b"a", b"b", b"e"] {
            let put = world.tree.put(&mut late, key, b"late").unwrap_err();
            assert_eq!(put.kind(), ErrorKind::Conflict, "{put}");
            let deleted = world.tree.delete(&mut late, key).unwrap_err();
            assert_eq!(deleted.kind(), ErrorKind::Conflict, "{deleted}");
        }
    }
    world.tree.put(&mut late, b"c", b"late").unwrap();
    assert!(world.tree.delete(&mut late, b"d").unwrap());
    assert_eq!(world.get(late.view(), b"a"), Some(b"first".to_vec()));
    assert_eq!(world.get(late.view(), b"b"), Some(b"first".to_vec()));
    assert_eq!(world.get(late.view(), b"e"), None);
    late.commit().unwrap();
    let wanted = [(&b"a"[..], &b"second"[..]), (b"c", b"late"), (b"e", b"new")];
    let wanted: Model = wanted.map(|(key, value)| (key.to_vec(), value.to_vec())).into();
    assert_eq!(world.rows(), wanted);
}

#[test]
fn a_row_that_lies_in_a_run_alone_is_deleted_once() {
    let sim = Sim::new(4);
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    world.put(b"row", &[1; 400]);
    world.sync();
    world.tree.flush().unwrap();
    assert_eq!(world.tree.stat().memory_rows, 0);
    assert!(!world.delete(b"another"));
    assert!(world.delete(b"row"));
    assert!(!world.delete(b"row"));
    world.sync();
    world.tree.flush().unwrap();
    assert!(!world.delete(b"row"));
    world.tree.merge_all().unwrap();
    assert!(!world.delete(b"row"));
    assert_eq!(world.rows(), Model::new());
    let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), Shape::of_streams(1)).unwrap();
    assert_eq!(again.rows(), Model::new());
}
