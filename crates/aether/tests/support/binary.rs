//! The command `aether`, for tests that run it.

#[path = "cargo.rs"]
mod cargo;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The binary, built now if it is missing or old.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let build = ["-p", "aether-cli", "--bin", "aether", "--message-format", "json"];
        let output = cargo::cargo("build").args(build).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        lines.lines().rev().find_map(executable).expect("cargo names the binary")
    })
}

fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message["executable"].as_str().map(PathBuf::from)
}
