//! Mutants of the code: `cargo mutants` on a sample of each crate that must not lose data.
//!
//! A mutant is one small change that a compiler accepts: another result, another operator. The tests of the crate must notice
//! it, or those of [`Subject::also`]. The same sample is drawn every time (`--seed` draws another one). `docs/survivors.txt`
//! names mutants that no test can notice, or that live for another reason, and why: one that lives and is not there is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::terminal::{Mood, paint, say, warn};

/// Of a hundred that could be built, how many must be caught.
const CAUGHT_MIN: usize = 85;

/// Those that live, each with a reason: `CRATE | MUTANT | REASON`.
const SURVIVORS: &str = "docs/survivors.txt";

/// Those of the file, each with its reason, by `CRATE | MUTANT`.
type Survivors = BTreeMap<String, String>;

/// A crate, and whose tests may catch its mutants.
struct Subject {
    name: &'static str,
    /// What its own tests miss, those of these may notice.
    also: &'static [&'static str],
}

const SUBJECTS: &[Subject] = &[
    Subject { name: "aether-page", also: &[] },
    Subject { name: "aether-wal", also: &["aether-recovery"] },
    Subject { name: "aether-recovery", also: &["aether-txn", "aether-index", "aether-kv"] },
    Subject { name: "aether-txn", also: &["aether-index", "aether-kv"] },
];

/// What to try.
pub(crate) struct Plan<'a> {
    /// None: every subject.
    pub(crate) packages: &'a [String],
    /// So many of each sample are left out: those that another run tries.
    pub(crate) skip: usize,
    /// Of each crate, after those.
    pub(crate) count: usize,
    pub(crate) seed: u64,
    /// Seconds after which tests on a mutant are taken to never end. None: as many as `cargo mutants` gives them, which are
    /// too few on a machine that gets busier after the first run.
    pub(crate) timeout: Option<u32>,
}

/// Tries a sample of each crate; true if enough are caught and the rest is explained. Blocks until that is done, for an hour or more.
///
/// # Errors
/// `cargo mutants` is missing or does not start, a file cannot be read, a crate is no subject.
pub(crate) fn run(root: &Path, plan: &Plan<'_>) -> Result<bool, String> {
    let names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
    if let Some(unknown) = plan.packages.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("{unknown} is no subject; there are {}", names.join(", ")));
    }
    let text = fs::read_to_string(root.join(SURVIVORS)).map_err(|error| format!("{SURVIVORS}: {error}"))?;
    let explained = survivors(&text)?;
    let wanted = |subject: &&Subject| {
        plan.packages.is_empty() || plan.packages.iter().any(|name| name == subject.name)
    };
    let mut right = true;
    for subject in SUBJECTS.iter().filter(wanted) {
        let all = list(root, subject)?;
        let chosen = sample(all.clone(), plan.skip, plan.count, plan.seed);
        let mut outcome = attempt(root, subject, &[subject.name], &chosen, plan)?;
        let strangers = outcome.take_strangers(subject, &explained);
        if !strangers.is_empty() && !subject.also.is_empty() {
            outcome.add(attempt(root, subject, subject.also, &strangers, plan)?);
        } else {
            outcome.missed.extend(strangers);
        }
        right &= tell(subject, all.len(), &outcome, &explained);
    }
    Ok(right)
}

/// All mutants of a crate, by the names that `cargo mutants` gives them.
fn list(root: &Path, subject: &Subject) -> Result<Vec<String>, String> {
    let mut cargo = cargo(root, subject);
    cargo.arg("--list");
    let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{} (cargo install --locked cargo-mutants)",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect())
}

fn cargo(root: &Path, subject: &Subject) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["mutants", "--package", subject.name, "--colors", "never"]);
    // Modules of unit tests are not the code, and the doors of fuzz targets are not in these builds.
    cargo.args(["--exclude", "**/tests.rs", "--exclude", "**/fuzzing.rs"]);
    cargo.args(["--exclude-re", "(replace|in) tests::"]);
    cargo
}

