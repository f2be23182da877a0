//! Rules about the text of the repository that no compiler checks.
//!
//! Each rule is a function from one [`File`] to at most one breach. A rule that seems wrong in one place is
//! changed here, where the reason can be read; there is no way to switch it off in the file.

use std::collections::BTreeSet;

use crate::source;

/// Production files stay below this many lines.
pub const MAX_LINES: usize = 900;

/// The rooms where `unsafe` lives; every other file does without.
pub const UNSAFE_ROOMS: &[&str] = &[
    // heed opens LMDB's environments by an unsafe call.
    "benches/peers/src/adapters/lmdb.rs",
    "crates/aether-buffer/src/memory.rs",
    "crates/aether-cli/src/import/lmdb.rs",
    "crates/aether-sync/src/park.rs",
    "crates/aether-sync/src/thread/batch.rs",
    "crates/aether-torture/src/allocation.rs",
];

/// Crates of ours that may name `std::fs`; benches, tests and examples may anyway.
pub const FILE_CRATES: &[&str] = &["aether-cli", "aether-torture", "aether-vfs", "xtask"];

/// Crates that drive the schedule checkers themselves, and hand their results out of a schedule.
pub const SCHEDULING_CRATES: &[&str] = &["aether-trace-runs"];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// What `aether-sync` stands before. `cfg(loom)` and `cfg(shuttle)` are not names of the crates.
const SYNC_WORDS: &[&str] =
    &["core::sync", "parking_lot", "parking_lot_core", "loom::", "shuttle::", "use loom", "use shuttle"];

/// Top directories that lie on one machine and not on the next, without their slashes.
const MACHINE_DIRECTORIES: &[&str] = &["root", "home", "work", "Users"];

/// One text file of the repository.
pub struct File {
    path: String,
    text: String,
    code: String,
}

impl File {
    /// A file with its path relative to the top, in forward slashes.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { source::code(&text) } else { String::new() };
        Self { path, text, code }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate below `crates/` that the file belongs to.
    fn owner(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// In a `src` directory below `crates/`, and not a file of unit tests.
    fn is_production(&self) -> bool {
        let inside =
            self.owner().and_then(|owner| self.path["crates/".len() + owner.len()..].strip_prefix("/src/"));
        self.is_rust() && inside.is_some_and(|inside| !inside.split(['/', '.']).any(|part| part == "tests"))
    }

    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }

    fn production_code(&self) -> String {
        source::without_tests(&self.code)
    }

