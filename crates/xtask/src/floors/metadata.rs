//! The table and the arrows, as `cargo metadata` tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};
use serde_json::Value;

use super::{Arrow, CHECKERS, Floor, Kind, Plan, Workspace};

/// The plan and the workspace at `root`.
///
/// # Errors
/// In words: cargo does not answer, or the table is not of the expected shape.
pub fn read(root: &Path) -> Result<(Plan, Workspace), String> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root.join("Cargo.toml")).no_deps();
    let metadata = command.exec().map_err(|error| format!("cargo metadata: {error}"))?;
    let plan = plan(&metadata.workspace_metadata)?;
    let workspace = workspace(&metadata).map_err(|error| format!("reading the tests' names: {error}"))?;
    Ok((plan, workspace))
}

/// The plan in the root manifest's `[workspace.metadata]`.
///
/// # Errors
/// In words: a part is missing, of another shape, or unknown.
pub fn plan(metadata: &Value) -> Result<Plan, String> {
    let mut outside = table(metadata, "outside")?
        .iter()
        .map(|(name, users)| Ok((name.clone(), names(name, users)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    let test_tools = outside.remove("test-tools").unwrap_or_default().into_iter().collect();
    let floors = table(metadata, "floors")?
        .iter()
        .map(|(name, entry)| Ok((name.clone(), floor(name, entry)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(Plan { floors, outside, test_tools })
}

fn table<'a>(metadata: &'a Value, name: &str) -> Result<&'a serde_json::Map<String, Value>, String> {
    metadata[name].as_object().ok_or_else(|| format!("[workspace.metadata.{name}] is missing"))
}

fn floor(name: &str, entry: &Value) -> Result<Floor, String> {
    let wrong = |what: &str| format!("floors.{name}: {what}");
    let mut floor = Floor::default();
    for (key, value) in entry.as_object().ok_or_else(|| wrong("not a table"))? {
        let flag = || value.as_bool().ok_or_else(|| wrong(&format!("{key} is not true or false")));
        match key.as_str() {
            "floor" => floor.floor = number(value).ok_or_else(|| wrong("floor is not a small number"))?,
            "layer" => floor.layer = flag()?,
            "dev-only" => floor.dev_only = flag()?,
            "hack" => floor.hack = flag()?,
            "only" => floor.only = names(name, value)?,
            _ => return Err(wrong(&format!("{key} is unknown"))),
        }
    }
    entry.get("floor").ok_or_else(|| wrong("floor is missing"))?;
    Ok(floor)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

fn names(owner: &str, list: &Value) -> Result<Vec<String>, String> {
    let text = |name: &Value| name.as_str().map(String::from);
    let found = list.as_array().and_then(|list| list.iter().map(text).collect());
    found.ok_or_else(|| format!("{owner}: not a list of names"))
}

fn workspace(metadata: &Metadata) -> io::Result<Workspace> {
    let mut found = Workspace::default();
    for package in metadata.workspace_packages() {
        found.members.insert(package.name.to_string());
        found.arrows.extend(package.dependencies.iter().map(|dependency| arrow(package, dependency)));
        found.checked.extend(checked(package)?);
    }
    Ok(found)
}

fn arrow(package: &Package, dependency: &Dependency) -> Arrow {
    let kind = match dependency.kind {
        DependencyKind::Development => Kind::Dev,
        DependencyKind::Build => Kind::Build,
        _ => Kind::Normal,
    };
    Arrow {
        from: package.name.to_string(),
        to: dependency.name.clone(),
        kind,
        conditional: dependency.target.is_some(),
    }
}

fn checked(package: &Package) -> io::Result<BTreeSet<(String, String)>> {
    let directory = package.manifest_path.with_file_name("tests");
    let mut found = BTreeSet::new();
    for checker in CHECKERS {
        if has_tests_for(directory.as_std_path(), checker)? {
            found.insert((package.name.to_string(), checker.to_string()));
        }
    }
    Ok(found)
}

/// Whether `directory` holds files named `prefix_*.rs`. A missing directory holds none.
///
/// # Errors
/// A directory that cannot be read.
pub fn has_tests_for(directory: &Path, prefix: &str) -> io::Result<bool> {
    if !directory.is_dir() {
        return Ok(false);
    }
    let start = format!("{prefix}_");
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&start) && name.ends_with(".rs") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_is_read() {
        let metadata = json!({
            "floors": {"a": {"floor": 3, "layer": true}, "b": {"floor": 4, "only": ["a"], "hack": true}},
            "outside": {"x": ["a"], "test-tools": ["t"]},
        });
        let plan = plan(&metadata).unwrap();
        assert_eq!(plan.floors["a"], Floor { floor: 3, layer: true, ..Floor::default() });
        assert_eq!(plan.floors["b"].only, ["a"]);
        assert!(plan.test_tools.contains("t") && !plan.outside.contains_key("test-tools"));
    }

    #[test]
    fn a_misspelt_table_is_refused() {
        for entry in
            [json!({"floor": 3, "layers": true}), json!({"layer": true}), json!({"floor": "3"}), json!(3)]
        {
            assert!(plan(&json!({"floors": {"a": entry}, "outside": {}})).is_err());
        }
        assert!(plan(&json!({"floors": {}})).is_err());
        assert!(plan(&json!({"floors": {}, "outside": {"x": "a"}})).is_err());
    }
}
