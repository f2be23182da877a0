//! Fuzzing: every target for a while, over a copy of its corpus.
//!
//! The targets are a workspace of their own, built once by `cargo fuzz` for the stable toolchain: without a sanitizer,
//! for they are safe code but for rooms that Miri watches, with debug assertions and overflow checks. They
//! run side by side, as many as there are processors; what each says goes to a file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{fs, io, thread};

use crate::gate::{is_installed, missing};
use crate::steps::FUZZ;
use crate::terminal::{say, warn};

/// Where the targets and their corpora are.
pub(crate) const HOME: &str = "crates/aether-torture/fuzz";
/// Where they are built, and where copies of corpora, findings and transcripts go.
const OUT: &str = "target/fuzz";
/// An input that takes longer is a finding: a hang.
const INPUT_SECONDS_MAX: u32 = 20;
const MEMORY_MIB_MAX: u32 = 2048;
/// Bytes of an input that is added to a corpus, at most.
const ADDED_BYTES_MAX: u32 = 4096;
/// Inputs that are added to a corpus at once, at most.
const ADDED_MAX: usize = 40;
/// How libFuzzer names what it found.
const FOUND: &str = "Test unit written to ";

/// What to do.
pub(crate) struct Plan<'a> {
    pub(crate) seconds: u32,
    /// None: every target.
    pub(crate) targets: &'a [String],
    /// Whether inputs that reach new code are added to the corpora.
    pub(crate) merge: bool,
}

/// Runs the targets. Blocks until all are done.
///
/// # Errors
/// A finding, with the command that repeats it; a missing tool; an unknown target.
pub(crate) fn run(root: &Path, plan: &Plan<'_>) -> Result<(), String> {
    let known = targets(root).map_err(|error| format!("{HOME}: {error}"))?;
    if let Some(unknown) = plan.targets.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no target {unknown}; there are {}", known.join(", ")));
    }
    if !is_installed(&FUZZ) {
        return Err(missing(&FUZZ));
    }
    build(root)?;
    let chosen = if plan.targets.is_empty() { &known[..] } else { plan.targets };
    let side_by_side = thread::available_parallelism().map_or(1, usize::from);
    let mut findings = Vec::new();
    for some in chosen.chunks(side_by_side) {
        findings.extend(together(root, some, plan.seconds)?);
    }
    if !findings.is_empty() {
        return Err(findings.join("\n"));
    }
    if plan.merge { chosen.iter().try_for_each(|target| merge(root, target)) } else { Ok(()) }
}

/// The targets there are, sorted.
fn targets(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in root.join(HOME).join("fuzz_targets").read_dir()? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// `cargo fuzz` with what all its commands share.
fn cargo_fuzz(root: &Path, command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["fuzz", command, "--sanitizer", "none", "--fuzz-dir", HOME]);
    cargo.args(["--target-dir", OUT]);
    cargo
}

fn build(root: &Path) -> Result<(), String> {
    let mut cargo = cargo_fuzz(root, "build");
    let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the fuzz targets do not build: {status}")) }
}

/// Runs some targets side by side; returns the findings in words.
fn together(root: &Path, targets: &[String], seconds: u32) -> Result<Vec<String>, String> {
    let start = |target: &String| start(root, target, seconds).map_err(|error| format!("{target}: {error}"));
    let mut children = targets.iter().map(start).collect::<Result<Vec<Child>, _>>()?;
    let mut findings = Vec::new();
    for (target, child) in targets.iter().zip(&mut children) {
        let status = child.wait().map_err(|error| format!("{target}: {error}"))?;
        let text = fs::read_to_string(transcript(root, target)).unwrap_or_default();
        findings.extend(judge(target, status, &text));
    }
    Ok(findings)
}

fn transcript(root: &Path, target: &str) -> PathBuf {
    root.join(OUT).join(format!("{target}.log"))
}

/// Starts a target on a copy of its corpus.
fn start(root: &Path, target: &str, seconds: u32) -> io::Result<Child> {
    let corpus = format!("{OUT}/corpus/{target}");
    copy(&root.join(HOME).join("corpus").join(target), &root.join(&corpus))?;
    let artifacts = format!("{OUT}/artifacts/{target}/");
    fs::create_dir_all(root.join(&artifacts))?;
    warn(&format!("{target}: {seconds} s"));
    let log = fs::File::create(transcript(root, target))?;
    let mut cargo = cargo_fuzz(root, "run");
    cargo.args([target, &corpus, "--"]);
    cargo.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    cargo.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}")).arg(format!("-artifact_prefix={artifacts}"));
    cargo.arg("-print_final_stats=1");
    cargo.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// Copies the files of a directory into another; what is there already stays.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Tells how a target fared; returns its finding, if any.
fn judge(target: &str, status: ExitStatus, text: &str) -> Option<String> {
    let (inputs, rate) = (stat(text, "number_of_executed_units"), stat(text, "average_exec_per_sec"));
    if status.success() {
        say(&format!("{target:12} {inputs:>10} inputs, {rate} a second"));
        return None;
    }
    Some(format!("{target}: FOUND after {inputs} inputs\n{}\n{}", reason(text), repeat(target, text)))
}

