//! What each policy makes of a tree, beside what theory says: `cargo test -p aether-lsm --test it the_table_of_shapes -- --nocapture`
//! prints it.

use crate::simulator::{Figures, Load, Pace, Simulator, World, simulate};
use aether_lsm::policy::{Adaptive, Hanoi, KeyRange, Leveled, MergePolicy, PolicyKind};

const KINDS: [PolicyKind; 4] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled];
/// Keys are new, nearly all of them: theory counts no overwriting.
const NEW_KEYS: Load = Load { flush_entries: 64, keys: 1 << 30, removals_of_hundred: 0, is_ascending: false };
/// A thousand flushes write each key some ten times.
const OVERWRITES: Load = Load { keys: 6_400, ..NEW_KEYS };

/// Bytes written per byte flushed, by theory: each level once, and the bottom as often as it is rewritten.
fn theory(kind: PolicyKind, flushes: u64) -> f64 {
    let levels = |ratio: f64| (flushes as f64).log(ratio);
    match kind {
        PolicyKind::Hanoi => 1.0 + levels(2.0),
        PolicyKind::Predictable => 1.0 + levels(4.0),
        // Each byte above the bottom makes it rewrite at most two of its own.
        PolicyKind::Fast => 1.0 + (levels(4.0) - 1.0) + 4.0,
        _ => 1.0 + (levels(8.0) - 1.0).max(1.0) * (8.0 + 1.0),
    }
}

fn line(kind: PolicyKind, figures: &Figures) -> String {
    format!(
        "{:<12} {:>7} {:>8.2} {:>8.2} {:>7.2} {:>9.2} {:>9.2} {:>9} {:>7} {:>9.1}",
        kind.to_string(),
        figures.flushes,
        figures.written_per_byte,
        theory(kind, figures.flushes),
        figures.space,
        figures.space_max,
        figures.runs_per_get,
        figures.runs_per_get_max,
        figures.levels,
        figures.debt_max_units
    )
}

#[allow(clippy::print_stdout, reason = "it is what the command is for")]
#[test]
fn the_table_of_shapes_is_within_its_bounds() {
    for (name, load) in [("new keys", NEW_KEYS), ("overwrites", OVERWRITES)] {
        println!(
            "\n{name}\n{:<12} {:>7} {:>8} {:>8} {:>7} {:>9} {:>9} {:>9} {:>7} {:>9}",
            "policy",
            "flushes",
            "written",
            "theory",
            "space",
            "space max",
            "runs/get",
            "at most",
            "levels",
            "debt max"
        );
        for kind in KINDS {
            for flushes in [16, 64, 256, 1024] {
                let pace = if kind == PolicyKind::Hanoi { Pace::Budget } else { Pace::AtOnce };
                let figures = simulate(kind, load, flushes, pace);
                println!("{}", line(kind, &figures));
                check(kind, &figures);
            }
        }
    }
}

/// Bounds that hold at any number of flushes.
fn check(kind: PolicyKind, figures: &Figures) {
    let Figures { flushes, levels, runs_per_get_max, space_max, .. } = *figures;
    let what = format!("{kind}: {figures:?}");
    assert!(figures.written_per_byte <= theory(kind, flushes) + 0.01, "{what}");
    let log = |ratio: f64| (flushes as f64).log(ratio).ceil() as usize + 1;
    let (runs_max, levels_max) = match kind {
        PolicyKind::Hanoi => (3 * log(2.0), log(2.0)),
        PolicyKind::Predictable => (3 * (log(4.0) - 1), log(4.0)),
        PolicyKind::Fast => (3 * (log(4.0) - 2) + 1, log(4.0)),
        _ => (4 + log(8.0), log(8.0) + 1),
    };
    assert!(runs_per_get_max <= runs_max, "at most {runs_max}: {what}");
    assert!(levels <= levels_max, "at most {levels_max}: {what}");
    // Between flushes, what is due at once is done; Hanoi owes what its merges under way still have to read.
    let owed_max = if kind == PolicyKind::Hanoi { 2.0 * flushes as f64 } else { 12.0 };
    assert!(figures.debt_max_units <= owed_max, "at most {owed_max}: {what}");
    let bound = match kind {
        // What lies above the bottom is half of it at most, before the next flush.
        PolicyKind::Fast => 1.6,
        PolicyKind::Leveled => 1.3,
        // As many copies of what is there as a level has runs, and again at the levels above.
        PolicyKind::Predictable => 5.5,
        _ => 8.0,
    };
    assert!(flushes < 64 || space_max <= bound, "{what}");
}

#[test]
fn hanoi_finishes_a_merge_before_the_next_one_of_its_level_is_due() {
    for load in [NEW_KEYS, Load { is_ascending: true, ..NEW_KEYS }] {
        let world = World::new();
        let mut simulator = Simulator::new(&world, load, 3);
        for flush in 0..2048_u64 {
            simulator.flush(&Hanoi, Pace::Budget);
            let shape = simulator.shape();
            for (level, runs) in shape.levels.iter().enumerate() {
                // Two that merge and one that has come meanwhile; a second one may be there only when the merge ends.
                let merging = runs.runs.iter().filter(|run| run.is_merging).count();
                assert!(runs.depth() <= 3, "level {level} at flush {flush}: {}", runs.depth());
                assert!(merging == 0 || merging == 2);
            }
        }
        // Each level owes at most what its merge has to read.
        let figures = simulator.figures();
        assert!(figures.debt_max_units <= 2.0 * 2048.0, "{figures:?}");
        assert_eq!(world.contents(), simulator.oracle);
    }
}

