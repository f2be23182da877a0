//! Names pair both ways: actions of a spec, arms of its trace module, events of the code, planted bugs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::repository;
use crate::tla::model::Protocol;

/// What an arm of a trace module starts with.
const ARM: &str = "Action(e) = \"";
/// What the code writes before the name of an event; the last one is of a translation.
const EVENTS: &[&str] = &["act", "act_if", "named"];
/// Where bugs stand that tests catch, and no trace.
const TESTED: &str = "docs/testing.md";
/// What the code writes before the name of a bug.
const BUG: &[&str] = &["planted"];

/// Every name without a partner, in words.
///
/// # Errors
/// A source that cannot be read.
pub(crate) fn unpaired(root: &Path, protocols: &[Protocol]) -> Result<Vec<String>, String> {
    let sources = sources(root)?;
    let events: BTreeSet<_> = sources.iter().flat_map(|text| after(text, EVENTS)).collect();
    let bugs: BTreeSet<_> = sources.iter().flat_map(|text| after(text, BUG)).collect();
    let mut found = Vec::new();
    let mut bound = BTreeSet::new();
    let mut known = BTreeSet::new();
    for protocol in protocols.iter().filter(|protocol| protocol.trace.is_some()) {
        let (arms, actions) = (arms(protocol), actions(protocol));
        let wrong = |what: &str, name: &String| format!("{}: {what} {name}", protocol.name);
        found.extend(actions.difference(&arms).map(|name| wrong("no arm binds the action", name)));
        found.extend(arms.difference(&actions).map(|name| wrong("there is no action", name)));
        found.extend(arms.difference(&events).map(|name| wrong("no event is called", name)));
        known.extend(protocol.planted.iter().map(|(name, _)| name.clone()));
        bound.extend(arms);
    }
    found.extend(events.difference(&bound).map(|name| format!("no spec binds the event {name}")));
    let tested = tested(root)?;
    let nowhere = bugs.difference(&known).filter(|name| !tested.contains(*name));
    found.extend(nowhere.map(|name| format!("neither a planted.txt nor {TESTED} has the bug {name}")));
    found.extend(known.difference(&bugs).map(|name| format!("the code has no bug {name}")));
    Ok(found)
}

/// The bugs of which a page says which tests catch them: rows that begin with the name.
fn tested(root: &Path) -> Result<BTreeSet<String>, String> {
    let text = fs::read_to_string(root.join(TESTED)).map_err(|error| format!("{TESTED}: {error}"))?;
    let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    Ok(names.map(|(name, _)| name.to_string()).collect())
}

/// The names that a protocol's trace module binds.
pub(crate) fn arms(protocol: &Protocol) -> BTreeSet<String> {
    let module = protocol.trace.as_ref().and_then(|model| protocol.modules.get(&model.module));
    let arms = module.into_iter().flat_map(|text| text.split(ARM).skip(1));
    arms.filter_map(|rest| rest.split('"').next()).map(str::to_string).collect()
}

/// The actions that a spec's `Next` names.
fn actions(protocol: &Protocol) -> BTreeSet<String> {
    let root = protocol.models.first().and_then(|model| protocol.modules.get(&model.module));
    let definitions = root.map(|text| definitions(text)).unwrap_or_default();
    let next = definitions.iter().find(|(name, _)| name == "Next").map(|(_, body)| body.as_str());
    let named = words(next.unwrap_or_default());
    let acting = acting(&definitions);
    definitions
        .iter()
        .map(|(name, _)| name)
        .filter(|name| *name != "Next" && named.contains(*name))
        .filter(|name| acting.contains(*name))
        .cloned()
        .collect()
}

/// The definitions that say what changes, or name one that does.
fn acting(definitions: &[(String, String)]) -> BTreeSet<String> {
    let mut acting = BTreeSet::new();
    loop {
        let acts = |body: &str| {
            body.contains('\'') || body.contains("UNCHANGED") || !words(body).is_disjoint(&acting)
        };
        let found: BTreeSet<_> =
            definitions.iter().filter(|(_, body)| acts(body)).map(|(name, _)| name.clone()).collect();
        if found == acting {
            return acting;
        }
        acting = found;
    }
}

/// Names and bodies; a body ends where the next line begins at the margin.
fn definitions(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let line = line.split("\\*").next().unwrap_or_default();
        let name: String =
            line.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        if let (false, Some((_, body))) = (name.is_empty(), line.split_once("==")) {
            found.push((name, body.to_string()));
        } else if let (true, Some((_, body))) = (line.starts_with(' '), found.last_mut()) {
            body.push('\n');
            body.push_str(line);
        }
    }
    found
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.map(str::to_string).collect()
}

/// The literals that stand in a call of one of `functions`.
fn after(text: &str, functions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for function in functions {
        let call = format!("{function}(");
        for (at, _) in text.match_indices(&call) {
            let longer =
                text[..at].chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == '_');
            let rest = text[at + call.len()..].trim_start();
            if let (false, Some(literal)) = (longer, rest.strip_prefix('"')) {
                found.extend(literal.split('"').next().map(str::to_string));
            }
        }
    }
    found
}

/// The sources of the crates, but for the one that has the functions, and this one.
fn sources(root: &Path) -> Result<Vec<String>, String> {
    let files = repository::files(root).map_err(|error| error.to_string())?;
    let ours = files.iter().filter(|path| {
        let path = path.to_string_lossy().replace('\\', "/");
        let inside = path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
        inside && !path.starts_with("crates/aether-trace/") && !path.starts_with("crates/xtask/")
    });
    let read = |path: &std::path::PathBuf| {
        fs::read_to_string(root.join(path)).map_err(|error| format!("{}: {error}", path.display()))
    };
    ours.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tla::{HOME, model};

    #[test]
    fn names_of_the_repository_pair_both_ways() {
        let root = repository::root();
        let protocols = model::read(&root.join(HOME)).unwrap();
        assert_eq!(unpaired(&root, &protocols).unwrap(), Vec::<String>::new());
        let traced: Vec<_> = protocols.iter().filter(|protocol| protocol.trace.is_some()).collect();
        assert!(traced.iter().any(|protocol| actions(protocol).len() >= 13), "actions are found");
        for protocol in traced {
            assert!(protocol.planted.len() >= 4, "{} has too few bugs to plant", protocol.name);
        }
    }

    #[test]
    fn definitions_end_at_the_margin() {
        let found = definitions("A(x) ==\n  /\\ y' = x \\* B == 1\nB == 2\n(* c *)\nNext == A(1) \\/ B\n");
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "B", "Next"]);
        let acting = acting(&found);
        assert!(acting.contains("A") && !acting.contains("B") && acting.contains("Next"));
    }

    #[test]
    fn literals_of_calls_are_found_across_lines() {
        let text = "act(\n    \"Fill\", x); exact(\"No\"); act(name); x::act(\"Ack\")";
        assert_eq!(after(text, &["act"]), ["Fill", "Ack"]);
    }
}
