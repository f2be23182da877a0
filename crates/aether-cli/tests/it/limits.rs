//! Limits of the operating system on the process: open files, file size, address space. Whatever happens to the
//! process, the store is right afterwards, and works again without the limit.

use crate::home::{Home, bare, told};
use crate::oracle::{self, Rows, Run};
use std::process::{Command, Output};

/// What the process did under a limit.
#[derive(Default)]
struct Seen {
    worked: u32,
    refused: u32,
    acknowledged: usize,
}

fn limited(home: &Home, limit: &str, flags: &[&str]) -> Output {
    let script = format!("trap '' XFSZ; {limit}; exec \"$@\"");
    Command::new("bash")
        .args(["-c", &script, "limited", env!("CARGO_BIN_EXE_aether")])
        .args(["torture", "work", "--txs", "300", "--clients", "2", "--segment-bytes", "65536"])
        .args(flags)
        .arg(home.path())
        // Printing where it panicked, the standard library waits for itself for ever when it finds no memory.
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

/// Works under a limit, judges what is there, and works again without it.
fn survives(home: &Home, limit: &str, flags: &[&str], seen: &mut Seen) {
    let before = if home.path().exists() { oracle::rows(&home.dump().stdout) } else { Rows::new() };
    let output = limited(home, limit, flags);
    let text = String::from_utf8_lossy(&output.stderr);
    let run = Run::parse(str::from_utf8(&output.stdout).unwrap());
    match output.status.code() {
        Some(0) => seen.worked += 1,
        // Refused with a text, or dead: an allocation that fails ends the process.
        Some(1..=6) => {
            assert!(text.contains("aether: "), "{limit}: {text}");
            seen.refused += 1;
        }
        // The loader or the shell cannot start the program, or a signal has ended it.
        Some(126 | 127) | None => seen.refused += 1,
        // The system gives no memory for a thread's stack.
        Some(other) => {
            let told = text.contains("memory") || text.contains("temporarily unavailable");
            assert!(told, "{limit}: exit code {other}: {text}");
            seen.refused += 1;
        }
    }
    seen.acknowledged += run.acknowledged();
    let dump = home.dump();
    assert!(dump.status.success(), "{limit}: {}", String::from_utf8_lossy(&dump.stderr));
    let wrong = run.judge(&before, &oracle::rows(&dump.stdout));
    assert!(wrong.is_empty(), "{limit}: {wrong:#?}");
    let again = bare(&["torture", "work", "--txs", "20"]).arg(home.path()).output().unwrap();
    told(&again, 0);
}

/// On a store that is there and on one to be made.
fn at_each(limits: impl Iterator<Item = String>, flags: &[&str]) -> Seen {
    let old = Home::new();
    let mut seen = Seen::default();
    for limit in limits {
        survives(&old, &limit, flags, &mut seen);
        survives(&Home::new(), &limit, flags, &mut seen);
    }
    told(&old.run(&["verify"]), 0);
    seen
}

#[test]
fn too_few_open_files_are_told_and_harm_nothing() {
    let numbers = (4..=24).chain([32, 48, 64]);
    let seen = at_each(numbers.map(|number| format!("ulimit -n {number}")), &[]);
    assert!(seen.worked > 10 && seen.refused > 2, "{} worked, {} refused", seen.worked, seen.refused);
    assert!(seen.acknowledged > 1000);
}

#[test]
fn a_small_file_size_limit_is_told_and_harms_nothing() {
    // Blocks of 1024 bytes: from less than the control file to more than is needed.
    let sizes = [0, 1, 32, 63, 64, 65, 100, 300, 516, 520, 700, 1100, 2000, 100_000];
    let flags = ["--keys", "2000", "--value-bytes-max", "60000"];
    let seen = at_each(sizes.into_iter().map(|size| format!("ulimit -f {size}")), &flags);
    assert!(seen.worked >= 2 && seen.refused > 8, "{} worked, {} refused", seen.worked, seen.refused);
}

#[test]
fn a_small_address_space_ends_the_process_at_worst() {
    let sizes = (1..=12).map(|step| step * 8192).chain([1 << 20]);
    let seen = at_each(sizes.map(|size| format!("ulimit -v {size}")), &["--pool-frames", "1024"]);
    assert!(seen.worked >= 2 && seen.refused >= 2, "{} worked, {} refused", seen.worked, seen.refused);
}