/// A figure that libFuzzer gives at its end.
fn stat<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
    line.map_or("?", |rest| rest.trim_start_matches(':').trim())
}

/// What the target said, from the panic on, or at its end.
fn reason(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let told =
        lines.iter().position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
    let first = told.unwrap_or(lines.len().saturating_sub(8));
    lines[first..].iter().take(8).copied().collect::<Vec<_>>().join("\n")
}

/// The command that plays the finding again.
fn repeat(target: &str, text: &str) -> String {
    let Some((_, artifact)) = text.lines().find_map(|line| line.split_once(FOUND)) else {
        return format!("there is no artifact; see {OUT}/{target}.log");
    };
    format!(
        "repeat it: cargo fuzz run --sanitizer none --fuzz-dir {HOME} --target-dir {OUT} {target} {artifact}"
    )
}

/// Adds to the repository's corpus what reaches code that it does not reach yet; the shortest, if that is much.
fn merge(root: &Path, target: &str) -> Result<(), String> {
    let corpus = root.join(HOME).join("corpus").join(target);
    let before = names(&corpus).map_err(|error| format!("{target}: {error}"))?;
    let mut cargo = cargo_fuzz(root, "run");
    cargo.args([target, &format!("{HOME}/corpus/{target}"), &format!("{OUT}/corpus/{target}"), "--"]);
    cargo.args(["-set_cover_merge=1", "-use_counters=0"]).arg(format!("-max_len={ADDED_BYTES_MAX}"));
    let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{target}: {}\n{text}", output.status));
    }
    let added = thin_out(&corpus, &before).map_err(|error| format!("{target}: {error}"))?;
    say(&format!("{target:12} {added:>10} inputs added"));
    Ok(())
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    directory.read_dir()?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// Removes all but the shortest of the files that were not there `before`; returns how many stay.
fn thin_out(directory: &Path, before: &BTreeSet<OsString>) -> io::Result<usize> {
    let mut added = Vec::new();
    for name in names(directory)?.difference(before) {
        let path = directory.join(name);
        added.push((fs::metadata(&path)?.len(), path));
    }
    added.sort();
    let surplus = added.split_off(added.len().min(ADDED_MAX));
    surplus.iter().try_for_each(|(_, path)| fs::remove_file(path))?;
    Ok(added.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository;
    use std::os::unix::process::ExitStatusExt;

    const LOG: &str = "#1 INITED\nthread 'main' panicked at a.rs:1:2:\nassertion\n\
        artifact_prefix='x/'; Test unit written to target/fuzz/artifacts/page/crash-1\n\
        stat::number_of_executed_units: 123\n";

    #[test]
    fn a_finding_names_what_repeats_it() {
        let found = judge("page", ExitStatus::from_raw(77 << 8), LOG).unwrap();
        assert!(found.contains("after 123 inputs") && found.contains("panicked at a.rs"), "{found}");
        assert!(
            found.contains("--target-dir target/fuzz page target/fuzz/artifacts/page/crash-1"),
            "{found}"
        );
        assert!(!found.contains("INITED"), "{found}");
        assert_eq!(judge("page", ExitStatus::from_raw(0), LOG), None);
        assert!(judge("page", ExitStatus::from_raw(9), "").unwrap().contains("no artifact"));
    }

    #[test]
    fn an_unknown_target_is_named() {
        let plan = Plan { seconds: 1, targets: &["no-such".into()], merge: false };
        let error = run(&repository::root(), &plan).unwrap_err();
        assert!(error.contains("no-such") && error.contains("page"), "{error}");
    }

    #[test]
    fn every_target_has_a_corpus_and_stands_in_the_manifest() {
        let home = repository::root().join(HOME);
        let manifest = fs::read_to_string(home.join("Cargo.toml")).unwrap();
        let names = targets(&repository::root()).unwrap();
        assert!(names.len() >= 6);
        for name in names {
            assert!(home.join("corpus").join(&name).read_dir().unwrap().count() >= 10, "{name}");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        }
    }

    #[test]
    fn the_corpus_is_played_from_a_copy() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("a"), "1").unwrap();
        fs::write(to.path().join("b"), "2").unwrap();
        copy(from.path(), to.path()).unwrap();
        assert_eq!(fs::read(to.path().join("a")).unwrap(), b"1");
        assert!(to.path().join("b").exists());
    }

    #[test]
    fn only_the_shortest_of_what_is_new_stay() {
        let corpus = tempfile::tempdir().unwrap();
        fs::write(corpus.path().join("seed"), [0; 99]).unwrap();
        let before = names(corpus.path()).unwrap();
        for size in 0..ADDED_MAX + 5 {
            fs::write(corpus.path().join(format!("{size:03}")), vec![0; size]).unwrap();
        }
        assert_eq!(thin_out(corpus.path(), &before).unwrap(), ADDED_MAX);
        let kept = names(corpus.path()).unwrap();
        assert!(kept.contains(&OsString::from("seed")) && kept.contains(&OsString::from("000")));
        assert_eq!(kept.len(), ADDED_MAX + 1);
    }
}
