//! The repository on disk: where it is and which files belong to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Directories that a listing without git must not enter: git's own, and what builds and model runs leave.
const NOT_OURS: &[&str] = &[".git", "target", "states"];

/// The top directory of the repository: two levels above this crate, where cargo says it is now rather than where
/// it was built, so that checkouts that share a target directory do not judge each other.
pub fn root() -> PathBuf {
    let own = env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    let crates = Path::new(&own).parent();
    crates.and_then(Path::parent).expect("this crate lies two levels below the top").to_path_buf()
}

/// The files of the repository, as paths relative to `root`, sorted: the tracked ones in a checkout, else all.
///
/// # Errors
/// A directory that cannot be read.
pub fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = match tracked(root) {
        Some(files) => files,
        None => walked(root)?,
    };
    found.sort();
    Ok(found)
}

/// The first component of every path.
pub fn top_level(files: &[PathBuf]) -> BTreeSet<String> {
    let first = |path: &PathBuf| Some(path.components().next()?.as_os_str().to_string_lossy().into_owned());
    files.iter().filter_map(first).collect()
}

fn tracked(root: &Path) -> Option<Vec<PathBuf>> {
    if !root.join(".git").exists() {
        return None;
    }
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let names = String::from_utf8(output.stdout).ok()?;
    Some(names.split_terminator('\0').map(PathBuf::from).filter(|path| root.join(path).exists()).collect())
}

fn walked(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                found.extend(entry.path().strip_prefix(root).map(Path::to_path_buf));
            } else if !NOT_OURS.iter().any(|name| entry.file_name() == **name) {
                pending.push(entry.path());
            }
        }
    }
    // In a linked worktree `.git` is a file.
    found.retain(|path| path != Path::new(".git"));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn without_git_the_directory_is_listed_but_for_what_builds_leave() {
        let root = plant(&["Cargo.toml", "crates/a/src/lib.rs", "target/debug/a", "crates/a/fuzz/target/x"]);
        let found = files(root.path()).unwrap();
        assert_eq!(found, [PathBuf::from("Cargo.toml"), PathBuf::from("crates/a/src/lib.rs")]);
    }

    #[test]
    fn the_top_level_is_the_first_component_of_each_path() {
        let files = [PathBuf::from("a/b/c"), PathBuf::from("a/d"), PathBuf::from("e")];
        assert_eq!(top_level(&files), BTreeSet::from(["a".to_string(), "e".to_string()]));
    }
}
