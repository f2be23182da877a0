//! The suite that every [`Vfs`] must pass: what is true while nothing fails.

use crate::{
    AlignedBuf, Create, Entry, File, Mode, OpenOptions, Vfs, read_exact_at, read_file, write_file_durably,
};
use aether_sync::{Arc, thread};
use aether_types::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Runs every check, each in a fresh place: `make` returns a file system and an empty directory in it.
///
/// # Panics
/// If the file system breaks a rule.
pub fn run(make: impl Fn() -> (Arc<dyn Vfs>, PathBuf)) {
    const CHECKS: &[fn(&Place)] = &[
        opening_follows_create,
        a_directory_is_no_file,
        bytes_are_read_as_written,
        reads_stop_at_the_end,
        writes_past_the_end_leave_zeroes,
        sizes_are_set,
        reading_handles_do_not_write,
        handles_share_the_file,
        names_are_listed_in_order,
        files_are_removed_and_live_on_for_handles,
        directories_nest_and_are_removed_empty,
        renames_replace,
        directories_move_with_content,
        every_mode_reads_and_writes,
        a_lock_excludes_and_names_its_holder,
        whole_files_are_replaced,
        threads_write_apart,
        errors_name_the_path,
    ];
    for check in CHECKS {
        let (vfs, dir) = make();
        check(&Place { vfs, dir });
    }
}

const NEW: OpenOptions = OpenOptions { write: true, create: Create::New, mode: Mode::Buffered };
const READ: OpenOptions = OpenOptions { write: false, create: Create::No, mode: Mode::Buffered };
const WRITE: OpenOptions = OpenOptions { write: true, create: Create::No, mode: Mode::Buffered };

struct Place {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn open(&self, name: &str, options: OpenOptions) -> Result<Arc<dyn File>> {
        self.vfs.open(&self.at(name), options)
    }

    #[track_caller]
    fn file(&self, name: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = good(self.open(name, NEW));
        good(file.write_at(0, bytes));
        file
    }

    #[track_caller]
    fn names(&self, dir: &Path) -> Vec<String> {
        good(self.vfs.list(dir)).into_iter().map(|entry| entry.name).collect()
    }
}

#[track_caller]
fn good<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("must succeed: {error}"),
    }
}

#[track_caller]
fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("must fail"),
        Err(error) => error.kind(),
    }
}

#[track_caller]
fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; good(file.size()) as usize];
    good(read_exact_at(file, 0, &mut bytes));
    bytes
}

fn opening_follows_create(place: &Place) {
    assert_eq!(kind(place.open("a", READ)), ErrorKind::NotFound);
    assert_eq!(kind(place.open("a", WRITE)), ErrorKind::NotFound);
    place.file("a", b"kept");
    assert_eq!(kind(place.open("a", NEW)), ErrorKind::AlreadyExists);
    let again = good(place.open("a", OpenOptions::write(Create::IfMissing)));
    assert_eq!(content(&*again), b"kept");
    good(place.open("b", OpenOptions::write(Create::IfMissing)));
    let unwritable = OpenOptions { write: false, ..NEW };
    assert_eq!(kind(place.open("c", unwritable)), ErrorKind::InvalidInput);
    assert_eq!(kind(place.open("none/a", NEW)), ErrorKind::NotFound);
}

fn a_directory_is_no_file(place: &Place) {
    good(place.vfs.create_dir(&place.at("d")));
    kind(place.open("d", WRITE));
    kind(place.open("d", READ));
}

fn bytes_are_read_as_written(place: &Place) {
    let file = place.file("a", b"0123456789");
    good(file.write_at(3, b"abc"));
    good(file.sync());
    assert_eq!(content(&*file), b"012abc6789");
    good(file.write_at(8, b"longer"));
    assert_eq!(content(&*file), b"012abc67longer");
    good(file.write_at(100, b""));
    assert_eq!(good(file.size()), 14);
}

fn reads_stop_at_the_end(place: &Place) {
    let file = place.file("a", b"12345");
    let mut into = [9; 8];
    assert_eq!(good(file.read_at(2, &mut into)), 3);
    assert_eq!(&into, b"345\x09\x09\x09\x09\x09");
    assert_eq!(good(file.read_at(5, &mut into)), 0);
    assert_eq!(good(file.read_at(1 << 40, &mut into)), 0);
    assert_eq!(good(file.read_at(0, &mut [])), 0);
    assert_eq!(kind(read_exact_at(&*file, 2, &mut into)), ErrorKind::Corruption);
}

