//! Histories: each planted anomaly is told by its name, at the levels that forbid it and at no other.

use aether_torture::histories::campaign::{self, Plan};
use aether_torture::histories::event;
use aether_torture::histories::judge::{Findings, judge};
use aether_torture::histories::level::Level;
use aether_torture::histories::lie::Lie;
use aether_torture::histories::run::{self, Settings};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;

/// A file below `tests/histories`, and what each level says of it.
const PLANTED: [(&str, [&[&str]; 3]); 25] = [
    ("valid-serial", [&[], &[], &[]]),
    ("valid-overlap", [&[], &[], &[]]),
    ("valid-unknown", [&[], &[], &[]]),
    ("garbage-read", [&["garbage-read"]; 3]),
    ("duplicate-element", [&["duplicate-element"]; 3]),
    ("incompatible-order", [&["incompatible-order"]; 3]),
    ("overwritten", [&["incompatible-order"]; 3]),
    ("own-append-unseen", [&["internal"]; 3]),
    ("g1a", [&["G1a"]; 3]),
    ("g1b", [&["G1b"], &["G1b", "G-single"], &["G1b", "G-single"]]),
    ("dirty-update", [&["G1a", "dirty-update"]; 3]),
    ("g0", [&["G0"]; 3]),
    ("g0-realtime", [&["G0-realtime"]; 3]),
    ("g1c", [&["G1c"]; 3]),
    ("stale-read", [&["stale-read"]; 3]),
    ("lost-append", [&["lost-append"]; 3]),
    ("unrepeatable-read", [&[], &["internal", "G-single"], &["internal", "G-single"]]),
    ("g-single", [&[], &["G-single"], &["G-single"]]),
    ("g-single-realtime", [&[], &["G-single-realtime"], &["G-single-realtime"]]),
    ("lost-update", [&[], &["lost-update"], &["lost-update"]]),
    ("long-fork", [&[], &["G-nonadjacent"], &["G-nonadjacent"]]),
    ("read-only", [&[], &[], &["G2-item"]]),
    ("g2-item", [&[], &[], &["G2-item"]]),
    ("g2", [&[], &[], &["G2"]]),
    ("g1c-of-many", [&["G1c"]; 3]),
];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

fn judge_file(name: &str, level: Level) -> Findings {
    let file = File::open(directory().join(name).with_extension("jsonl")).unwrap();
    judge(event::read(BufReader::new(file)).unwrap(), level).unwrap()
}

#[test]
fn planted_anomalies_are_told_by_name() {
    for (file, expected) in PLANTED {
        for (level, names) in Level::ALL.into_iter().zip(expected) {
            let found = judge_file(file, level);
            assert_eq!(found.names(), *names, "{file} as {level}:\n{found}");
        }
    }
}

#[test]
fn every_file_is_judged() {
    let count = fs::read_dir(directory()).unwrap().count();
    assert_eq!(count, PLANTED.len());
}

/// The longest cycle is still told in full: each transaction once, with the reason for each step.
#[test]
fn a_cycle_is_told_with_its_reasons() {
    let found = judge_file("read-only", Level::Serializable);
    let told = found.anomalies[0].to_string();
    for reason in [
        "T1 read y without 2, appended by T2",
        "T3 read 2 in y, appended by T2",
        "T3 read x without 2, appended by T1",
    ] {
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(found.anomalies[0].transactions.len(), 3);
}

fn made(settings: Settings) -> Findings {
    run::run(&settings).unwrap().findings
}

/// What the engine does at each level is what the level promises, through power cuts too.
#[test]
fn histories_of_the_engine_show_nothing_forbidden() {
    let plan = Plan { txns: 12_000, ..Plan::full(3) };
    let tally = campaign::run(&plan, &mut |_| ());
    assert!(tally.is_clean(), "{tally}");
    assert!(tally.conversions > 20, "{tally}");
    assert!(tally.restarts > 6 && tally.committed > 4_000 && tally.edges > 20_000, "{tally}");
}

/// Threads are no script: what one run happens not to show, another seed's does.
const SEEDS: u64 = 8;

#[track_caller]
fn assert_shows(settings: &Settings, names: &[&str]) {
    let mut last = None;
    for seed in settings.seed..settings.seed + SEEDS {
        let found = made(Settings { seed, ..*settings });
        if found.names().iter().any(|shown| names.iter().any(|name| shown == name)) {
            return;
        }
        last = Some(found);
    }
    panic!("none of {names:?} in {SEEDS} runs, the last: {}", last.expect("there were runs"));
}

/// Turned down one level, the judge finds what the level above forbids.
#[test]
fn a_level_too_low_is_found_out() {
    let low = |level, judged_as| Settings { judged_as, ..Settings::new(5, level) };
    assert_shows(&low(Level::ReadCommitted, Level::Snapshot), &["G-single"]);
    assert_shows(&low(Level::Snapshot, Level::Serializable), &["G2-item"]);
    assert!(made(low(Level::Serializable, Level::Snapshot)).is_clean());
}

/// Phantoms: a scan does not see a row that is then inserted.
#[test]
fn a_phantom_is_found_out() {
    let settings = Settings {
        judged_as: Level::Serializable,
        keys: 2,
        txns: 2_000,
        ..Settings::new(6, Level::Snapshot)
    };
    assert_shows(&settings, &["G2"]);
}

#[test]
fn planted_lies_are_caught_by_name() {
    for lie in Lie::ALL {
        let names: &[&str] = match lie {
            Lie::SkipNewest => &["stale-read", "G-single", "internal"],
            Lie::DropCommit => &["lost-append"],
            Lie::FailCommitted | Lie::ReadUncommitted => &["G1a"],
            Lie::IgnoreConflicts => &["incompatible-order", "lost-append"],
            Lie::TearCommit => &["G-single", "lost-update"],
            Lie::AppendTwice => &["duplicate-element"],
            Lie::ForgetOwn => &["internal"],
            Lie::AcknowledgeEarly => &["lost-append"],
        };
        let crashes = lie == Lie::AcknowledgeEarly;
        let txns = if crashes { 6_000 } else { 1_000 };
        assert_shows(&Settings { lie: Some(lie), crashes, txns, ..Settings::new(7, Level::Snapshot) }, names);
    }
}

/// 0: nothing forbidden; 1: an anomaly; 2: wrong usage, or no history.
#[test]
fn the_command_ends_with_the_documented_codes() {
    let file = |name: &str| directory().join(name).display().to_string();
    let (write_skew, nothing) = (file("g2-item.jsonl"), file("no such file"));
    for (arguments, code) in [
        (&["check", &*write_skew, "--level", "snapshot"][..], 0),
        (&["check", &write_skew, "--level", "serializable"], 1),
        (&["check", &nothing, "--level", "snapshot"], 2),
        (&["check", env!("CARGO_MANIFEST_DIR"), "--level", "snapshot"], 2),
        (&["check", &write_skew, "--level", "chaos"], 2),
        (&["check", &write_skew], 2),
        (&["run", "--txns", "5"], 2),
        (&["run", "--level", "snapshot", "--txns", "50"], 0),
        (&["run", "--level", "snapshot", "--txns", "1000", "--keys", "4", "--lie", "append-twice"], 1),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aether-torture"));
        let output = command.arg("history").args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}
