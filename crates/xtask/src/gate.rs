//! Runs a table of steps and tells how each went: one line per step, then, if asked for, the table of times.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::json;

use crate::steps::{Step, Tool};
use crate::terminal::{self, Mood, paint, say, warn};

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the caller chose.
pub(crate) struct Options {
    pub(crate) times: bool,
    pub(crate) keep_going: bool,
    pub(crate) format: Format,
}

#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

struct Report<'a> {
    step: &'a Step,
    outcome: Outcome,
    time: Duration,
}

/// Runs `steps` in the repository at `root`; true if none failed. Blocks until they are done.
pub(crate) fn run(root: &Path, steps: &[&Step], options: &Options) -> bool {
    let mut reports = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let report = watched(root, step, index + 1, steps.len());
        tell(&report, options.format);
        let failed = matches!(report.outcome, Outcome::Failed(_));
        reports.push(report);
        if failed && !options.keep_going {
            break;
        }
    }
    summarise(&reports, options);
    reports.iter().all(|report| !matches!(report.outcome, Outcome::Failed(_)))
}

/// Prints the table without running it.
pub(crate) fn list(steps: &[&Step], format: Format) {
    for step in steps {
        match format {
            Format::Text => say(&format!("{:14} {}\n{:14} {}", step.name, step.line(), "", step.shows)),
            Format::Json => {
                say(&json!({"step": step.name, "command": step.line(), "shows": step.shows}).to_string());
            }
        }
    }
}

/// Runs one step under a spinner, or after a line that names it where no one watches.
fn watched<'a>(root: &Path, step: &'a Step, number: usize, count: usize) -> Report<'a> {
    let title = format!("[{number}/{count}] {}: {}", step.name, step.line());
    let spinner = ProgressBar::new_spinner().with_message(title.clone());
    if terminal::is_watched() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    } else {
        warn(&title);
    }
    let start = Instant::now();
    let outcome = outcome(root, step);
    spinner.finish_and_clear();
    Report { step, outcome, time: start.elapsed() }
}

fn outcome(root: &Path, step: &Step) -> Outcome {
    if let Some(reason) = step.when.nothing_to_do(root) {
        return Outcome::Skipped(reason);
    }
    if let Some(tool) = step.tool.filter(|tool| !is_installed(tool)) {
        let reason = missing(tool);
        return if tool.optional { Outcome::Skipped(reason) } else { Outcome::Failed(reason) };
    }
    match command(root, step).output() {
        Ok(output) if output.status.success() => Outcome::Passed,
        Ok(output) => Outcome::Failed(transcript(&output)),
        Err(error) => Outcome::Failed(format!("`{}` does not start: {error}", step.command)),
    }
}

fn command(root: &Path, step: &Step) -> Command {
    let mut command = words(step.command);
    command.current_dir(root).stdin(Stdio::null()).envs(step.variable);
    if terminal::errors_in_colour() {
        command.env("CARGO_TERM_COLOR", "always");
    } else {
        // rustfmt colours its differences by what TERM can do, whether or not a terminal reads them.
        command.env("CARGO_TERM_COLOR", "never").env("TERM", "dumb");
    }
    command
}

fn words(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Whether `tool` answers.
pub(crate) fn is_installed(tool: &Tool) -> bool {
    let mut probe = words(tool.probe);
    let quiet = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// That `tool` is missing, and what to do.
pub(crate) fn missing(tool: &Tool) -> String {
    format!("`{}` does not answer; install it with `{}`", tool.probe, tool.install)
}

fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_string();
    format!("{}\n{}\n{}", text(&output.stdout), text(&output.stderr), output.status)
}

fn tell(report: &Report<'_>, format: Format) {
    if let Outcome::Failed(reason) = &report.outcome {
        warn(reason.trim_start());
    }
    match format {
        Format::Text => say(&text(report)),
        Format::Json => say(&json(report).to_string()),
    }
}

fn text(report: &Report<'_>) -> String {
    let Step { name, shows, .. } = report.step;
    let (word, note) = match &report.outcome {
        Outcome::Passed => (paint("passed ", Mood::Good), *shows),
        Outcome::Skipped(reason) => (paint("skipped", Mood::Doubtful), reason.as_str()),
        Outcome::Failed(_) => (paint("FAILED ", Mood::Bad), *shows),
    };
    format!("{word} {name:14} {:>7.1} s  {note}", report.time.as_secs_f64())
}

fn json(report: &Report<'_>) -> serde_json::Value {
    let (outcome, reason) = match &report.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Skipped(reason) => ("skipped", Some(reason)),
        Outcome::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "step": report.step.name,
        "command": report.step.line(),
        "outcome": outcome,
        "reason": reason,
        "seconds": report.time.as_secs_f64(),
    })
}

