//! Paths that are no good homes.

use super::options;
use aether::{Db, ErrorKind};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

/// Refused as a wrong path, and never as damage; the path is told, as far as it can be.
#[track_caller]
fn refused(home: impl AsRef<Path>) {
    use ErrorKind::{AlreadyExists, InvalidInput, Io, NotFound, ReadOnly};
    let home = home.as_ref();
    let error = Db::open_with(home, options(4096)).map(|_| ()).unwrap_err();
    let wrong_path = matches!(error.kind(), InvalidInput | NotFound | AlreadyExists | Io | ReadOnly);
    assert!(wrong_path, "{}: {:?}: {error}", home.display(), error.kind());
    assert!(error.place().path.is_some(), "{}: the path is not told: {error}", home.display());
}

#[test]
fn a_home_that_cannot_be_one_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "a file").unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    for name in ["file", "file/below", "dangling", "loop", "no\0name", "no/parent"] {
        refused(at(name));
    }
    refused(at(&"n".repeat(256)));
    refused(at(&"a/".repeat(3000)));
    refused("/dev/null");
    refused("");
    assert_eq!(fs::read(at("file")).unwrap(), b"a file");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "something was created");
}

#[test]
fn a_home_of_the_longest_name_and_one_behind_links_work() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    for name in [&"n".repeat(255), "link", "real/../up", "\u{20ac} and spaces"] {
        let home = dir.path().join(name);
        Db::open_with(&home, options(4096)).unwrap().put(b"k", name.as_bytes()).unwrap();
        assert_eq!(Db::open_with(&home, options(4096)).unwrap().get(b"k").unwrap().unwrap(), name.as_bytes());
    }
}

/// The lock is in the directory, so that two names of one home are one home.
#[test]
fn a_home_open_under_one_name_is_locked_under_another() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("home");
    let _open = Db::open_with(&home, options(4096)).unwrap();
    symlink(&home, dir.path().join("link")).unwrap();
    for name in ["link", "./home/../home"] {
        let error = Db::open_with(dir.path().join(name), options(4096)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    }
}

/// A file system that takes no names; who runs as the superuser can write in any other directory.
#[test]
fn a_directory_where_nothing_can_be_written_is_told() {
    if Path::new("/proc/self").exists() {
        refused("/proc/self/store");
    }
}

/// A part of the store that is not a file any more.
#[test]
fn a_store_whose_files_are_links_or_directories_is_refused() {
    for name in ["control", "pages-00000001", "double-write"] {
        let dir = TempDir::new().unwrap();
        let home = dir.path().join("home");
        Db::open_with(&home, options(4096)).unwrap().put(b"k", b"v").unwrap();
        fs::remove_file(home.join(name)).unwrap();
        fs::create_dir(home.join(name)).unwrap();
        refused(&home);
        fs::remove_dir(home.join(name)).unwrap();
        symlink("/dev/zero", home.join(name)).unwrap();
        refused(&home);
    }
}
