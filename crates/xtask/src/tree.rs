//! The top level of the repository holds exactly what is listed here.

use std::collections::BTreeSet;

/// What must lie at the top level.
pub const REQUIRED: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".editorconfig",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "crates",
    "deny.toml",
    "docs",
    "tla",
    "workspace-hack",
];

/// What may lie there too: git's own directory, and what builds and model runs leave.
pub const ALLOWED: &[&str] = &[".git", "states", "target"];

/// Every name at the top level that is missing or should not be there.
pub fn breaches(names: &BTreeSet<String>) -> Vec<String> {
    let missing = REQUIRED.iter().filter(|name| !names.contains(**name));
    let strange = names.iter().filter(|name| !is_known(name));
    missing
        .map(|name| format!("{name} is missing at the top level"))
        .chain(strange.map(|name| format!("{name} does not belong at the top level")))
        .collect()
}

fn is_known(name: &str) -> bool {
    REQUIRED.contains(&name) || ALLOWED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> BTreeSet<String> {
        REQUIRED.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_listed_names_pass_with_and_without_the_optional_ones() {
        assert_eq!(breaches(&complete()), Vec::<String>::new());
        let mut names = complete();
        names.extend(ALLOWED.iter().map(ToString::to_string));
        assert_eq!(breaches(&names), Vec::<String>::new());
    }

    #[test]
    fn a_missing_readme_and_a_missing_deny_list_are_reported() {
        for name in ["README.md", "deny.toml"] {
            let mut names = complete();
            names.remove(name);
            assert_eq!(breaches(&names), [format!("{name} is missing at the top level")]);
        }
    }

    #[test]
    fn a_stray_name_is_reported() {
        let mut names = complete();
        names.insert("scratch.txt".into());
        assert_eq!(breaches(&names), ["scratch.txt does not belong at the top level"]);
    }
}
