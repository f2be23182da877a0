//! The table of anomalies: what a level allows is shown to happen, what it forbids is prevented, in the way stated.

use aether_torture::anomalies::{How, Outcome, markdown, table};
use std::path::Path;

const SHOWN: Outcome = Outcome::Shown;
const READS: Outcome = Outcome::Prevented(How::Reads);
const WRITE: Outcome = Outcome::Prevented(How::Write);
const COMMIT: Outcome = Outcome::Prevented(How::Commit);

/// Read-committed, snapshot, serializable.
const EXPECTED: [(&str, [Outcome; 3]); 11] = [
    ("G0", [WRITE; 3]),
    ("G1a", [READS; 3]),
    ("G1b", [READS; 3]),
    ("G1c", [READS; 3]),
    ("OTV", [READS; 3]),
    ("PMP", [SHOWN, READS, READS]),
    ("P4", [SHOWN, WRITE, WRITE]),
    ("G-single", [SHOWN, READS, READS]),
    ("G2-item", [SHOWN, SHOWN, COMMIT]),
    ("G2", [SHOWN, SHOWN, COMMIT]),
    ("read-only", [SHOWN, SHOWN, COMMIT]),
];

#[test]
fn every_anomaly_is_shown_or_prevented_as_its_level_says() {
    let rows = table().unwrap();
    assert_eq!(rows.len(), EXPECTED.len());
    for (row, (name, expected)) in rows.iter().zip(EXPECTED) {
        assert_eq!((row.name, &row.outcomes[..]), (name, &expected[..]));
    }
}

#[test]
fn the_guide_shows_the_table_as_it_is() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/transactions.md");
    let text = std::fs::read_to_string(guide).unwrap();
    let table = markdown(&table().unwrap());
    assert!(text.contains(&table), "docs/guide/transactions.md wants this table:\n{table}");
}
