//! Builds `aether-trace-runs` and starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checks::extended;
use crate::terminal::warn;

/// How threads take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    fn build(self, with_mutants: bool) -> (String, &'static str) {
        let mutants = if with_mutants { " --cfg aether_mutants" } else { "" };
        match (self, with_mutants) {
            (Source::Schedules, true) => {
                (format!("--cfg aether_trace --cfg shuttle{mutants}"), "target/trace-mutants-shuttle")
            }
            (Source::Schedules, false) => ("--cfg aether_trace --cfg shuttle".into(), "target/trace-shuttle"),
            (Source::Threads, true) => (format!("--cfg aether_trace{mutants}"), "target/trace-mutants"),
            (Source::Threads, false) => ("--cfg aether_trace".into(), "target/trace"),
        }
    }
}

/// A program that makes traces.
pub(crate) struct Runner {
    source: Source,
    program: PathBuf,
}

impl Runner {
    /// Builds it; blocks.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn build(root: &Path, source: Source, with_mutants: bool) -> Result<Self, String> {
        let (flags, target) = source.build(with_mutants);
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root).env("RUSTFLAGS", extended("RUSTFLAGS", &flags));
        cargo.args(["build", "--quiet", "-p", "aether-trace-runs", "--target-dir", target]);
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

    /// Lets it make traces, a step a line; blocks.
    ///
    /// # Errors
    /// It does not start, or fails.
    pub(crate) fn run(
        &self,
        protocol: &str,
        events: u64,
        seed: u64,
        mutant: Option<&str>,
    ) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args([protocol, "--events", &events.to_string(), "--seed", &seed.to_string()]);
        if let Some(name) = mutant {
            command.args(["--mutant", name]);
        }
        command.env("SHUTTLE_SILENCE_WARNINGS", "1").stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("{}: {error}", self.program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the runs of {protocol} failed, {}: {}", output.status, said.trim()));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("the traces of {protocol} are no text"))
    }
}