#[test]
fn what_lies_above_the_bottom_of_a_lazy_tree_is_half_of_it_however_large_that_is() {
    for units in [17, 20, 34, 70] {
        let load = Load { keys: units * 64, ..NEW_KEYS };
        let figures = simulate(PolicyKind::Fast, load, 300, Pace::AtOnce);
        assert!(figures.space_max <= 1.6, "{units}: {figures:?}");
    }
}

#[test]
fn leveling_keeps_the_runs_of_a_level_apart_at_every_step() {
    let world = World::new();
    let mut simulator = Simulator::new(&world, NEW_KEYS, 21);
    for _ in 0..200 {
        simulator.flush(&Leveled::default(), Pace::Bytes(16));
        let shape = simulator.shape();
        assert!(shape.levels.iter().skip(1).all(|level| level.depth() <= 1), "{shape:?}");
    }
    assert!(simulator.figures().levels >= 3);
}

#[test]
fn tombstones_go() {
    for kind in KINDS {
        let world = World::new();
        let policy = kind.policy();
        let load = Load { keys: 4_000, ..NEW_KEYS };
        let mut simulator = Simulator::new(&world, load, 11);
        (0..100).for_each(|_| simulator.flush(&*policy, Pace::AtOnce));
        let load = Load { removals_of_hundred: 100, ..load };
        let mut removing = Simulator::new(&world, load, 12);
        removing.oracle = simulator.oracle.clone();
        (0..500).for_each(|_| removing.flush(&*policy, Pace::AtOnce));
        assert_eq!(world.contents(), removing.oracle, "{kind}");
        let shape = removing.shape();
        let tombstones: u64 = shape.runs().map(|run| run.tombstones).sum();
        assert!(removing.oracle.len() < 40 && tombstones <= 4 * 64 * 2, "{kind}: {tombstones} {shape:?}");
    }
}

#[test]
fn keys_in_ascending_order_are_hardly_rewritten_by_leveling() {
    let load = Load { is_ascending: true, keys: 1, ..NEW_KEYS };
    let figures = simulate(PolicyKind::Leveled, load, 512, Pace::AtOnce);
    assert!(figures.written_per_byte <= 1.3, "{figures:?}");
    assert_eq!(figures.runs_per_get_max, 1);
}

#[test]
fn a_tree_of_few_keys_stays_low() {
    for kind in KINDS {
        let load = Load { keys: 80, ..NEW_KEYS };
        let figures = simulate(kind, load, 500, Pace::AtOnce);
        assert!(figures.levels <= 3 && figures.space <= 6.0, "{kind}: {figures:?}");
    }
}

#[test]
fn whatever_one_policy_leaves_another_takes() {
    for from in KINDS {
        for to in KINDS {
            let world = World::new();
            let mut adaptive = Adaptive::default();
            adaptive.choose(from);
            let mut simulator = Simulator::new(&world, OVERWRITES, 5);
            (0..150).for_each(|_| simulator.flush(&adaptive, Pace::AtOnce));
            let before = simulator.shape();
            let switch = adaptive.choose(to);
            assert_eq!(switch.map(|switch| (switch.from, switch.to)), (from != to).then_some((from, to)));
            assert_eq!(simulator.shape(), before, "a switch rewrites nothing");
            (0..150).for_each(|_| simulator.flush(&adaptive, Pace::AtOnce));
            assert_eq!(world.contents(), simulator.oracle, "{from} to {to}");
            assert_eq!(to.policy().owed(&simulator.shape()), 0, "{from} to {to}");
            assert_eq!(adaptive.kind(), PolicyKind::Adaptive);
        }
    }
}

/// Runs that were cut inside of a range that is gone share the key of the cut, which only the second has.
#[test]
fn a_range_ends_before_a_last_key_that_is_excluded() {
    let (cut, next) = (KeyRange::up_to(b"a", b"m"), KeyRange::new(b"m", b"z"));
    assert!(!cut.overlaps(&next) && !next.overlaps(&cut) && cut.overlaps(&KeyRange::new(b"l", b"m")));
    assert!(cut.contains(b"lz") && !cut.contains(b"m") && next.contains(b"m"));
    let all = [cut.hull(&next), next.hull(&cut), cut.hull(&KeyRange::new(b"b", b"m"))];
    assert!(all[0].contains(b"z") && all[1].contains(b"z") && all[2].contains(b"m"));
    assert!(!cut.hull(&KeyRange::up_to(b"b", b"m")).contains(b"m"));
    assert!(KeyRange::up_to(b"m", b"m").contains(b"m"), "no range is empty");
}
