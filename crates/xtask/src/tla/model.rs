//! The folders below `tla/`: modules, models, mutants.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use super::mutant::{self, Mutant};

/// A comment of a model that names its root module, if that is not the folder's.
const MODULE: &str = "\\* module: ";
/// A comment of a model of traces: how many shares of the events it gets, if not one.
const SHARES: &str = "\\* shares: ";
/// A comment of a model in which a state without successors is an error.
const DEADLOCK: &str = "\\* deadlock: checked";
/// The model that holds traces against the spec.
const TRACE: &str = "trace";
/// A comment of a model that names the instance of an abstract module which its only property says it refines. TLC checks that like
/// any property, the second checker by that name.
const REFINES: &str = "\\* refines: ";
/// The folder of modules that several protocols use.
const SHARED: &str = "abstract";

/// A folder.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    /// Module name to text, shared ones included.
    pub(crate) modules: BTreeMap<String, String>,
    pub(crate) models: Vec<Model>,
    pub(crate) mutants: Vec<Mutant>,
    /// How traces of the code are held against it, if they are.
    pub(crate) trace: Option<Model>,
    /// Bugs that a run of the code can be told to have, and what each is; its traces must be refused.
    pub(crate) planted: Vec<(String, String)>,
}

/// A module with bounds and properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) module: String,
    /// The text that both checkers read.
    pub(crate) text: String,
}

impl Protocol {
    /// An empty one.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        let (modules, models, mutants) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { name: name.into(), modules, models, mutants, trace: None, planted: Vec::new() }
    }

    /// The model called `name`.
    pub(crate) fn model(&self, name: &str) -> Result<&Model, String> {
        let found = self.models.iter().find(|model| model.name == name);
        found.ok_or_else(|| format!("{} has no model {name}", self.name))
    }
}

impl Model {
    /// Has the smallest bounds.
    pub(crate) fn is_quick(&self) -> bool {
        self.name == "quick"
    }

    /// How many shares of all events its traces have.
    pub(crate) fn shares(&self) -> u64 {
        let named = self.text.lines().find_map(|line| line.strip_prefix(SHARES));
        named.and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// Whether a state without successors is an error.
    pub(crate) fn checks_deadlock(&self) -> bool {
        self.text.lines().any(|line| line == DEADLOCK)
    }

    /// Whether it has properties of whole behaviours.
    pub(crate) fn has_properties(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("PROPERT"))
    }

    /// The instance that it refines.
    pub(crate) fn refines(&self) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(REFINES))
    }

    /// Its text without properties.
    pub(crate) fn text_without_properties(&self) -> String {
        let kept = self.text.lines().filter(|line| !line.starts_with("PROPERT"));
        kept.map(|line| format!("{line}\n")).collect()
    }

    /// The same with other values of some constants.
    ///
    /// # Errors
    /// A constant that it does not set.
    pub(crate) fn with(&self, constants: &[(String, String)]) -> Result<Self, String> {
        let mut model = self.clone();
        for (name, value) in constants {
            let start = format!("  {name} = ");
            let mut lines: Vec<_> = model.text.lines().map(str::to_string).collect();
            let line = lines.iter_mut().find(|line| line.starts_with(&start));
            let line = line.ok_or_else(|| format!("{} does not set {name}", self.name))?;
            *line = format!("{start}{value}");
            model.text = lines.join("\n") + "\n";
        }
        Ok(model)
    }

    /// The same with `property` alone, or with none but the absence of deadlocks.
    ///
    /// # Errors
    /// A property that it does not check.
    pub(crate) fn with_only(&self, property: &str) -> Result<Self, String> {
        let (judged, rest): (Vec<_>, Vec<_>) = self.text.lines().partition(|line| is_judgement(line));
        let mut text = rest.join("\n") + "\n";
        if property == "Deadlock" {
            if !self.checks_deadlock() {
                return Err(format!("{} does not check for deadlocks", self.name));
            }
        } else {
            let line =
                judged.iter().find(|line| line.split_whitespace().skip(1).any(|word| word == property));
            let line = line.ok_or_else(|| format!("{} does not check {property}", self.name))?;
            let keyword = if line.starts_with("INVARIANT") { "INVARIANT" } else { "PROPERTY" };
            text.push_str(&format!("{keyword} {property}\n"));
        }
        Ok(Self { text, ..self.clone() })
    }
}

fn is_judgement(line: &str) -> bool {
    line.starts_with("INVARIANT") || line.starts_with("PROPERT")
}

/// Reads every folder of `home`, sorted by name.
///
/// # Errors
/// The file that cannot be read or understood.
pub(crate) fn read(home: &Path) -> Result<Vec<Protocol>, String> {
    let shared = modules(&home.join(SHARED)).unwrap_or_default();
    let mut protocols = Vec::new();
    for (name, is_folder) in entries(home)? {
        if is_folder && name != SHARED {
            protocols.push(protocol(&home.join(&name), name, &shared)?);
        }
    }
    Ok(protocols)
}

