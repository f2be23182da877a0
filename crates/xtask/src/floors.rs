//! The floors of the house: which crate may name which.
//!
//! The table stands in the root manifest (`[workspace.metadata.floors]` and `.outside`); [`metadata`] reads it and
//! the arrows from cargo. [`breaches`] is a function of the two alone.
//!
//! 1. Every member but the hack is in the table, and every entry of the table is a member.
//! 2. Every arrow between crates of ours, be it normal, build or dev, goes to a strictly lower floor.
//! 3. A layer names exactly one other layer, the one directly below; the lowest names none.
//! 4. A crate with `only` names of ours just those and the ground.
//! 5. A `dev-only` crate is a dev-dependency, but of the crates that are nothing but tests.
//! 6. The hack is carried by the crates marked `hack` and by no other.
//! 7. An outside crate is named where `.outside` lists it. Test tools are free as dev-dependencies and on the top
//!    floor, which holds tests and measurements; schedule checkers are free to a crate with tests for them.

pub mod metadata;

use std::collections::{BTreeMap, BTreeSet};

/// The package that unifies features, outside all floors.
pub const HACK: &str = "workspace-hack";

/// The highest floor of the ground, on which everyone may stand.
pub const GROUND: u32 = 3;

/// The crates that may carry a `dev-only` crate in their normal dependencies: they are nothing but tests.
const SIMULATIONS: &[&str] = &["aether-torture", "aether-trace-runs"];

/// The crates that stand in for threads and atomics in `tests/loom_*.rs` and `tests/shuttle_*.rs`.
const CHECKERS: &[&str] = &["loom", "shuttle"];

/// One entry of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// Height: arrows go to strictly lower ones.
    pub floor: u32,
    /// One of the layers, of which each names only the next.
    pub layer: bool,
    /// A crate for tests.
    pub dev_only: bool,
    /// Carries the hack.
    pub hack: bool,
    /// If any: the crates of ours above the ground that it may name.
    pub only: Vec<String>,
}

/// The table: what is allowed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Crates of ours by name.
    pub floors: BTreeMap<String, Floor>,
    /// Outside crates, and the crates of ours that may name them.
    pub outside: BTreeMap<String, Vec<String>>,
    /// Outside crates that are free in tests.
    pub test_tools: BTreeSet<String>,
}

/// What kind of dependency an arrow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In every build.
    Normal,
    /// For a build script.
    Build,
    /// For tests, benches and examples.
    Dev,
}

/// One line of a manifest: `from` names `to`.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// The crate whose manifest it is.
    pub from: String,
    /// The crate it names.
    pub to: String,
    /// Where the manifest names it.
    pub kind: Kind,
    /// Whether the line holds only under a `cfg`.
    pub conditional: bool,
}

/// The workspace as it is.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Names of all members.
    pub members: BTreeSet<String>,
    /// Every line of every member's manifest.
    pub arrows: Vec<Arrow>,
    /// (crate, checker) pairs for which the crate has test files.
    pub checked: BTreeSet<(String, String)>,
}

/// Every breach of the table, in words.
pub fn breaches(plan: &Plan, workspace: &Workspace) -> Vec<String> {
    let mut found = membership(plan, workspace);
    found.extend(workspace.arrows.iter().filter_map(|arrow| judge(plan, workspace, arrow)));
    found.extend(plan.floors.keys().flat_map(|name| missing(plan, workspace, name)));
    found
}

/// The crates above the ground: those that reach threads and files through the ground alone.
pub fn above_sync(plan: &Plan) -> BTreeSet<String> {
    let above = plan.floors.iter().filter(|(_, floor)| floor.floor >= GROUND);
    above.map(|(name, _)| name.clone()).collect()
}

