//! A small house that keeps every rule, and one planted violation after another.

use super::*;

fn house() -> (Plan, Workspace) {
    let floor = |floor| Floor { floor, ..Floor::default() };
    let layer = |floor| Floor { floor, layer: true, ..Floor::default() };
    let floors = [
        ("sync", floor(2)),
        ("sim", Floor { dev_only: true, ..floor(4) }),
        ("page", layer(5)),
        ("buffer", layer(6)),
        ("wal", layer(7)),
        ("facade", Floor { only: vec!["wal".into()], ..floor(13) }),
        ("aether-torture", Floor { hack: true, ..floor(15) }),
    ];
    let floors: BTreeMap<_, _> = floors.map(|(name, floor)| (name.to_string(), floor)).into();
    let plan = Plan {
        outside: BTreeMap::from([("memmap2".into(), vec!["buffer".into()])]),
        test_tools: BTreeSet::from(["proptest".into()]),
        floors: floors.clone(),
    };
    let members = floors.into_keys().chain([HACK.to_string()]).collect();
    let mut workspace = Workspace { members, ..Workspace::default() };
    for (from, to) in [
        ("page", "sync"),
        ("buffer", "page"),
        ("buffer", "memmap2"),
        ("wal", "buffer"),
        ("facade", "wal"),
        ("facade", "sync"),
        ("aether-torture", "sim"),
        ("aether-torture", "wal"),
        ("aether-torture", HACK),
    ] {
        workspace.arrows.push(arrow(from, to, Kind::Normal));
    }
    workspace.arrows.push(arrow("wal", "sim", Kind::Dev));
    workspace.arrows.push(arrow("wal", "proptest", Kind::Dev));
    (plan, workspace)
}

fn arrow(from: &str, to: &str, kind: Kind) -> Arrow {
    Arrow { from: from.into(), to: to.into(), kind, conditional: false }
}

/// The one breach after adding an arrow to the sound house.
fn planted(from: &str, to: &str, kind: Kind) -> String {
    let (plan, mut workspace) = house();
    workspace.arrows.push(arrow(from, to, kind));
    let found = breaches(&plan, &workspace);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("{from} -> {to}")), "{found:?}");
    found[0].clone()
}

#[test]
fn the_sound_house_has_no_breach() {
    let (plan, workspace) = house();
    assert_eq!(breaches(&plan, &workspace), Vec::<String>::new());
}

#[test]
fn an_upward_arrow_of_any_kind_is_reported() {
    for kind in [Kind::Normal, Kind::Build, Kind::Dev] {
        assert!(planted("page", "wal", kind).contains("up to floor 7"));
        assert!(planted("sync", "sim", kind).contains("up to floor 4"));
        assert!(planted("page", "page", kind).contains("up to floor 5"));
    }
}

#[test]
fn skipping_a_layer_is_reported_in_dev_dependencies_too() {
    for kind in [Kind::Normal, Kind::Build, Kind::Dev] {
        assert!(planted("wal", "page", kind).contains("directly below"));
    }
}

#[test]
fn a_layer_that_names_no_layer_is_reported() {
    let (plan, mut workspace) = house();
    workspace.arrows.retain(|arrow| arrow.to != "buffer");
    workspace.arrows.push(arrow("wal", "buffer", Kind::Dev));
    assert_eq!(breaches(&plan, &workspace), ["wal must name buffer in its dependencies"]);
}

#[test]
fn unlisted_and_absent_crates_are_reported() {
    let (plan, mut workspace) = house();
    workspace.members.insert("stray".into());
    assert_eq!(breaches(&plan, &workspace), ["stray is not in the table of floors"]);
    workspace.members.remove("stray");
    workspace.members.remove("sim");
    workspace.arrows.retain(|arrow| arrow.to != "sim");
    assert_eq!(breaches(&plan, &workspace), ["sim is in the table of floors and not in the workspace"]);
}

#[test]
fn an_outside_crate_on_the_wrong_floor_is_reported() {
    assert!(planted("wal", "memmap2", Kind::Normal).contains("no place"));
    assert!(planted("wal", "memmap2", Kind::Dev).contains("no place"));
    assert!(planted("wal", "proptest", Kind::Normal).contains("no place"));
    assert!(planted("aether-torture", "memmap2", Kind::Normal).contains("no place"));
}

#[test]
fn test_tools_are_free_on_the_top_floor() {
    let (plan, mut workspace) = house();
    workspace.arrows.push(arrow("aether-torture", "proptest", Kind::Normal));
    assert_eq!(breaches(&plan, &workspace), Vec::<String>::new());
}

#[test]
fn a_schedule_checker_wants_tests_and_a_cfg() {
    assert!(planted("buffer", "loom", Kind::Dev).contains("no place"));
    let (plan, mut workspace) = house();
    workspace.arrows.push(Arrow { conditional: true, ..arrow("buffer", "loom", Kind::Dev) });
    assert_eq!(breaches(&plan, &workspace).len(), 1);
    workspace.checked.insert(("buffer".into(), "loom".into()));
    assert_eq!(breaches(&plan, &workspace), Vec::<String>::new());
}

#[test]
fn the_hack_in_a_low_crate_and_its_absence_from_a_high_one_are_reported() {
    assert!(planted("page", HACK, Kind::Normal).contains("marked `hack`"));
    let (plan, mut workspace) = house();
    workspace.arrows.retain(|arrow| arrow.to != HACK);
    assert_eq!(breaches(&plan, &workspace), ["aether-torture must name workspace-hack in its dependencies"]);
}

#[test]
fn a_crate_for_tests_in_normal_dependencies_is_reported() {
    assert!(planted("wal", "sim", Kind::Normal).contains("dev-dependency"));
    assert!(planted("wal", "sim", Kind::Build).contains("dev-dependency"));
}

#[test]
fn a_crate_that_names_only_one_is_held_to_it() {
    assert!(planted("facade", "buffer", Kind::Normal).contains("only wal"));
    assert!(planted("facade", "sim", Kind::Dev).contains("only wal"));
}
