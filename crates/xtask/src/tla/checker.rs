//! Runs a checker on a model and reads what it says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::model::{Model, Protocol};
use super::mutant::Mutant;
use super::tools::Tools;

/// A run that takes longer has failed.
const RUN_TIME_MAX: Duration = Duration::from_secs(20 * 60);
const POLL: Duration = Duration::from_millis(20);
const MODEL_FILE: &str = "model.cfg";
/// The model without properties.
const BARE_FILE: &str = "bare.cfg";

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every property holds in this many distinct states.
    Passed {
        /// How many.
        states: u64,
    },
    /// A property does not hold.
    Violated,
    /// The checker could not do its work.
    Failed(String),
}

impl Verdict {
    /// How many it counted, if it found no error.
    pub(crate) fn states(&self) -> Option<u64> {
        match self {
            Verdict::Passed { states } => Some(*states),
            Verdict::Violated | Verdict::Failed(_) => None,
        }
    }

    /// For people.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Verdict::Passed { states } => format!("{states} states"),
            Verdict::Violated => "a property does not hold".into(),
            Verdict::Failed(why) => why.clone(),
        }
    }
}

/// A directory with modules and a model.
pub(crate) struct Run {
    directory: PathBuf,
    model: Model,
    /// So short that compiling well does not pay.
    is_short: bool,
}

impl Run {
    /// Of a model as it is.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn of_model(tools: &Tools, protocol: &Protocol, model: &Model) -> Result<Self, String> {
        let directory = tools.runs.join(format!("{}-{}", protocol.name, model.name));
        Self::prepare(directory, &protocol.modules, model.clone(), model.is_quick())
    }

    /// The same in a directory of its own, for a second checker that runs at the same time.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn of_model_again(tools: &Tools, protocol: &Protocol, model: &Model) -> Result<Self, String> {
        let directory = tools.runs.join(format!("{}-{}-again", protocol.name, model.name));
        Self::prepare(directory, &protocol.modules, model.clone(), model.is_quick())
    }

    /// Of a mutant.
    ///
    /// # Errors
    /// An edit that does not fit; the system's.
    pub(crate) fn of_mutant(tools: &Tools, protocol: &Protocol, mutant: &Mutant) -> Result<Self, String> {
        let (modules, model) = mutant.applied(protocol)?;
        Self::prepare(tools.runs.join(format!("{}-{}", protocol.name, mutant.name)), &modules, model, true)
    }

    /// Of traces, which `data` is the module of.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn of_traces(
        tools: &Tools,
        name: &str,
        protocol: &Protocol,
        model: &Model,
        data: String,
    ) -> Result<Self, String> {
        let mut modules = protocol.modules.clone();
        modules.insert("TraceData".into(), data);
        Self::prepare(tools.runs.join(name), &modules, model.clone(), false)
    }

    fn prepare(
        directory: PathBuf,
        modules: &BTreeMap<String, String>,
        model: Model,
        is_short: bool,
    ) -> Result<Self, String> {
        let write = || {
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory)?;
            for (name, text) in modules {
                fs::write(directory.join(format!("{name}.tla")), text)?;
            }
            fs::write(directory.join(MODEL_FILE), &model.text)
        };
        write().map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Self { directory, model, is_short })
    }

    fn root_module(&self) -> String {
        format!("{}.tla", self.model.module)
    }
}

/// Runs TLC; blocks until it is done.
///
/// # Errors
/// It does not start.
pub(crate) fn tlc(tools: &Tools, run: &Run) -> Result<Verdict, String> {
    Ok(tlc_said(tools, run)?.map_or_else(Verdict::Failed, |text| read_tlc(&text)))
}

/// As [`tlc`]: all that it says, or that it took too long.
///
/// # Errors
/// It does not start.
pub(crate) fn tlc_said(tools: &Tools, run: &Run) -> Result<Result<String, String>, String> {
    let mut java = Command::new("java");
    // The parser calls itself for every part of a long constant.
    java.args(["-XX:+UseSerialGC", "-Xmx2g", "-Xss64m"]);
    if run.is_short {
        java.arg("-XX:TieredStopAtLevel=1");
    }
    // It unpacks its modules there, under names that two runs share.
    java.arg(format!("-Djava.io.tmpdir={}", run.directory.display()));
    java.arg("-cp").arg(&tools.jar).args(["tlc2.TLC", "-nowarning", "-workers", "1", "-metadir", "states"]);
    if !run.model.checks_deadlock() {
        // The flag means: do not look for deadlocks.
        java.arg("-deadlock");
    }
    java.args(["-config", MODEL_FILE]).arg(run.root_module());
    let said = output(java, &run.directory)?;
    let _ = fs::remove_dir_all(run.directory.join("states"));
    Ok(said)
}

/// Runs tla-checker; blocks until it is done.
///
/// # Errors
/// It does not start.
pub(crate) fn second(tools: &Tools, run: &Run) -> Result<Verdict, String> {
    let mut tla = Command::new(&tools.second);
    tla.arg(run.root_module()).arg("--json");
    tla.args(["--max-states", "100000000", "--max-depth", "100000"]);
    if !run.model.checks_deadlock() {
        tla.arg("--allow-deadlock");
    }
    match run.model.refines() {
        Some(instance) => {
            let path = run.directory.join(BARE_FILE);
            let wrong = |error| format!("{}: {error}", path.display());
            fs::write(&path, run.model.text_without_properties()).map_err(wrong)?;
            tla.args(["--config", BARE_FILE, "--check-refinement", instance]);
        }
        None => {
            tla.args(["--config", MODEL_FILE]);
            if run.model.has_properties() {
                tla.arg("--check-liveness");
            }
        }
    }
    Ok(output(tla, &run.directory)?.map_or_else(Verdict::Failed, |text| read_second(&text)))
}

