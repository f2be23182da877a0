//! The `aether` binary as a process: started, killed at a moment, waited for.

use crate::oracle::Verdict;
use aether_sync::thread::sleep;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// When a process that should end takes longer than this, it hangs.
const HANG: Duration = Duration::from_secs(60);

/// Where a process writes: files, which outlive it and never make it wait.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Standard output.
    pub told: PathBuf,
    /// Standard error.
    pub complaints: PathBuf,
}

impl Outputs {
    /// Two files in a directory.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { told: dir.join(format!("{name}.out")), complaints: dir.join(format!("{name}.err")) }
    }
}

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    outputs: Outputs,
    start: Instant,
}

/// How a process came to its end.
#[derive(Debug)]
pub struct Ending {
    /// True if it was killed before it ended of itself.
    pub killed: bool,
    /// Its exit code, if it ended of itself.
    pub code: Option<i32>,
    /// What it said on standard output.
    pub told: String,
    /// What it said on standard error.
    pub complaints: String,
    /// How long it ran.
    pub lasted: Duration,
}

impl Process {
    /// Starts `binary` with `arguments`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(binary: &Path, arguments: &[String], outputs: Outputs) -> Verdict<Self> {
        let file = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file(&outputs.told)?)
            .stderr(file(&outputs.complaints)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        Ok(Self { child, outputs, start: Instant::now() })
    }

    /// Kills the process when it has run for `after`, unless it has ended before. Blocks.
    ///
    /// # Errors
    /// If its output cannot be read.
    pub fn kill_after(mut self, after: Duration) -> Verdict<Ending> {
        sleep(after.saturating_sub(self.start.elapsed()));
        // To kill what has just ended is no error.
        self.child.kill().map_err(|error| format!("kill: {error}"))?;
        let status = self.child.wait().map_err(|error| format!("wait: {error}"))?;
        self.ending(status)
    }

    /// Waits until the process ends of itself; one that hangs is killed. Blocks.
    ///
    /// # Errors
    /// If it hangs, or its output cannot be read.
    pub fn wait(mut self) -> Verdict<Ending> {
        while self.start.elapsed() < HANG {
            if let Some(status) = self.child.try_wait().map_err(|error| format!("wait: {error}"))? {
                return self.ending(status);
            }
            sleep(Duration::from_millis(1));
        }
        Err(format!("the process hangs: it runs for {} s", HANG.as_secs()))
    }

    fn ending(&self, status: ExitStatus) -> Verdict<Ending> {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        Ok(Ending {
            killed: status.code().is_none(),
            code: status.code(),
            told: String::from_utf8_lossy(&read(&self.outputs.told)?).into_owned(),
            complaints: String::from_utf8_lossy(&read(&self.outputs.complaints)?).into_owned(),
            lasted: self.start.elapsed(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has mostly ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary to test: built by cargo if cargo runs this program, else the one beside it.
///
/// # Errors
/// If there is none.
pub fn default_binary() -> Verdict<PathBuf> {
    let own = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let directory = own.parent().ok_or("this program's path has no directory")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = directory.ends_with("release");
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "-p", "aether-cli", "--bin", "aether"])
            .args(release.then_some("--release"));
        let built = build.status().map_err(|error| format!("cargo: {error}"))?;
        if !built.success() {
            return Err("cargo cannot build the binary".into());
        }
    }
    let beside = directory.join("aether");
    beside.is_file().then_some(beside).ok_or_else(|| {
        format!(
            "no `aether` in {}: build it with `cargo build -p aether-cli`, or name it by --binary",
            directory.display()
        )
    })
}
