//! Builds `aether-trace-runs` and starts it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::checks::extended;
use crate::terminal::warn;
use crate::tla::checker::ends_in_time;
use crate::tla::tools::Tools;

/// With a bug planted a run may hang.
const RUN_TIME_MAX: Duration = Duration::from_secs(600);

/// How threads take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// As shuttle says; a seed repeats it.
    Schedules,
    /// As the system says, disturbed at every event.
    Threads,
}

impl Source {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Source::Schedules => "schedules",
            Source::Threads => "threads",
        }
    }

    /// What a build for it sets, and where it goes: builds with other flags stay warm.
    fn build(self, with_mutants: bool) -> (String, String) {
        let (mutants, of_mutants) =
            if with_mutants { (" --cfg aether_mutants", "-mutants") } else { ("", "") };
        let (shuttle, of_shuttle) = match self {
            Source::Schedules => (" --cfg shuttle", "-shuttle"),
            Source::Threads => ("", ""),
        };
        (format!("--cfg aether_trace{shuttle}{mutants}"), format!("target/trace{of_mutants}{of_shuttle}"))
    }
}

/// A program that makes traces.
pub(crate) struct Runner {
    source: Source,
    program: PathBuf,
}

impl Runner {
    /// Builds one for each source that is wanted, for all if none is named; blocks.
    ///
    /// # Errors
    /// A build fails.
    pub(crate) fn all(root: &Path, wanted: &[Source], with_mutants: bool) -> Result<Vec<Self>, String> {
        let sources = [Source::Schedules, Source::Threads].into_iter();
        let sources = sources.filter(|source| wanted.is_empty() || wanted.contains(source));
        sources.map(|source| Self::build(root, source, with_mutants)).collect()
    }

    /// Builds it; blocks.
    ///
    /// # Errors
    /// The build fails.
    fn build(root: &Path, source: Source, with_mutants: bool) -> Result<Self, String> {
        let (flags, target) = source.build(with_mutants);
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root).env("RUSTFLAGS", extended("RUSTFLAGS", &flags));
        cargo.args(["build", "--quiet", "-p", "aether-trace-runs", "--target-dir", &target]);
        warn(&format!("building aether-trace-runs with {flags}"));
        let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
        if !status.success() {
            return Err(format!("aether-trace-runs cannot be built with {flags}"));
        }
        Ok(Self { source, program: root.join(target).join("debug/aether-trace-runs") })
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Lets it make traces, a step a line, in a file of `tools`; blocks. A run that fails has told something before.
    ///
    /// # Errors
    /// It does not start, or leaves no text.
    pub(crate) fn run(&self, tools: &Tools, order: &Order<'_>) -> Result<Told, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", self.program.display());
        let name = format!("{}-{}-{}", order.protocol, self.source.name(), order.mutant.unwrap_or("code"));
        let (lines, errors) =
            (tools.runs.join(format!("{name}.jsonl")), tools.runs.join(format!("{name}.txt")));
        let mut command = Command::new(&self.program);
        command.args([order.protocol, "--events", &order.events.to_string()]);
        command.args(["--seed", &order.seed.to_string()]);
        if let Some(name) = order.mutant {
            command.args(["--mutant", name]);
        }
        command.env("SHUTTLE_SILENCE_WARNINGS", "1").stdin(Stdio::null());
        command.stdout(File::create(&lines).map_err(wrong)?).stderr(File::create(&errors).map_err(wrong)?);
        let mut child = command.spawn().map_err(wrong)?;
        let in_time = ends_in_time(&mut child, RUN_TIME_MAX);
        let status = child.wait().map_err(wrong)?;
        let traces = fs::read_to_string(&lines).map_err(wrong)?;
        let failure = (!in_time || !status.success()).then(|| {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            let end = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            format!("the runs of {} ended with {status}: {end}", order.protocol)
        });
        Ok(Told { traces, failure })
    }
}

/// What traces to make.
pub(crate) struct Order<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) events: u64,
    pub(crate) seed: u64,
    pub(crate) mutant: Option<&'a str>,
}

/// What a run has told.
pub(crate) struct Told {
    /// A step a line.
    pub(crate) traces: String,
    /// How it failed, or that it did not end.
    pub(crate) failure: Option<String>,
}
