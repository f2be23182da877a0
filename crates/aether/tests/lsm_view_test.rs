//! The live view: what it draws of given numbers, what its lines of JSON hold, what its command line takes.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; the view has more than they use")]

#[path = "../examples/lsm_visualization/arguments.rs"]
mod arguments;
#[path = "../examples/lsm_visualization/draw.rs"]
mod draw;
#[path = "../examples/lsm_visualization/frame.rs"]
mod frame;
#[path = "../examples/lsm_visualization/json.rs"]
mod json;

use aether::lsm::policy::{Reason, Switch};
use aether::lsm::{LevelStat, LsmStat, MergeStat, PolicyKind};
use arguments::Arguments;
use draw::draw;
use frame::{Counts, Frame, Gatherer};
use serde_json::Value;
use std::time::Duration;

fn stat() -> LsmStat {
    let level = |runs, bytes, entries, tombstones| LevelStat { runs, bytes, entries, tombstones };
    let merge = |level, runs, left_bytes| {
        let (reason, target, bytes) = (Reason::Full, level + 1, 2048);
        MergeStat { reason, level, runs, target, bytes, left_bytes }
    };
    LsmStat {
        policy: Some((PolicyKind::Adaptive, PolicyKind::Leveled)),
        switches: vec![
            Switch { from: PolicyKind::Fast, to: PolicyKind::Leveled, puts_of_thousand: Some(31) },
            Switch { from: PolicyKind::Leveled, to: PolicyKind::Hanoi, puts_of_thousand: None },
        ],
        memory_rows: 1234,
        memory_bytes: 512 << 10,
        levels: vec![level(3, 2 << 20, 1000, 500), level(0, 0, 0, 0), level(1, 4 << 20, 5000, 1)],
        value_bytes: 3000,
        live_value_bytes: 2000,
        merges: vec![merge(1, 4, 512), merge(4, 2, 0)],
        owed_bytes: 700,
        put_bytes: 1 << 20,
        flushed_bytes: 1 << 20,
        merged_bytes: 1536 << 10,
        ingested_bytes: 0,
        runs_spared: 0,
    }
}

fn frame() -> Frame {
    Frame {
        elapsed: Duration::from_millis(2350),
        counts: Counts { puts: 10_000, gets: 77 },
        gets_per_second: 35,
        puts_per_second: vec![0, 500, 1000],
        memtable_bytes: 1 << 20,
        stat: stat(),
    }
}

#[test]
fn a_frame_shows_the_numbers() {
    let full = |cells: usize, of: usize| format!("{}{}", "█".repeat(cells), "░".repeat(of - cells));
    let (half, all, none) = (full(16, 32), full(32, 32), full(0, 32));
    let expected = [
        "policy   adaptive, leveled in charge   after 2.4 s".to_owned(),
        "puts     10000 in all, 1000 a second ▁▅█".to_owned(),
        "gets     77 in all, 35 a second".to_owned(),
        format!("memory   {half} 512.0 KiB of 1.0 MiB, 1234 rows"),
        "written  2.50 bytes to runs for each that was put: 1.0 MiB by flushes, 1.5 MiB by merges".to_owned(),
        "values   2.9 KiB, 1000 B of it garbage".to_owned(),
        format!("level  runs       bytes {:32} tombstones among entries", ""),
        format!("    0     3     2.0 MiB {half} {} 500 of 1000", full(5, 10)),
        format!("    1     0         0 B {none} {} 0 of 0", full(0, 10)),
        format!("    2     1     4.0 MiB {all} {} 1 of 5000", full(1, 10)),
        format!("merge    {} 75% of 2.0 KiB: 4 runs into level 2 (full)", full(24, 32)),
        format!("merge    {} 100% of 2.0 KiB: 2 runs into level 5 (full)", full(32, 32)),
        "owed     700 B".to_owned(),
        "switched from fast to leveled: 31 puts among 1000 uses".to_owned(),
        "switched from leveled to hanoi: by call".to_owned(),
    ];
    assert_eq!(draw(&frame(), false), expected);
}

#[test]
fn nothing_at_all_is_drawn_too() {
    let lines = draw(&Frame::default(), false).join("\n");
    for part in ["policy   none", "0 in all, 0 a second", "nothing to runs yet", "none in flight"] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
}

/// More than all is all: memory may be over its limit.
#[test]
fn bars_keep_their_width() {
    let mut frame = frame();
    frame.stat.memory_bytes = 5 << 20;
    let memory = draw(&frame, false).into_iter().find(|line| line.starts_with("memory")).unwrap();
    assert_eq!(memory.chars().filter(|cell| "█░".contains(*cell)).count(), 32);
}

#[test]
fn colours_are_escapes_around_the_same_text() {
    let (plain, coloured) = (draw(&frame(), false), draw(&frame(), true));
    assert!(!plain.concat().contains('\x1b') && coloured.concat().contains("\x1b[32m"));
    let without = coloured.iter().map(|line| {
        let mut parts = line.split("\x1b[");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
    });
    assert_eq!(without.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>(), plain);
}

#[test]
fn a_line_of_json_has_the_numbers() {
    let line = json::line(&frame());
    assert!(!line.contains('\n'));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["policy"], "adaptive");
    assert_eq!(value["in_charge"], "leveled");
    assert_eq!(value["levels"][0]["tombstones"], 500);
    assert_eq!(value["levels"].as_array().unwrap().len(), 3);
    assert_eq!(value["merges"][0]["left_bytes"], 512);
    assert_eq!(value["merges"][1]["level"], 4);
    assert_eq!(value["merges"][0]["reason"], "full");
    assert_eq!(value["write_amplification"], 2.5);
    assert_eq!(value["puts_per_second"], 1000);
    assert_eq!(value["switches"][1]["puts_of_thousand"], Value::Null);
    let nothing: Value = serde_json::from_str(&json::line(&Frame::default())).unwrap();
    assert_eq!(nothing["merges"].as_array().map(Vec::len), Some(0));
    assert_eq!(nothing["write_amplification"], Value::Null);
}

#[test]
fn frames_follow_each_other() {
    let mut gatherer = Gatherer::new(1 << 20);
    for puts in 1..=50 {
        let frame = gatherer.gather(Counts { puts, gets: 0 }, LsmStat::default());
        assert_eq!(frame.puts_per_second.len() as u64, puts.min(40));
        assert!(*frame.puts_per_second.last().unwrap() > 0, "a put since the last frame");
        assert_eq!((frame.counts.puts, frame.gets_per_second), (puts, 0));
    }
}

#[test]
fn the_command_line() {
    let parse = |line: &str| Arguments::parse(line.split_whitespace().map(str::to_owned));
    assert_eq!(parse(""), Ok(Arguments::default()));
    let all = Arguments {
        run_for: Duration::from_secs(3),
        policy: PolicyKind::Hanoi,
        keys: 500,
        once: true,
        json: true,
    };
    assert_eq!(parse("--seconds 3 --policy hanoi --keys 500 --once --json"), Ok(all));
    for (line, what) in [
        ("--seconds", "takes a value"),
        ("--seconds soon", "a number"),
        ("--keys 0", "above 0"),
        ("--policy none", "no merge policy"),
        ("--help", "not known"),
    ] {
        assert!(parse(line).unwrap_err().contains(what), "{line}");
    }
}
