//! Counts and failures of a run, for people and for programs.

use super::Settings;
use super::examine::Outcome;
use super::plan::{Case, Plan};
use serde_json::{Value, json};
use std::fmt;

/// A case that came out wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The store.
    pub store: String,
    /// The case.
    pub case: Case,
    /// What is wrong.
    pub what: String,
    /// The command that repeats it.
    pub again: String,
}

/// What a run has found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Cases examined; those that changed nothing are not counted.
    pub cases: u64,
    /// Everything was there.
    pub right: u64,
    /// The last commit was gone, where that is excused.
    pub older: u64,
    /// The damage was reported.
    pub refused: u64,
    /// Known limits.
    pub known: u64,
    /// Cases planned that changed nothing.
    pub vain: u64,
    /// The stores.
    pub stores: u64,
    /// The time it took.
    pub seconds: f64,
    /// What was wrong.
    pub failures: Vec<Failure>,
}

impl Findings {
    /// True if everything was right or refused.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Takes in a case.
    pub fn note(&mut self, plan: &Plan, case: Case, outcome: Outcome) {
        self.cases += u64::from(outcome != Outcome::Vain);
        match outcome {
            Outcome::Vain => self.vain += 1,
            Outcome::Right => self.right += 1,
            Outcome::Older => self.older += 1,
            Outcome::Refused(_) => self.refused += 1,
            Outcome::Known(_) => self.known += 1,
            Outcome::Wrong(what) => self.fail(plan, case, what),
        }
    }

    /// Takes in a failure.
    pub fn fail(&mut self, plan: &Plan, case: Case, what: String) {
        let store = plan.specimens[case.store].name.clone();
        let again = again(&plan.settings, case.number);
        self.failures.push(Failure { store, case, what, again });
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_clean(),
            "stores": self.stores,
            "cases": self.cases,
            "right": self.right,
            "older": self.older,
            "refused": self.refused,
            "known": self.known,
            "vain": self.vain,
            "seconds": self.seconds,
            "failures": self.failures.iter().map(Failure::json).collect::<Vec<_>>(),
        })
    }
}

fn again(settings: &Settings, number: u64) -> String {
    let mut command = format!("aether-torture damage --seed {} --case {number}", settings.seed);
    if let Some(cases) = settings.cases {
        command += &format!(" --cases {cases}");
    }
    if !settings.stores.is_empty() {
        command += &format!(" --stores {}", settings.stores);
    }
    if let Some(blind) = settings.blind {
        command += &format!(" --mutant {}", blind.name());
    }
    command
}

impl Failure {
    fn json(&self) -> Value {
        json!({
            "store": self.store,
            "file": self.case.file,
            "harm": self.case.harm.to_string(),
            "what": self.what,
            "replay": self.again,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}: {}", self.store, self.case.file, self.case.harm, self.what)?;
        write!(f, "  again: {}", self.again)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failures.iter().try_for_each(|failure| writeln!(f, "{failure}"))?;
        write!(
            f,
            "{} cases of damage to {} stores in {:.1} s: {} refused, {} harmless, {} without the last commit where \
             that is excused, {} known limits; {} changed nothing; {} failures",
            self.cases,
            self.stores,
            self.seconds,
            self.refused,
            self.right,
            self.older,
            self.known,
            self.vain,
            self.failures.len()
        )
    }
}