fn membership(plan: &Plan, workspace: &Workspace) -> Vec<String> {
    let members = || workspace.members.iter().filter(|name| *name != HACK);
    let unlisted = members().filter(|name| !plan.floors.contains_key(*name));
    let absent = plan.floors.keys().filter(|name| !workspace.members.contains(*name));
    unlisted
        .map(|name| format!("{name} is not in the table of floors"))
        .chain(absent.map(|name| format!("{name} is in the table of floors and not in the workspace")))
        .collect()
}

fn judge(plan: &Plan, workspace: &Workspace, arrow: &Arrow) -> Option<String> {
    let from = plan.floors.get(&arrow.from)?;
    let complaint = match plan.floors.get(&arrow.to) {
        Some(to) => inner(plan, arrow, from, to),
        None if arrow.to == HACK => (!from.hack).then(|| "the hack is for crates marked `hack`".into()),
        None if workspace.members.contains(&arrow.to) => None,
        None => outer(plan, workspace, arrow, from),
    };
    complaint.map(|why| format!("{} -> {} ({:?}): {why}", arrow.from, arrow.to, arrow.kind))
}

fn inner(plan: &Plan, arrow: &Arrow, from: &Floor, to: &Floor) -> Option<String> {
    if to.floor >= from.floor {
        return Some(format!("from floor {} up to floor {}", from.floor, to.floor));
    }
    if to.dev_only && arrow.kind != Kind::Dev && !SIMULATIONS.contains(&arrow.from.as_str()) {
        return Some("a crate for tests is a dev-dependency".into());
    }
    if from.layer && to.layer && layer_below(plan, from) != Some(&arrow.to) {
        return Some("a layer names only the layer directly below".into());
    }
    let free = from.only.is_empty() || to.floor <= GROUND || from.only.contains(&arrow.to);
    (!free).then(|| format!("of ours it names only {} and the ground", from.only.join(", ")))
}

fn outer(plan: &Plan, workspace: &Workspace, arrow: &Arrow, from: &Floor) -> Option<String> {
    let listed = plan.outside.get(&arrow.to).is_some_and(|users| users.contains(&arrow.from));
    let in_tests = arrow.kind == Kind::Dev || Some(from.floor) == top(plan);
    let tool = in_tests && plan.test_tools.contains(&arrow.to);
    let allowed = listed || tool || is_checker(workspace, arrow);
    (!allowed).then(|| "this outside crate has no place on this floor".into())
}

fn is_checker(workspace: &Workspace, arrow: &Arrow) -> bool {
    let has_tests = workspace.checked.contains(&(arrow.from.clone(), arrow.to.clone()));
    CHECKERS.contains(&arrow.to.as_str()) && arrow.kind == Kind::Dev && arrow.conditional && has_tests
}

/// Arrows that must be there: to the layer below, and to the hack.
fn missing(plan: &Plan, workspace: &Workspace, name: &str) -> Vec<String> {
    let floor = &plan.floors[name];
    let below = if floor.layer { layer_below(plan, floor) } else { None };
    let hack = floor.hack.then_some(HACK);
    let wanted = below.map(String::as_str).into_iter().chain(hack);
    let present = workspace.members.contains(name);
    wanted
        .filter(|to| present && !has_normal(workspace, name, to))
        .map(|to| format!("{name} must name {to} in its dependencies"))
        .collect()
}

fn has_normal(workspace: &Workspace, from: &str, to: &str) -> bool {
    workspace.arrows.iter().any(|arrow| arrow.from == from && arrow.to == to && arrow.kind == Kind::Normal)
}

fn layer_below<'a>(plan: &'a Plan, from: &Floor) -> Option<&'a String> {
    let lower = plan.floors.iter().filter(|(_, floor)| floor.layer && floor.floor < from.floor);
    lower.max_by_key(|(_, floor)| floor.floor).map(|(name, _)| name)
}

fn top(plan: &Plan) -> Option<u32> {
    plan.floors.values().map(|floor| floor.floor).max()
}

#[cfg(test)]
mod tests;
