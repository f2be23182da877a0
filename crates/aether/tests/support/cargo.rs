//! Runs cargo with the profile that the running test was built with, so that nothing is built twice.

use std::path::Path;
use std::process::Command;

/// `cargo <verb>` of this workspace, with this profile and target directory.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([verb, "--quiet", "--profile", profile()]);
    cargo
}

/// The profile, by the directory that holds this test: target/<directory>/deps/<test>.
fn profile() -> &'static str {
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = test.parent().and_then(Path::parent).and_then(Path::file_name);
    if directory.is_some_and(|name| name == "release") { "release" } else { "test" }
}
