//! The rules of the house, applied to the repository itself.

use std::fs;
use std::path::PathBuf;

use xtask::rules::{self, File};
use xtask::{floors, repository, tree};

fn all_files() -> Vec<PathBuf> {
    repository::files(&repository::root()).expect("the repository can be listed")
}

/// The repository's text files; binary ones have no lines to judge.
fn texts() -> Vec<File> {
    let read = |path: PathBuf| {
        let bytes = fs::read(repository::root().join(&path)).expect("a listed file can be read");
        let text = String::from_utf8(bytes).ok()?;
        Some(File::new(path.to_string_lossy().replace('\\', "/"), text))
    };
    all_files().into_iter().filter_map(read).collect()
}

fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn the_top_level_holds_what_it_should() {
    none(&tree::breaches(&repository::top_level(&all_files())));
}

#[test]
fn every_dependency_goes_down_the_floors() {
    let (plan, workspace) = floors::metadata::read(&repository::root()).unwrap();
    assert!(workspace.arrows.len() > plan.floors.len(), "cargo metadata told of too few dependencies");
    none(&floors::breaches(&plan, &workspace));
}

#[test]
fn the_sources_keep_the_rules() {
    let (plan, _) = floors::metadata::read(&repository::root()).unwrap();
    let files = texts();
    assert!(files.len() > plan.floors.len(), "too few files were read");
    none(&rules::breaches(&files, &floors::above_sync(&plan)));
}
