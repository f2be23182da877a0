//! Values that were replaced take no more room in value files than those that are there, once all is merged.

use crate::world::{Model, SEPARATE_BYTES, Shape, World};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::LsmConfig;
use aether_sim::Sim;

const ROWS: u32 = 60;
const ROUNDS: u32 = 8;

fn shape(policy: PolicyKind) -> Shape {
    let shape = Shape::of_streams(1);
    // A flush for each round, by call.
    Shape { lsm: LsmConfig { policy, memtable_bytes: 1 << 20, ..shape.lsm }, ..shape }
}

/// Each round leaves some rows alone from then on: they stand in a file with those that are replaced.
fn write_round(world: &World, model: &mut Model, round: u32) {
    for number in (0..ROWS).filter(|number| number % ROUNDS >= round) {
        let value = [&round.to_be_bytes()[..], &vec![number as u8; 5 * SEPARATE_BYTES]].concat();
        world.put(&number.to_be_bytes(), &value);
        model.insert(number.to_be_bytes().to_vec(), value);
    }
    world.sync();
    world.tree.flush().unwrap();
}

fn value_bytes(model: &Model) -> u64 {
    model.values().map(|value| value.len() as u64).sum()
}

#[test]
fn at_most_half_of_the_value_files_is_garbage() {
    for policy in [PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Hanoi] {
        let sim = Sim::new(1);
        let world = World::open(&sim, shape(policy)).unwrap();
        let mut model = Model::new();
        (0..ROUNDS).for_each(|round| write_round(&world, &mut model, round));
        let stat = world.tree.stat();
        assert!(stat.value_bytes > 4 * value_bytes(&model), "{policy}: nothing is replaced: {stat:?}");
        world.tree.merge_all().unwrap();
        let stat = world.tree.stat();
        assert!(stat.live_value_bytes > 0, "{policy}: {stat:?}");
        assert!(stat.value_bytes <= 2 * stat.live_value_bytes, "{policy}: {stat:?}");
        assert_eq!(world.rows(), model, "{policy}");
        assert_eq!(world.problems(), Vec::<String>::new());
        let (there, named) = world.run_files().unwrap();
        assert_eq!(there, named, "{policy}");
    }
}