fn writes_past_the_end_leave_zeroes(place: &Place) {
    let file = place.file("a", b"x");
    good(file.write_at(5000, b"y"));
    let bytes = content(&*file);
    assert_eq!((bytes.len(), bytes[0], bytes[5000]), (5001, b'x', b'y'));
    assert!(bytes[1..5000].iter().all(|byte| *byte == 0));
}

fn sizes_are_set(place: &Place) {
    let file = place.file("a", b"0123456789");
    good(file.set_size(4));
    assert_eq!(content(&*file), b"0123");
    good(file.set_size(6));
    assert_eq!(content(&*file), b"0123\0\0");
    good(file.set_size(0));
    assert_eq!(good(file.size()), 0);
    good(file.set_size(1 << 20));
    assert_eq!(good(file.size()), 1 << 20);
}

fn reading_handles_do_not_write(place: &Place) {
    place.file("a", b"kept");
    let reader = good(place.open("a", READ));
    assert_eq!(kind(reader.write_at(0, b"x")), ErrorKind::ReadOnly);
    assert_eq!(kind(reader.set_size(0)), ErrorKind::ReadOnly);
    assert_eq!(content(&*reader), b"kept");
}

fn handles_share_the_file(place: &Place) {
    let one = place.file("a", b"old");
    let two = good(place.open("a", WRITE));
    good(two.write_at(0, b"new!"));
    assert_eq!(content(&*one), b"new!");
    drop(two);
    assert_eq!(content(&*one), b"new!");
}

fn names_are_listed_in_order(place: &Place) {
    assert!(good(place.vfs.list(&place.dir)).is_empty());
    place.file("b", b"12");
    place.file("a.2", b"");
    good(place.vfs.create_dir(&place.at("a")));
    place.file("a/inner", b"123");
    let entry = |name: &str, is_dir, size| Entry { name: name.into(), is_dir, size };
    let expected = vec![entry("a", true, 0), entry("a.2", false, 0), entry("b", false, 2)];
    assert_eq!(good(place.vfs.list(&place.dir)), expected);
    assert_eq!(place.names(&place.at("a")), ["inner"]);
    assert_eq!(kind(place.vfs.list(&place.at("none"))), ErrorKind::NotFound);
    kind(place.vfs.list(&place.at("b")));
}

fn files_are_removed_and_live_on_for_handles(place: &Place) {
    let file = place.file("a", b"alive");
    good(place.vfs.remove(&place.at("a")));
    assert_eq!(kind(place.open("a", READ)), ErrorKind::NotFound);
    assert_eq!(kind(place.vfs.remove(&place.at("a"))), ErrorKind::NotFound);
    good(file.write_at(5, b"!"));
    place.file("a", b"another");
    assert_eq!(content(&*file), b"alive!");
    good(file.sync());
    good(place.vfs.sync_dir(&place.dir));
}

fn directories_nest_and_are_removed_empty(place: &Place) {
    let (outer, inner) = (place.at("d"), place.at("d/e"));
    assert_eq!(kind(place.vfs.create_dir(&inner)), ErrorKind::NotFound);
    good(place.vfs.create_dir(&outer));
    good(place.vfs.create_dir(&inner));
    assert_eq!(kind(place.vfs.create_dir(&outer)), ErrorKind::AlreadyExists);
    kind(place.vfs.remove(&outer));
    good(place.vfs.sync_dir(&outer));
    good(place.vfs.remove(&inner));
    good(place.vfs.remove(&outer));
    assert_eq!(kind(place.vfs.sync_dir(&outer)), ErrorKind::NotFound);
    place.file("f", b"");
    assert_eq!(kind(place.vfs.create_dir(&place.at("f"))), ErrorKind::AlreadyExists);
}

fn renames_replace(place: &Place) {
    let (a, b) = (place.at("a"), place.at("b"));
    assert_eq!(kind(place.vfs.rename(&a, &b)), ErrorKind::NotFound);
    place.file("a", b"new");
    let replaced = place.file("b", b"old");
    good(place.vfs.rename(&a, &b));
    assert_eq!(place.names(&place.dir), ["b"]);
    assert_eq!(good(read_file(&*place.vfs, &b)), b"new");
    assert_eq!(content(&*replaced), b"old");
    good(place.vfs.rename(&b, &b));
    assert_eq!(good(read_file(&*place.vfs, &b)), b"new");
    good(place.vfs.create_dir(&a));
    kind(place.vfs.rename(&b, &a));
    kind(place.vfs.rename(&a, &b));
    assert_eq!(kind(place.vfs.rename(&b, &place.at("none/b"))), ErrorKind::NotFound);
}