/// Those with the smallest hashes, without the first `skip`: a mutant keeps its place when others come or go.
fn sample(mut all: Vec<String>, skip: usize, count: usize, seed: u64) -> Vec<String> {
    all.sort_by_key(|name| hash(without_place(name), seed));
    let mut chosen: Vec<_> = all.into_iter().skip(skip).take(count).collect();
    chosen.sort();
    chosen
}

/// FNV-1a.
fn hash(text: &str, seed: u64) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    seed.to_le_bytes().into_iter().chain(text.bytes()).fold(0xcbf2_9ce4_8422_2325, step)
}

/// `FILE:LINE:COLUMN: WHAT` as `FILE: WHAT`.
fn without_place(name: &str) -> &str {
    name.splitn(4, ':').nth(3).map_or(name, str::trim)
}

/// What became of the mutants of a crate.
#[derive(Debug, Default)]
struct Outcome {
    caught: Vec<String>,
    missed: Vec<String>,
    /// Whose tests did not come to an end: caught as well.
    timeout: Vec<String>,
    unviable: Vec<String>,
}

impl Outcome {
    /// Takes those that live and are not explained: only these may yet be caught by others.
    fn take_strangers(&mut self, subject: &Subject, explained: &Survivors) -> Vec<String> {
        self.missed.extract_if(.., |name| !is_explained(subject, name, explained)).collect()
    }

    fn count(&self) -> usize {
        self.caught.len() + self.missed.len() + self.timeout.len() + self.unviable.len()
    }

    fn add(&mut self, later: Self) {
        self.caught.extend(later.caught);
        self.missed.extend(later.missed);
        self.timeout.extend(later.timeout);
        self.unviable.extend(later.unviable);
    }
}

/// Runs the tests of `testers` on each mutant.
///
/// # Errors
/// Some were not tried: the tests fail without a mutant, or the run was interrupted.
fn attempt(
    root: &Path,
    subject: &Subject,
    testers: &[&str],
    chosen: &[String],
    plan: &Plan<'_>,
) -> Result<Outcome, String> {
    let home = root.join("target/mutants").join(subject.name).join(testers.join("+"));
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let names: Vec<_> = chosen.iter().map(|name| escaped(name)).collect();
    let mut cargo = cargo(root, subject);
    cargo.args(["--re", &format!("^({})$", names.join("|")), "--output"]).arg(&home);
    testers.iter().for_each(|name| _ = cargo.args(["--test-package", name]));
    plan.timeout.iter().for_each(|seconds| _ = cargo.args(["--timeout", &seconds.to_string()]));
    // Built anew for every mutant: the less the better.
    cargo.env("CARGO_PROFILE_TEST_DEBUG", "0");
    let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
    let read = |name: &str| -> Result<Vec<String>, String> {
        let path = home.join("mutants.out").join(name);
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}; {status}", path.display()))?;
        Ok(text.lines().map(str::to_string).collect())
    };
    let outcome = Outcome {
        caught: read("caught.txt")?,
        missed: read("missed.txt")?,
        timeout: read("timeout.txt")?,
        unviable: read("unviable.txt")?,
    };
    match outcome.count() >= chosen.len() {
        true => Ok(outcome),
        false => Err(format!("{} of {} were tried; {status}", outcome.count(), chosen.len())),
    }
}