    fn breach(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every breach of every rule. `sync_free` holds the crates above the ground, which reach threads, locks and
/// atomics through `aether-sync` alone.
pub fn breaches(files: &[File], sync_free: &BTreeSet<String>) -> Vec<String> {
    files.iter().flat_map(|file| file_breaches(file, sync_free)).collect()
}

fn file_breaches(file: &File, sync_free: &BTreeSet<String>) -> Vec<String> {
    let found = [
        too_long(file),
        empty_name(file),
        machine_path(file),
        foreign_sync(file, sync_free),
        files(file),
        rooms(file),
    ];
    found.into_iter().flatten().collect()
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    let long = file.is_rust() && file.path.contains("/src/") && lines >= MAX_LINES;
    long.then(|| format!("{}: {lines} lines; split it below {MAX_LINES}", file.path))
}

fn empty_name(file: &File) -> Option<String> {
    if file.path.ends_with("/mod.rs") {
        return Some(format!("{}: put `foo.rs` beside `foo/` instead of `foo/mod.rs`", file.path));
    }
    let empty = file.is_rust() && EMPTY_NAMES.contains(&file.stem());
    empty.then(|| format!("{}: name the file after what it holds", file.path))
}

fn machine_path(file: &File) -> Option<String> {
    let named = |line: &str| MACHINE_DIRECTORIES.iter().any(|directory| line_has_path(line, directory));
    let line = file.text.lines().position(named)?;
    Some(file.breach(line + 1, "a path that exists on one machine only"))
}

/// Whether `line` has the absolute path `/directory/..`: a slash that continues no other path.
fn line_has_path(line: &str, directory: &str) -> bool {
    let path = format!("/{directory}/");
    let continues = |last: char| last.is_alphanumeric() || "._-/}*>".contains(last);
    line.match_indices(&path).any(|(start, _)| !line[..start].chars().next_back().is_some_and(continues))
}

fn foreign_sync(file: &File, sync_free: &BTreeSet<String>) -> Option<String> {
    let owner = file.owner()?;
    if !file.is_production() || !sync_free.contains(owner) || SCHEDULING_CRATES.contains(&owner) {
        return None;
    }
    let code = file.production_code();
    let named = SYNC_WORDS.iter().find_map(|word| source::line_naming(&code, word));
    let line = named.or_else(|| source::line_naming_std(&code, "sync"))?;
    Some(file.breach(line, "threads, locks and atomics come from aether-sync"))
}

fn files(file: &File) -> Option<String> {
    if !file.is_production() || FILE_CRATES.contains(&file.owner()?) {
        return None;
    }
    let line = source::line_naming_std(&file.production_code(), "fs")?;
    Some(file.breach(line, "files are reached through aether-vfs, not std::fs"))
}

fn rooms(file: &File) -> Option<String> {
    if UNSAFE_ROOMS.contains(&file.path.as_str()) {
        return None;
    }
    let line = source::line_naming(&file.code, "unsafe")?;
    Some(file.breach(line, "unsafe outside its rooms (UNSAFE_ROOMS in crates/xtask/src/rules.rs)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        let sync_free = BTreeSet::from(["aether-wal".to_string()]);
        breaches(&[File::new(path, text)], &sync_free)
    }

    fn passes(path: &str, text: &str) {
        assert_eq!(judge(path, text), Vec::<String>::new());
    }

    fn fails(path: &str, text: &str, what: &str) {
        let found = judge(path, text);
        assert!(found.len() == 1 && found[0].contains(what), "{found:?} should say {what:?}");
    }

    #[test]
    fn a_long_file_is_reported() {
        passes("crates/aether-wal/src/ring.rs", &"\n".repeat(MAX_LINES - 1));
        passes("crates/aether-wal/tests/it/ring.rs", &"\n".repeat(MAX_LINES));
        fails("crates/aether-wal/src/ring.rs", &"\n".repeat(MAX_LINES), "900 lines");
    }

    #[test]
    fn mod_rs_and_empty_names_are_reported() {
        passes("crates/aether-wal/src/ring.rs", "");
        fails("crates/aether-wal/src/ring/mod.rs", "", "beside");
        fails("crates/aether-wal/tests/it/common.rs", "", "what it holds");
        fails("benches/engine/src/utils.rs", "", "what it holds");
    }

    #[test]
    fn a_machine_path_is_reported() {
        let path = ["", "home", "someone", "data"].join("/");
        fails("docs/guide.md", &format!("first\nopen `{path}`"), "docs/guide.md:2");
        passes("docs/guide.md", &format!("open `store{path}` or https://example.org{path}"));
    }

    #[test]
    fn locks_from_elsewhere_are_reported_above_the_ground() {
        let path = "crates/aether-wal/src/ring.rs";
        for text in [
            "use std::sync::Arc;",
            "use std::{fmt, sync::Mutex};",
            "use parking_lot::Mutex;",
            "loom::model(f)",
        ] {
            fails(path, text, "aether-sync");
            passes("crates/aether-sync/src/lock.rs", text);
            passes("crates/aether-wal/tests/loom_ring.rs", text);
            passes(path, &format!("#[cfg(test)]\nmod tests {{\n    {text}\n}}\n"));
        }
        passes(path, "#[cfg(loom)]\nuse aether_sync::Arc; // not std::sync::Arc\n");
    }

    #[test]
    fn files_past_the_vfs_are_reported() {
        fails("crates/aether-wal/src/segment.rs", "use std::fs::File;", "aether-vfs");
        fails("crates/aether-wal/src/segment.rs", "use std::{fs, io};", "aether-vfs");
        for path in [
            "crates/aether-vfs/src/real.rs",
            "crates/aether/examples/open.rs",
            "benches/engine/benches/get.rs",
        ] {
            passes(path, "use std::fs::File;");
        }
    }

    #[test]
    fn unsafe_outside_its_rooms_is_reported() {
        passes(UNSAFE_ROOMS[0], "unsafe { read(p) }");
        passes(
            "crates/aether-wal/src/ring.rs",
            "#![forbid(unsafe_code)] // no unsafe\nconst A: &str = \"unsafe\";",
        );
        fails("crates/aether-wal/src/ring.rs", "fn f() {\n    unsafe { read(p) }\n}", "ring.rs:2");
        fails("crates/aether-wal/tests/it/main.rs", "unsafe impl Send for A {}", "main.rs:1");
    }
}