fn directories_move_with_content(place: &Place) {
    good(place.vfs.create_dir(&place.at("d")));
    let file = place.file("d/a", b"one");
    good(place.vfs.rename(&place.at("d"), &place.at("e")));
    assert_eq!(good(read_file(&*place.vfs, &place.at("e/a"))), b"one");
    assert_eq!(place.names(&place.dir), ["e"]);
    good(file.write_at(0, b"two"));
    assert_eq!(good(read_file(&*place.vfs, &place.at("e/a"))), b"two");
    good(place.vfs.create_dir(&place.at("d")));
    kind(place.vfs.rename(&place.at("d"), &place.at("e")));
    good(place.vfs.remove(&place.at("e/a")));
    good(place.vfs.rename(&place.at("d"), &place.at("e")));
    kind(place.vfs.rename(&place.at("e"), &place.at("e/f")));
}

fn every_mode_reads_and_writes(place: &Place) {
    for mode in [Mode::Buffered, Mode::Direct, Mode::DirectDurable] {
        let file = good(place.open(&format!("{mode:?}"), NEW.with_mode(mode)));
        let mut block = AlignedBuf::new(8192);
        block.fill(3);
        good(file.write_at(0, &block));
        good(file.write_at(8192, &block[..4096]));
        good(file.write_at(4000, b"odd"));
        good(file.write_at(12288, &block[1..11]));
        let mut back = AlignedBuf::new(16384);
        assert_eq!(good(file.read_at(0, &mut back)), 12298);
        assert!(back[..12298].iter().enumerate().all(|(at, byte)| *byte == 3 || (4000..4003).contains(&at)));
        assert_eq!(&back[4000..4003], b"odd");
        assert_eq!(good(file.read_at(4001, &mut back[1..3])), 2);
        good(file.sync());
        good(file.set_size(4096));
        assert_eq!(good(file.read_at(0, &mut back)), 4096);
    }
}

fn a_lock_excludes_and_names_its_holder(place: &Place) {
    let options = OpenOptions::write(Create::IfMissing);
    let first = good(place.open("lock", options));
    let second = good(place.open("lock", options));
    good(first.lock("the first program"));
    good(first.lock("the first program"));
    let error = match second.lock("the second") {
        Ok(()) => panic!("two handles hold one lock"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(text.contains("the first program") && text.contains(&std::process::id().to_string()), "{text}");
    drop(first);
    good(second.lock("the second"));
    assert!(String::from_utf8_lossy(&content(&*second)).contains("the second"));
}

fn whole_files_are_replaced(place: &Place) {
    let path = place.at("control");
    assert_eq!(kind(read_file(&*place.vfs, &path)), ErrorKind::NotFound);
    for bytes in [&b"the first and longer one"[..], b"", b"third"] {
        good(write_file_durably(&*place.vfs, &path, bytes));
        assert_eq!(good(read_file(&*place.vfs, &path)), bytes);
    }
    assert_eq!(place.names(&place.dir), ["control"]);
}

fn threads_write_apart(place: &Place) {
    let file = place.file("a", b"");
    let workers = (0..4u8).map(|id| {
        let file = file.clone();
        thread::spawn("writer", move || {
            for round in 0..25 {
                good(file.write_at((round * 4 + u64::from(id)) * 100, &[id + 1; 100]));
            }
            good(file.sync());
        })
    });
    let workers: Vec<_> = workers.collect();
    assert!(workers.into_iter().all(|worker| worker.join().is_ok()));
    let bytes = content(&*file);
    assert_eq!(bytes.len(), 10_000);
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 100 % 4 + 1));
}

fn errors_name_the_path(place: &Place) {
    let path = place.at("absent");
    let errors = [
        place.vfs.open(&path, READ).err(),
        place.vfs.remove(&path).err(),
        place.vfs.rename(&path, &place.at("b")).err(),
        place.vfs.list(&path).err(),
        place.vfs.sync_dir(&path).err(),
    ];
    for error in errors {
        let named = error.and_then(|error| error.place().path.clone());
        assert_eq!(named.as_ref(), Some(&path));
    }
}
