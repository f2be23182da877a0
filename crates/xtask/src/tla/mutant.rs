//! Mutants: small edits of a spec, each of which must make a named property fail.
//!
//! ```text
//! mutant NAME
//! drops what rule the spec goes without
//! on MODEL [CONSTANT = VALUE, ..]
//! breaks PROPERTY, or Deadlock
//! - lines that stand in one module exactly once
//! + lines that stand there instead
//! ```
//!
//! Further `-` and `+` lines are further edits; all are found in the text as it is. `#` starts a comment line.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Model, Protocol};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) drops: String,
    on: String,
    constants: Vec<(String, String)>,
    pub(crate) breaks: String,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Edit {
    old: Vec<String>,
    new: Vec<String>,
}

/// Reads a file of mutants.
///
/// # Errors
/// The line that is wrong, and how.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("mutant ") {
            mutants.push(Mutant { name: name.into(), ..Mutant::default() });
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(|| format!("line {number}: before the first mutant"))?;
        take(mutant, line).map_err(|error| format!("line {number}: {error}"))?;
    }
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        whole(mutant)?;
        if !names.insert(&mutant.name) {
            return Err(format!("there are two mutants {}", mutant.name));
        }
    }
    Ok(mutants)
}

fn take(mutant: &mut Mutant, line: &str) -> Result<(), String> {
    if let Some(rule) = line.strip_prefix("drops ") {
        mutant.drops = rule.into();
    } else if let Some(property) = line.strip_prefix("breaks ") {
        mutant.breaks = property.into();
    } else if let Some(on) = line.strip_prefix("on ") {
        let (model, constants) = on.split_once(' ').unwrap_or((on, ""));
        mutant.on = model.into();
        mutant.constants = pairs(constants)?;
    } else if let Some(old) = edit_line(line, '-') {
        if mutant.edits.last().is_none_or(|edit| !edit.new.is_empty()) {
            mutant.edits.push(Edit::default());
        }
        mutant.edits.last_mut().expect("one was just made").old.push(old);
    } else if let Some(new) = edit_line(line, '+') {
        let edit = mutant.edits.last_mut().ok_or("a + line without a - line before")?;
        edit.new.push(new);
    } else {
        return Err(format!("expected mutant, drops, on, breaks, - or +, found {line:?}"));
    }
    Ok(())
}

fn edit_line(line: &str, sign: char) -> Option<String> {
    let rest = line.strip_prefix(sign)?;
    Some(rest.strip_prefix(' ').unwrap_or(rest).to_string())
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once(" = ").ok_or_else(|| format!("{part:?} is not NAME = VALUE"))?;
        Ok((name.to_string(), value.to_string()))
    };
    parts.map(pair).collect()
}

fn whole(mutant: &Mutant) -> Result<(), String> {
    let missing = [("drops", &mutant.drops), ("on", &mutant.on), ("breaks", &mutant.breaks)]
        .into_iter()
        .find(|(_, text)| text.is_empty());
    if let Some((what, _)) = missing {
        return Err(format!("{} has no line `{what}`", mutant.name));
    }
    if mutant.edits.is_empty() || mutant.edits.iter().any(|edit| edit.new.is_empty()) {
        return Err(format!("{} has no edit, or one without + lines", mutant.name));
    }
    Ok(())
}

impl Mutant {
    /// The modules with its edits, and the model that checks nothing but the property it breaks.
    ///
    /// # Errors
    /// An edit whose lines are not found exactly once, an unknown model, constant or property.
    pub(crate) fn applied(&self, protocol: &Protocol) -> Result<(BTreeMap<String, String>, Model), String> {
        let wrong = |error: String| format!("{}/{}: {error}", protocol.name, self.name);
        let model = protocol.model(&self.on).and_then(|model| model.with(&self.constants));
        let model = model.and_then(|model| model.with_only(&self.breaks)).map_err(wrong)?;
        let mut places: BTreeMap<&String, Vec<(usize, &Edit)>> = BTreeMap::new();
        for edit in &self.edits {
            let (module, at) = place(&edit.old, &protocol.modules).map_err(wrong)?;
            places.entry(module).or_default().push((at, edit));
        }
        let mut modules = protocol.modules.clone();
        for (module, mut edits) in places {
            // From the end, so that earlier places stay where they are.
            edits.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let mut lines: Vec<_> = protocol.modules[module].lines().map(str::to_string).collect();
            for (at, edit) in edits {
                lines.splice(at..at + edit.old.len(), edit.new.iter().cloned());
            }
            modules.insert(module.clone(), lines.join("\n") + "\n");
        }
        Ok((modules, model))
    }
}

/// The module and the line where `old` stands.
fn place<'m>(old: &[String], modules: &'m BTreeMap<String, String>) -> Result<(&'m String, usize), String> {
    let mut found = Vec::new();
    for (name, text) in modules {
        let lines: Vec<_> = text.lines().collect();
        let here = lines.windows(old.len()).enumerate().filter(|(_, window)| *window == old);
        found.extend(here.map(|(at, _)| (name, at)));
    }
    match found[..] {
        [one] => Ok(one),
        _ => Err(format!("found {} times: {}", found.len(), old.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "# of a toy\nmutant one\ndrops L1\non quick A = 2, B = TRUE\nbreaks Safe\n- a\n- b\n+ c\n- d\n+ e\n";

    fn toy(module: &str) -> Protocol {
        let mut protocol = Protocol::named("toy");
        protocol.modules.insert("Toy".into(), module.into());
        let text = "CONSTANTS\n  A = 1\n  B = FALSE\nINVARIANT Safe\n".into();
        protocol.models.push(Model { name: "quick".into(), module: "Toy".into(), text });
        protocol
    }

    #[test]
    fn edits_are_applied_together_and_constants_set() {
        let mutants = parse(ONE).unwrap();
        let (modules, model) = mutants[0].applied(&toy("d\nx\na\nb\ny\n")).unwrap();
        assert_eq!(modules["Toy"], "e\nx\nc\ny\n");
        assert!(model.text.contains("  A = 2\n  B = TRUE\n"));
    }

    #[test]
    fn lines_that_are_missing_or_ambiguous_are_refused() {
        let mutants = parse(ONE).unwrap();
        assert!(mutants[0].applied(&toy("d\na\n")).unwrap_err().contains("found 0 times: a\nb"));
        assert!(mutants[0].applied(&toy("a\nb\nd\nd\n")).unwrap_err().contains("found 2 times: d"));
    }

    #[test]
    fn bad_files_are_refused_with_the_line_or_the_name() {
        for (text, what) in [
            ("drops x\n", "line 1: before the first mutant"),
            ("mutant a\nnonsense\n", "line 2: expected mutant"),
            ("mutant a\n+ x\n", "line 2: a + line without"),
            ("mutant a\non quick A 2\n", "line 2: \"A 2\" is not NAME = VALUE"),
            ("mutant a\ndrops x\non quick\n- a\n+ b\n", "a has no line `breaks`"),
            ("mutant a\ndrops x\non quick\nbreaks P\n- a\n", "a has no edit, or one without + lines"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(what), "{error:?} should say {what:?}");
        }
        assert!(parse(&format!("{ONE}{ONE}")).unwrap_err().contains("two mutants one"));
    }

    #[test]
    fn an_unknown_model_or_property_is_refused() {
        let error = |text: &str| parse(text).unwrap()[0].applied(&toy("a\nb\nd\n")).unwrap_err();
        assert_eq!(error(&ONE.replace("quick", "slow")), "toy/one: toy has no model slow");
        assert_eq!(error(&ONE.replace("Safe", "Live")), "toy/one: quick does not check Live");
    }
}
