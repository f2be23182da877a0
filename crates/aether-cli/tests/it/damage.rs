//! Damaged homes: either everything is there, or the command refuses with exit code 3 and names the place.

use crate::home::{Home, bare, told};
use crate::killed::{killed_after, start};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A home that was closed, with what it holds.
fn closed() -> (Home, Vec<u8>) {
    let home = Home::new();
    let work = bare(&["torture", "work", "--txs", "150", "--clients", "2", "--keys", "40"])
        .args(["--segment-bytes", "65536"])
        .arg(home.path())
        .output()
        .unwrap();
    told(&work, 0);
    let dump = home.dump();
    told(&dump, 0);
    (home, dump.stdout)
}

/// After `what` the whole content is there or the refusal names a place.
#[track_caller]
fn judge(home: &Home, wanted: &[u8], what: &str) -> bool {
    let dump: Output = home.dump();
    let text = String::from_utf8_lossy(&dump.stderr);
    assert!(!text.contains("panicked"), "{what}: {text}");
    match dump.status.code() {
        Some(0) => {
            assert!(dump.stdout == wanted, "{what}: rows are wrong or missing, and nothing is told");
            false
        }
        Some(3) => {
            assert!(text.starts_with("aether: ") && text.len() > 20, "{what}: {text}");
            true
        }
        _ => panic!("{what}: {}: {text}", dump.status),
    }
}

/// A home whose process was killed, with what it holds.
fn killed() -> (Home, Vec<u8>) {
    let home = Home::new();
    killed_after(start(&home, &["--segment-bytes", "65536"]), 400);
    let whole = files(&home);
    let dump = home.dump();
    told(&dump, 0);
    restore(&home, &whole);
    (home, dump.stdout)
}

fn files(home: &Home) -> Vec<(Vec<u8>, PathBuf)> {
    home.files().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect()
}

/// Damages a copy of each file in turn; gives how many times the store was refused.
fn each_file(damage: impl Fn(&Path, &[u8], &mut dyn FnMut(&str))) -> u32 {
    each_file_of(closed(), damage)
}

fn each_file_of((home, wanted): (Home, Vec<u8>), damage: impl Fn(&Path, &[u8], &mut dyn FnMut(&str))) -> u32 {
    let whole = files(&home);
    let mut refused = 0;
    for (bytes, file) in &whole {
        damage(file, bytes, &mut |what| {
            refused += u32::from(judge(&home, &wanted, &format!("{}: {what}", file.display())));
            restore(&home, &whole);
        });
    }
    refused
}

fn restore(home: &Home, whole: &[(Vec<u8>, PathBuf)]) {
    fs::remove_dir_all(home.path()).unwrap();
    for (bytes, file) in whole {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let refused = each_file(|file, bytes, judge| {
        let step = (bytes.len() / 24).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            fs::write(file, damaged).unwrap();
            judge(&format!("bit flipped at byte {at}"));
        }
    });
    assert!(refused > 0, "no flipped bit was ever found");
}

#[test]
fn a_cut_file_is_found_or_harmless() {
    each_file(|file, bytes, judge| {
        for part in 0..8 {
            let length = bytes.len() * part / 8;
            fs::write(file, &bytes[..length]).unwrap();
            judge(&format!("cut to {length} of {} bytes", bytes.len()));
        }
    });
}

#[test]
fn a_missing_file_is_found_or_harmless() {
    each_file(|file, _, judge| {
        fs::remove_file(file).unwrap();
        judge("removed");
    });
}

#[test]
fn a_foreign_file_is_found_or_harmless() {
    each_file(|file, bytes, judge| {
        fs::write(file, "dear reader, this is a letter\n".repeat(400)).unwrap();
        judge("replaced by a letter");
        fs::write(file, vec![0; bytes.len()]).unwrap();
        judge("replaced by zeros");
    });
}

#[test]
fn a_grown_file_is_found_or_harmless() {
    each_file(|file, bytes, judge| {
        fs::write(file, [bytes, &[0xa5; 5000]].concat()).unwrap();
        judge("grown by garbage");
    });
}

/// Of a store that was not closed too, every file is there, or is missed.
#[test]
fn a_missing_or_emptied_file_of_a_killed_process_is_found_or_harmless() {
    let refused = each_file_of(killed(), |file, _, judge| {
        fs::remove_file(file).unwrap();
        judge("removed after a kill");
        fs::write(file, "").unwrap();
        judge("emptied after a kill");
    });
    assert!(refused >= 4, "the page file, the control file and a log segment can be taken away: {refused}");
}

/// A store whose leaves are damaged one after the other: what `salvage` writes can be loaded again, and together with what it
/// lists it is everything. More leaves than a batch of page writes, which would have copies of them all.
#[test]
fn salvage_writes_what_is_sound_and_lists_the_rest() {
    let home = Home::new();
    let input = home.path().with_file_name("rows.tsv");
    let wanted: String = (0..20_000).map(|row| format!("row-{row:06}\tvalue of {row:040}\n")).collect();
    fs::write(&input, &wanted).unwrap();
    let load = |home: &Home, file: &Path| {
        told(&home.command(&["load", file.to_str().unwrap()]).output().unwrap(), 0)
    };
    load(&home, &input);
    let output = home.path().with_file_name("salvaged");
    let salvage = |home: &Home| {
        let _ = fs::remove_dir_all(&output);
        let arguments = ["--format", "json", "salvage", "--output", output.to_str().unwrap()];
        let run = home.command(&arguments).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        (run.status.code(), told, fs::read_to_string(output.join("default.tsv")).unwrap())
    };
    let (code, report, rows) = salvage(&home);
    assert_eq!((code, rows == wanted), (Some(0), true));
    assert_eq!(report["lost"], serde_json::json!([]));
    let path = home.path().join("pages-00000001");
    let bytes = fs::read(&path).unwrap();
    let all: std::collections::BTreeSet<&str> = wanted.lines().collect();
    let leaves: Vec<usize> =
        bytes.chunks(4096).zip(0..).filter(|(page, _)| page[16] == 6).map(|(_, at)| at).collect();
    let mut lossy = 0;
    for leaf in leaves.iter().step_by(leaves.len() / 12) {
        let mut bad = bytes.clone();
        bad[leaf * 4096 + 4000] ^= 1;
        fs::write(&path, bad).unwrap();
        let (code, report, rows) = salvage(&home);
        assert_eq!(code == Some(3), report["lost"] != serde_json::json!([]), "{report}");
        // With the leaf of the catalog names are lost, and rows are not.
        assert!(rows == wanted || code == Some(3), "{report}");
        assert!(rows.lines().all(|row| all.contains(row)));
        lossy += usize::from(code == Some(3));
        load(&Home::new(), &output.join("default.tsv"));
        fs::write(&path, &bytes).unwrap();
    }
    assert!(lossy > 6, "{lossy} of {} damaged leaves were lost", leaves.len());
}
