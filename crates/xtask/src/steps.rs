//! The table of the gate: every step that CI runs after `cargo test --workspace`, cheap ones first.

use std::path::Path;

use crate::floors::metadata::has_tests_for;

/// One command and the doubt it removes.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// A variable that the command wants in its environment.
    pub(crate) variable: Option<(&'static str, &'static str)>,
    /// Words separated by blanks.
    pub(crate) command: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) when: When,
    pub(crate) tool: Option<&'static Tool>,
}

/// Whether there is anything for a step to do yet.
pub(crate) enum When {
    Always,
    /// This path exists.
    Path(&'static str),
    /// A crate has `tests/<prefix>_*.rs`.
    Tests(&'static str),
}

/// A program that a Rust toolchain does not bring along.
pub(crate) struct Tool {
    pub(crate) probe: &'static str,
    pub(crate) install: &'static str,
    /// Without it the step is skipped, loudly, instead of failing.
    pub(crate) optional: bool,
}

const DENY: Tool =
    Tool { probe: "cargo deny --version", install: "cargo install --locked cargo-deny", optional: false };

const HAKARI: Tool =
    Tool { probe: "cargo hakari --version", install: "cargo install --locked cargo-hakari", optional: false };

/// Miri comes with nightly toolchains only, which not every machine may have.
pub(crate) const MIRI: Tool = Tool {
    probe: "cargo +nightly miri --version",
    install: "rustup toolchain install nightly --profile minimal --component miri,rust-src",
    optional: true,
};

/// Too long to build for every machine.
const MUTANTS: Tool = Tool {
    probe: "cargo mutants --version",
    install: "cargo install --locked cargo-mutants",
    optional: true,
};

/// Runs TLC. Without it, nothing is checked.
pub(crate) const JAVA: Tool =
    Tool { probe: "java -version", install: "apt-get install default-jre-headless", optional: true };

/// Builds and runs the fuzz targets.
pub(crate) const FUZZ: Tool =
    Tool { probe: "cargo fuzz --version", install: "cargo install --locked cargo-fuzz", optional: false };

/// A step that is always there and needs nothing but the toolchain.
const PLAIN: Step = Step { name: "", variable: None, command: "", shows: "", when: When::Always, tool: None };

pub(crate) const GATE: &[Step] = &[
    Step { name: "fmt", command: "cargo fmt --all --check", shows: "the code is formatted", ..PLAIN },
    Step {
        name: "deny",
        command: "cargo deny --log-level error check bans licenses sources",
        shows: "every outside crate comes from crates.io under a licence we accept",
        tool: Some(&DENY),
        ..PLAIN
    },
    Step {
        name: "hakari-verify",
        command: "cargo hakari verify",
        shows: "one set of features for every build of the programs",
        tool: Some(&HAKARI),
        ..PLAIN
    },
    Step {
        name: "hakari-diff",
        command: "cargo hakari generate --diff",
        shows: "workspace-hack is up to date",
        tool: Some(&HAKARI),
        ..PLAIN
    },
    Step {
        name: "clippy",
        command: "cargo clippy --workspace --all-targets -- -D warnings",
        shows: "no lint fires; benches and examples compile",
        ..PLAIN
    },
    Step {
        name: "doc",
        variable: Some(("RUSTDOCFLAGS", "-D warnings")),
        command: "cargo doc --workspace --no-deps",
        shows: "the documents build and their links lead somewhere",
        ..PLAIN
    },
    Step {
        name: "benches",
        command: "cargo test -p engine-benches --benches",
        shows: "every benchmark runs once",
        when: When::Path("benches/engine/benches"),
        ..PLAIN
    },
    Step {
        name: "conformance",
        command: "cargo test -p aether-index --features conformance --test conformance",
        shows: "every index whose rows lie in pages passes the suite for implementors: model, threads, power cuts",
        when: When::Path("crates/aether-index/src/conformance"),
        ..PLAIN
    },
    Step {
        name: "custom-index",
        command: "cargo test --manifest-path docs/guide/custom-index/Cargo.toml",
        shows: "an index of a program's own, from outside the workspace, passes the same suite",
        when: When::Path("docs/guide/custom-index"),
        ..PLAIN
    },
    Step {
        name: "features",
        command: "cargo xtask features",
        shows: "each kind of index builds without the others; zstd and left-right level lists work",
        when: When::Path("crates/aether-lsm"),
        ..PLAIN
    },
    Step {
        name: "loom",
        command: "cargo xtask loom",
        shows: "no ordering of the atomics, in small models, breaks an invariant",
        when: When::Tests("loom"),
        ..PLAIN
    },
    Step {
        name: "shuttle",
        command: "cargo xtask shuttle",
        shows: "random interleavings of whole protocols keep their invariants",
        when: When::Tests("shuttle"),
        ..PLAIN
    },
    Step {
        name: "miri",
        command: "cargo xtask miri",
        shows: "page bytes, latches and the rooms of `unsafe` that Miri can run have no undefined behaviour, under several schedules",
        tool: Some(&MIRI),
        ..PLAIN
    },
    Step {
        name: "tla",
        command: "cargo xtask tla check --quick",
        shows: "no counterexample in the small models of the protocols, by two checkers; a mutant of each is caught",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "tla-traces",
        command: "cargo xtask tla validate --source schedules",
        shows: "what the running code does, under shuttle's schedules, through crashes, is what the specs allow, and all of it occurs",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "tla-threads",
        command: "cargo xtask tla validate --source threads --quick",
        shows: "the same of disturbed threads of the system",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "torture",
        command: "cargo run --release -p aether-torture -- crash --ci",
        shows: "the power cut at every operation of fixed scripts, and again in recovery, loses nothing",
        when: When::Path("crates/aether-torture/tests"),
        ..PLAIN
    },
    Step {
        name: "faults",
        command: "cargo run --release -p aether-torture -- faults --ci",
        shows: "every call of a workload of each shape fails, once and from then on; disks, handles and memory run out; recoveries fail: nothing is lost",
        when: When::Path("crates/aether-torture/src/faults"),
        ..PLAIN
    },
    Step {
        name: "threads",
        command: "cargo run --release -p aether-torture -- threads --seed 1 --runs 300",
        shows: "the power cut while several threads write, and again after the restart, loses nothing and tears nothing",
        when: When::Path("crates/aether-torture/src/threads"),
        ..PLAIN
    },
    Step {
        name: "histories",
        command: "cargo run --release -p aether-torture -- history run --ci",
        shows: "20,000 transactions of eight threads, at every level, contended and not, through power cuts and conversions of their keyspace: no cycle that their level forbids",
        when: When::Path("crates/aether-torture/src/histories"),
        ..PLAIN
    },
    Step {
        name: "prepared",
        command: "cargo run --release -p aether-torture -- prepared --ci",
        shows: "the power cut at every operation of scripts of two-phase commits, and again in recovery: prepared transactions keep their locks until decided, decisions stay",
        when: When::Path("crates/aether-torture/src/prepared"),
        ..PLAIN
    },
    Step {
        name: "invariants",
        command: "cargo run --release -p aether-torture -- invariants --runs 10",
        shows: "no money is made or lost, nothing leaves a queue twice or out of order, at every level, through power cuts",
        when: When::Path("crates/aether-torture/src/invariants"),
        ..PLAIN
    },
    Step {
        name: "kill",
        command: "cargo run --release -p aether-torture -- kill --ci",
        shows: "the real binary, killed at work and while it recovers, keeps what it acknowledged, whole and in order",
        when: When::Path("crates/aether-torture/src/kill"),
        ..PLAIN
    },
    Step {
        name: "damage",
        command: "cargo run --release -p aether-torture -- damage --ci",
        shows: "every damaged store is read whole or refused with the place: bits, sectors, pages, files, lost writes",
        when: When::Path("crates/aether-torture/src/damage"),
        ..PLAIN
    },
    Step {
        name: "fuzz",
        command: "cargo xtask fuzz --seconds 60",
        shows: "no input, out of a minute's worth for each target, panics, hangs, takes memory or breaks a rule",
        when: When::Path("crates/aether-torture/fuzz/Cargo.toml"),
        tool: Some(&FUZZ),
        ..PLAIN
    },
];

/// What takes too long for every change.
pub(crate) const DEEP: &[Step] = &[
    Step {
        name: "miri-seeds",
        command: "cargo xtask miri --seeds 64",
        shows: "no undefined behaviour, under many schedules",
        tool: Some(&MIRI),
        ..PLAIN
    },
    Step {
        name: "tla-all",
        command: "cargo xtask tla check",
        shows: "no counterexample in any model of the protocols; every mutant is caught",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "tla-traces-all",
        command: "cargo xtask tla validate --events 2000000",
        shows: "the same, for two million events",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "tla-mutants",
        command: "cargo xtask tla validate --all-mutants",
        shows: "of code with a bug planted for that, a trace is refused",
        tool: Some(&JAVA),
        ..PLAIN
    },
    Step {
        name: "tsan",
        command: "cargo xtask tsan",
        shows: "no data race in the tests of crates with threads, says ThreadSanitizer",
        tool: Some(&MIRI),
        ..PLAIN
    },
    Step {
        name: "mutants",
        command: "cargo xtask mutants",
        shows: "of a hundred mutants of each crate that must not lose data, 85 are noticed, the rest is explained",
        tool: Some(&MUTANTS),
        ..PLAIN
    },
    Step {
        name: "imports",
        command: "cargo test -p aether-cli --features import-lmdb,import-redb,import-fjall,import-sled,import-sqlite",
        shows: "the files of other engines are read, or refused by name",
        ..PLAIN
    },
    Step {
        name: "largest-value",
        command: "cargo test --release -p aether --test integration_test -- --ignored the_largest_value",
        shows: "a value of 4 GiB - 1 goes in, comes back and is verified",
        ..PLAIN
    },
    Step {
        name: "kill-10000",
        command: "cargo run --release -p aether-torture -- kill --rounds 10000",
        shows: "the same, ten thousand times",
        when: When::Path("crates/aether-torture/src/kill"),
        ..PLAIN
    },
    Step {
        name: "histories-million",
        command: "cargo run --release -p aether-torture -- history run --ci --txns 1000000",
        shows: "the same, a million transactions",
        when: When::Path("crates/aether-torture/src/histories"),
        ..PLAIN
    },
    Step {
        name: "soak",
        command: "cargo run --release -p aether-torture -- soak --minutes 30",
        shows: "half an hour of mixed work is right throughout; memory, files and bytes do not grow",
        when: When::Path("crates/aether-torture/src/soak"),
        ..PLAIN
    },
    Step {
        name: "limits",
        command: "cargo test --release -p aether --test limits_test -- --include-ignored",
        shows: "a million keys with one prefix, and the other limits, without debug checks",
        when: When::Path("crates/aether/tests/limits_test.rs"),
        ..PLAIN
    },
    Step {
        name: "torture-hour",
        command: "cargo xtask torture --minutes 60",
        shows: "the engine survives simulated crashes, with fresh seeds",
        when: When::Path("crates/aether-torture/src/main.rs"),
        ..PLAIN
    },
    Step {
        name: "fuzz-hour",
        command: "cargo xtask fuzz --seconds 3600",
        shows: "no input out of an hour's worth for each target does",
        when: When::Path("crates/aether-torture/fuzz/Cargo.toml"),
        tool: Some(&FUZZ),
        ..PLAIN
    },
];

impl Step {
    /// The command as one types it.
    pub(crate) fn line(&self) -> String {
        match self.variable {
            Some((name, value)) => format!("{name}=\"{value}\" {}", self.command),
            None => self.command.to_string(),
        }
    }
}

impl When {
    /// Why there is nothing to do in the repository at `root`, if so.
    pub(crate) fn nothing_to_do(&self, root: &Path) -> Option<String> {
        match self {
            When::Always => None,
            When::Path(path) => (!root.join(path).exists()).then(|| format!("there is no {path}")),
            When::Tests(prefix) => crates_with_tests(root, prefix)
                .is_empty()
                .then(|| format!("no crate has tests/{prefix}_*.rs")),
        }
    }
}

/// The crates below `crates/` that have `tests/<prefix>_*.rs`, sorted.
pub(crate) fn crates_with_tests(root: &Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = root.join("crates").read_dir() else { return Vec::new() };
    let with_tests =
        entries.flatten().filter(|entry| has_tests_for(&entry.path().join("tests"), prefix).unwrap_or(false));
    let mut names: Vec<_> =
        with_tests.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::repository;

    #[test]
    fn names_are_unique() {
        for table in [GATE, DEEP] {
            let names: BTreeSet<_> = table.iter().map(|step| step.name).collect();
            assert_eq!(names.len(), table.len());
        }
    }

    #[test]
    fn the_document_shows_the_tables_as_they_are() {
        let document = fs::read_to_string(repository::root().join("docs/testing.md")).unwrap();
        for step in GATE.iter().chain(DEEP) {
            let row = format!("| `{}` | `{}` | {} |", step.name, step.line(), step.shows);
            assert!(document.contains(&row), "docs/testing.md wants this row:\n{row}");
        }
    }

    #[test]
    fn a_step_with_nothing_to_do_says_why() {
        let root = tempfile::tempdir().unwrap();
        assert!(When::Path("x").nothing_to_do(root.path()).unwrap().contains("no x"));
        assert!(When::Tests("loom").nothing_to_do(root.path()).unwrap().contains("tests/loom_*.rs"));
        let tests = root.path().join("crates/a/tests");
        fs::create_dir_all(&tests).unwrap();
        fs::write(tests.join("loom_a.rs"), "").unwrap();
        assert_eq!(When::Tests("loom").nothing_to_do(root.path()), None);
        assert_eq!(When::Always.nothing_to_do(root.path()), None);
    }
}