/// As a regular expression that is the text.
fn escaped(text: &str) -> String {
    let escape = |letter: char| match letter {
        letter if r"\.+*?()|[]{}^$#&-~".contains(letter) => format!("\\{letter}"),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

fn is_explained(subject: &Subject, name: &str, explained: &Survivors) -> bool {
    explained.contains_key(&format!("{} | {}", subject.name, without_place(name)))
}

fn tell(subject: &Subject, all: usize, outcome: &Outcome, explained: &Survivors) -> bool {
    let caught = outcome.caught.len() + outcome.timeout.len();
    let built = caught + outcome.missed.len();
    let of_hundred = caught * 100 / built.max(1);
    let is_stranger = |name: &&String| !is_explained(subject, name, explained);
    let strangers: Vec<_> = outcome.missed.iter().filter(is_stranger).collect();
    let right = of_hundred >= CAUGHT_MIN && strangers.is_empty() && built > 0;
    let mood = if right { paint("ok   ", Mood::Good) } else { paint("WRONG", Mood::Bad) };
    let (timeout, unviable) = (outcome.timeout.len(), outcome.unviable.len());
    say(&format!(
        "{mood} {}: {caught} of {built} caught ({of_hundred} %), {timeout} of them by never ending; {unviable} did not compile; {all} there are",
        subject.name
    ));
    outcome.timeout.iter().for_each(|name| warn(&format!("never ends: {name}")));
    strangers.iter().for_each(|name| warn(&format!("lives, unexplained: {name}")));
    right
}

/// Those that are explained, and how.
fn survivors(text: &str) -> Result<Survivors, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = |(index, line): (usize, &str)| {
        let parts: Vec<_> = line.split(" | ").map(str::trim).collect();
        match parts[..] {
            [name, mutant, reason] if !reason.is_empty() => {
                Ok((format!("{name} | {mutant}"), reason.to_string()))
            }
            _ => Err(format!("{SURVIVORS}, line {}: wanted is CRATE | MUTANT | REASON", index + 1)),
        }
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_every_time_and_wherever_the_code_moves() {
        let all: Vec<_> =
            (0..50).map(|number| format!("a.rs:{number}:1: replace f{number} with 1")).collect();
        let moved: Vec<_> =
            (0..50).map(|number| format!("a.rs:{}:9: replace f{number} with 1", number + 7)).collect();
        let what = |sample: Vec<String>| {
            let mut names: Vec<_> = sample.iter().map(|name| without_place(name).to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(what(sample(all.clone(), 0, 5, 1)), what(sample(moved, 0, 5, 1)));
        assert_ne!(what(sample(all.clone(), 0, 5, 1)), what(sample(all, 0, 5, 2)));
    }

    #[test]
    fn two_runs_make_a_whole_sample() {
        let all: Vec<_> = (0..50).map(|number| format!("a.rs:1:1: replace f{number} with 1")).collect();
        let (first, second) = (sample(all.clone(), 0, 20, 1), sample(all.clone(), 20, 5, 1));
        assert_eq!((first.len(), second.len()), (20, 5));
        let mut both = [first, second].concat();
        both.sort();
        assert_eq!(both, sample(all.clone(), 0, 25, 1));
        assert_eq!(sample(all, 48, 5, 1).len(), 2);
    }

    #[test]
    fn one_that_lives_must_be_explained() {
        let explained = survivors("# why\naether-wal | replace f with 1 | nobody asks\n").unwrap();
        let lives = |name: &str| Outcome {
            caught: vec![String::new(); 9],
            missed: vec![format!("a.rs:1:1: {name}")],
            ..Outcome::default()
        };
        let wal = &SUBJECTS[1];
        assert!(tell(wal, 20, &lives("replace f with 1"), &explained));
        assert!(!tell(wal, 20, &lives("replace g with 1"), &explained));
        assert!(!tell(wal, 20, &Outcome::default(), &explained));
        assert!(survivors("aether-wal | replace f with 1\n").unwrap_err().contains("line 1"));
    }

    #[test]
    fn the_tests_of_others_are_asked_only_where_nothing_is_explained() {
        let explained = survivors("aether-wal | replace f with 1 | nobody asks\n").unwrap();
        let [known, stranger] = ["f", "g"].map(|name| format!("a.rs:1:1: replace {name} with 1"));
        let mut outcome = Outcome { missed: vec![known.clone(), stranger.clone()], ..Outcome::default() };
        assert_eq!(outcome.take_strangers(&SUBJECTS[1], &explained), [stranger]);
        assert_eq!(outcome.missed, [known]);
    }

    #[test]
    fn a_name_is_taken_to_the_letter() {
        assert_eq!(escaped("a.rs:1: f -> Result<()>"), r"a\.rs:1: f \-> Result<\(\)>");
    }
}