fn protocol(folder: &Path, name: String, shared: &BTreeMap<String, String>) -> Result<Protocol, String> {
    let own = modules(folder)?;
    let module = camel(&name);
    if !own.contains_key(&module) {
        return Err(format!("{name}: there is no {module}.tla"));
    }
    let mut models = Vec::new();
    for (file, _) in entries(folder)? {
        let Some(stem) = file.strip_suffix(".cfg") else { continue };
        models.push(model(stem, &module, text(&folder.join(&file))?));
    }
    // The smallest first: what is wrong shows early.
    models.sort_by_key(|model| !model.is_quick());
    let mutants = mutant::parse(&text(&folder.join("mutants.txt"))?);
    let mutants = mutants.map_err(|error| format!("{name}/mutants.txt: {error}"))?;
    let trace = models.iter().position(|model| model.name == TRACE).map(|at| models.remove(at));
    let planted = match &trace {
        Some(_) => {
            planted(&text(&folder.join("planted.txt"))?).map_err(|error| format!("{name}: {error}"))?
        }
        None => Vec::new(),
    };
    let modules = own.into_iter().chain(shared.clone()).collect();
    Ok(Protocol { name, modules, models, mutants, trace, planted })
}

/// Lines `NAME: WHAT`; `#` starts a comment line.
fn planted(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let wrong = || format!("planted.txt: {line:?} is not `NAME: WHAT`");
        let (name, what) = line.split_once(": ").ok_or_else(wrong)?;
        Ok((name.to_string(), what.to_string()))
    };
    lines.map(pair).collect()
}

fn model(name: &str, module: &str, text: String) -> Model {
    let named = text.lines().find_map(|line| line.strip_prefix(MODULE)).map(str::to_string);
    Model { name: name.into(), module: named.unwrap_or_else(|| module.into()), text }
}

fn modules(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for (file, _) in entries(folder)? {
        if let Some(stem) = file.strip_suffix(".tla") {
            found.insert(stem.to_string(), text(&folder.join(&file))?);
        }
    }
    Ok(found)
}

/// Names in a directory, sorted, and whether each is a directory.
fn entries(folder: &Path) -> Result<Vec<(String, bool)>, String> {
    let read = || -> io::Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in folder.read_dir()? {
            let entry = entry?;
            names.push((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?.is_dir()));
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|error| format!("{}: {error}", folder.display()))
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// `log_buffer` as `LogBuffer`.
fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_model() -> Model {
        let text = "\\* deadlock: checked\nCONSTANTS\n  A = 1\n  B = 2\nSPECIFICATION Spec\n\
            INVARIANTS One Two\nPROPERTIES Three\n";
        model("quick", "Wal", text.into())
    }

    #[test]
    fn folders_name_their_modules() {
        assert_eq!(camel("two_phase_commit"), "TwoPhaseCommit");
        assert_eq!(model("x", "Wal", "\\* module: Other\n".into()).module, "Other");
        assert_eq!(a_model().module, "Wal");
        assert_eq!((model("x", "Wal", "\\* shares: 4\n".into()).shares(), a_model().shares()), (4, 1));
    }

    #[test]
    fn a_refinement_names_an_instance_and_is_not_a_property_of_the_second_checker() {
        let text = "\\* refines: Log\nCONSTANTS\n  A = 1\nPROPERTIES IsLog\n";
        let model = model("refines", "Wal", text.into());
        assert_eq!(model.refines(), Some("Log"));
        assert_eq!(model.text_without_properties(), "\\* refines: Log\nCONSTANTS\n  A = 1\n");
        assert_eq!(a_model().refines(), None);
    }

    #[test]
    fn constants_are_replaced_and_unknown_ones_refused() {
        let changed = a_model().with(&[("B".into(), "7".into())]).unwrap();
        assert!(changed.text.contains("  A = 1\n  B = 7\n"));
        assert_eq!(a_model().with(&[("C".into(), "7".into())]).unwrap_err(), "quick does not set C");
    }

    #[test]
    fn one_property_alone_is_checked() {
        let one = a_model().with_only("Two").unwrap();
        assert!(one.text.ends_with("SPECIFICATION Spec\nINVARIANT Two\n"), "{}", one.text);
        assert!(a_model().with_only("Three").unwrap().text.ends_with("PROPERTY Three\n"));
        assert!(a_model().with_only("Deadlock").unwrap().checks_deadlock());
        assert_eq!(a_model().with_only("Four").unwrap_err(), "quick does not check Four");
        let without = model("quick", "Wal", "INVARIANT One\n".into());
        assert!(without.with_only("Deadlock").unwrap_err().contains("deadlocks"));
    }

    #[test]
    fn a_folder_without_its_module_or_mutants_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("log_buffer");
        fs::create_dir(&folder).unwrap();
        assert_eq!(read(home.path()).unwrap_err(), "log_buffer: there is no LogBuffer.tla");
        fs::write(folder.join("LogBuffer.tla"), "").unwrap();
        assert!(read(home.path()).unwrap_err().contains("mutants.txt"));
        fs::write(folder.join("mutants.txt"), "").unwrap();
        for file in ["quick.cfg", "big.cfg"] {
            fs::write(folder.join(file), "").unwrap();
        }
        let names: Vec<_> =
            read(home.path()).unwrap()[0].models.iter().map(|model| model.name.clone()).collect();
        assert_eq!(names, ["quick", "big"]);
    }
}
