//! A file system that takes no more: the files of the process may not grow beyond a limit.

use crate::home::{Home, bare};
use crate::oracle::{self, Rows, Run};
use std::process::Command;

/// Blocks of 512 bytes: more than the store's files take at first, less than the work needs.
const LIMIT_BLOCKS: u64 = 2048;

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let home = Home::new();
    let script = "trap '' XFSZ; ulimit -f $0; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, &LIMIT_BLOCKS.to_string(), env!("CARGO_BIN_EXE_aether")])
        .args(["torture", "work", "--txs", "20000", "--keys", "5000"])
        .arg(home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(5 | 6)), "{}: {text}", output.status);
    assert!(!text.contains("panicked"), "{text}");
    let run = Run::parse(str::from_utf8(&output.stdout).unwrap());
    assert!(run.acknowledged() > 50, "{}", run.acknowledged());

    let dump = home.dump();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let wrong = run.judge(&Rows::new(), &oracle::rows(&dump.stdout));
    assert!(wrong.is_empty(), "{wrong:#?}");
    let again = bare(&["torture", "work", "--txs", "20"]).arg(home.path()).output().unwrap();
    assert!(
        again.status.success(),
        "with space the store goes on: {}",
        String::from_utf8_lossy(&again.stderr)
    );
}