fn summarise(reports: &[Report<'_>], options: &Options) {
    let count =
        |wanted: fn(&Outcome) -> bool| reports.iter().filter(|report| wanted(&report.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let seconds: f64 = reports.iter().map(|report| report.time.as_secs_f64()).sum();
    if options.format == Format::Json {
        return say(
            &json!({"passed": passed, "skipped": skipped, "failed": failed, "seconds": seconds}).to_string()
        );
    }
    if options.times {
        say("");
        reports
            .iter()
            .for_each(|report| say(&format!("{:14} {:>7.1} s", report.step.name, report.time.as_secs_f64())));
        say(&format!("{:14} {seconds:>7.1} s", "total"));
    }
    say(&format!("{passed} passed, {skipped} skipped, {failed} failed"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::When;

    const TRUE: Step =
        Step { name: "true", variable: None, command: "true", shows: "", when: When::Always, tool: None };
    const ABSENT: Tool = Tool { probe: "no-such-program", install: "fetch it", optional: false };
    const LUXURY: Tool = Tool { optional: true, ..ABSENT };

    fn run_all(steps: &[&Step], keep_going: bool) -> bool {
        run(Path::new("."), steps, &Options { times: true, keep_going, format: Format::Text })
    }

    fn judged(step: &Step) -> Outcome {
        outcome(Path::new("."), step)
    }

    #[test]
    fn a_failing_command_fails_the_gate() {
        let fails = Step { command: "false", ..TRUE };
        assert!(run_all(&[&TRUE], false));
        assert!(!run_all(&[&fails, &TRUE], true));
        assert!(matches!(judged(&fails), Outcome::Failed(_)));
    }

    #[test]
    fn the_first_failure_stops_the_gate_unless_it_keeps_going() {
        let directory = tempfile::tempdir().unwrap();
        let fails = Step { command: "false", ..TRUE };
        let leaves_a_mark = Step { command: "touch mark", ..TRUE };
        let mark = directory.path().join("mark");
        for keep_going in [false, true] {
            let options = Options { times: false, keep_going, format: Format::Json };
            assert!(!run(directory.path(), &[&fails, &leaves_a_mark], &options));
            assert_eq!(mark.exists(), keep_going);
        }
    }

    #[test]
    fn a_missing_tool_is_named_with_the_command_that_installs_it() {
        let Outcome::Failed(reason) = judged(&Step { tool: Some(&ABSENT), ..TRUE }) else {
            panic!("it fails")
        };
        assert!(reason.contains("fetch it"));
        let Outcome::Skipped(reason) = judged(&Step { tool: Some(&LUXURY), ..TRUE }) else {
            panic!("it skips")
        };
        assert!(reason.contains("fetch it"));
    }

    #[test]
    fn a_step_with_nothing_to_do_is_skipped_and_says_why() {
        let step = Step { when: When::Path("no/such/path"), ..TRUE };
        assert_eq!(judged(&step), Outcome::Skipped("there is no no/such/path".into()));
        assert!(run_all(&[&step], false));
    }

    #[test]
    fn a_step_sees_its_variable() {
        let step = Step { variable: Some(("GATE_WORD", "a b")), command: "printenv GATE_WORD", ..TRUE };
        assert_eq!(judged(&step), Outcome::Passed);
    }
}