/// What `command` says, or that it took too long.
fn output(mut command: Command, directory: &Path) -> Result<Result<String, String>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
    let path = directory.join("output.txt");
    let file = File::create(&path).map_err(wrong)?;
    command.current_dir(directory).stdin(Stdio::null());
    command.stdout(file.try_clone().map_err(wrong)?).stderr(file);
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("`{name}` does not start: {error}"))?;
    if !ends_in_time(&mut child, RUN_TIME_MAX) {
        return Ok(Err(format!("took more than {} s", RUN_TIME_MAX.as_secs())));
    }
    fs::read_to_string(&path).map(Ok).map_err(wrong)
}

/// Waits for the end of `child`, or makes one.
pub(crate) fn ends_in_time(child: &mut Child, most: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < most {
        match child.try_wait() {
            Ok(None) => thread::sleep(POLL),
            _ => return true,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// What TLC's output means.
pub(crate) fn read_tlc(text: &str) -> Verdict {
    let violation = |line: &str| {
        (line.starts_with("Error: Invariant ") || line.starts_with("Error: Action property "))
            && line.contains(" is violated")
            || line.starts_with("Error: Temporal properties were violated")
            || line.starts_with("Error: Deadlock reached")
    };
    if text.lines().any(violation) {
        return Verdict::Violated;
    }
    let states = text.lines().rev().find_map(distinct_states);
    match states {
        Some(states) if text.contains("No error has been found.") => Verdict::Passed { states },
        _ => Verdict::Failed(complaint(text)),
    }
}

/// `7 states generated, 5 distinct states found, 0 states left on queue.`
fn distinct_states(line: &str) -> Option<u64> {
    let rest = line.split_once(" states generated, ")?.1;
    let (count, rest) = rest.split_once(" distinct states found, ")?;
    rest.starts_with("0 states left on queue").then(|| count.parse().ok())?
}

/// The first lines that begin with an error, at most four.
fn complaint(text: &str) -> String {
    let errors: Vec<_> = text.lines().skip_while(|line| !is_error(line)).take(4).collect();
    if errors.is_empty() {
        let end = text.lines().last().unwrap_or("nothing");
        return format!("the checker said: {end}");
    }
    errors.join(" / ")
}

fn is_error(line: &str) -> bool {
    line.starts_with("Error:") || line.starts_with("***") || line.contains("Parse Error")
}

/// What tla-checker's output means: one object, among other lines.
fn read_second(text: &str) -> Verdict {
    let object = text.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let Some(object) = object.filter(serde_json::Value::is_object) else {
        let end = text.lines().rev().find(|line| !line.is_empty()).unwrap_or("nothing");
        return Verdict::Failed(format!("the checker said: {end}"));
    };
    let states = object["stats"]["states_explored"].as_u64();
    match (object["status"].as_str(), states) {
        (Some("ok"), Some(states)) => Verdict::Passed { states },
        (Some(status), _) if status.contains("violat") || status == "deadlock" => Verdict::Violated,
        _ => Verdict::Failed(format!("the checker said: {object}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str = "Model checking completed. No error has been found.\n\
        12902 states generated, 6035 distinct states found, 0 states left on queue.\n";

    #[test]
    fn the_count_of_a_whole_search_is_read() {
        assert_eq!(read_tlc(PASSED), Verdict::Passed { states: 6035 });
        let stopped = PASSED.replace(" 0 states left", " 9 states left");
        assert!(matches!(read_tlc(&stopped), Verdict::Failed(_)));
        assert!(matches!(read_tlc(""), Verdict::Failed(_)));
    }

    #[test]
    fn every_kind_of_violation_is_seen() {
        for line in [
            "Error: Invariant NoHole is violated.",
            "Error: Invariant NoHole is violated by the initial state:",
            "Error: Action property Rising is violated.",
            "Error: Temporal properties were violated.",
            "Error: Deadlock reached.",
        ] {
            assert_eq!(read_tlc(line), Verdict::Violated, "{line}");
        }
    }

    #[test]
    fn a_checker_that_stumbles_is_no_violation() {
        for line in [
            "Error: Evaluating invariant NoHole failed.",
            "Error: TLC threw an unexpected exception.",
            "*** Errors: 1",
            "Error: The invariant Rising is not a state predicate (one with no primes or temporal operators).",
        ] {
            assert_eq!(read_tlc(&format!("x\n{line}\n")), Verdict::Failed(line.into()));
        }
    }

    #[test]
    fn the_second_checkers_object_is_read() {
        let said = |status: &str| {
            format!("Progress: 10\n{{\"status\": \"{status}\", \"stats\": {{\"states_explored\": 12}}}}\n")
        };
        assert_eq!(read_second(&said("ok")), Verdict::Passed { states: 12 });
        assert_eq!(read_second(&said("invariant_violation")), Verdict::Violated);
        assert!(matches!(read_second(&said("max_states")), Verdict::Failed(_)));
        assert_eq!(read_second("oh\n\n"), Verdict::Failed("the checker said: oh".into()));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let error = output(Command::new("no-such-program"), directory.path()).unwrap_err();
        assert!(error.contains("does not start"));
    }
}
