//! Counts and failures, for people and for programs.

use crate::kind::Kinds;
use crate::study::Settings;
use crate::world::{Cut, Fate, fate_name};
use serde_json::{Value, json};
use std::fmt;

/// What was tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations of scripts at which the power was cut or the process killed.
    pub cuts: u64,
    /// Distinct states restarted and judged, all kinds together.
    pub states: u64,
    /// States met again and not judged again.
    pub repeated: u64,
    /// Of those: after the death of the process alone.
    pub kills: u64,
    /// Of those: after a cut during recovery.
    pub in_recovery: u64,
    /// Of those: after a cut during the recovery from a cut during recovery.
    pub two_deep: u64,
    /// Of those: held what was acknowledged and nothing more.
    pub acknowledged_only: u64,
    /// Runs with an injected fault.
    pub faults: u64,
    /// Of those: the disk was full.
    pub full_disks: u64,
    /// Runs of several threads.
    pub threaded: u64,
    /// Stores harmed at rest.
    pub damaged: u64,
}

impl Tally {
    /// Counts one state.
    pub fn count(&mut self, trail: &[Cut], acknowledged_only: bool) {
        self.states += 1;
        self.kills += u64::from(trail.iter().any(|cut| cut.fate == Fate::Kill));
        self.in_recovery += u64::from(trail.len() > 1);
        self.two_deep += u64::from(trail.len() > 2);
        self.acknowledged_only += u64::from(acknowledged_only);
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        self.cuts += other.cuts;
        self.states += other.states;
        self.repeated += other.repeated;
        self.kills += other.kills;
        self.in_recovery += other.in_recovery;
        self.two_deep += other.two_deep;
        self.acknowledged_only += other.acknowledged_only;
        self.faults += other.faults;
        self.full_disks += other.full_disks;
        self.threaded += other.threaded;
        self.damaged += other.damaged;
    }
}

/// A state that is not right, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The test.
    pub settings: Settings,
    /// The interruptions that lead to the state; empty if the script fails without any.
    pub trail: Vec<Cut>,
    /// The number of the call that failed, where one was made to.
    pub fault: Option<u32>,
    /// The number of the run of several threads, where there were any.
    pub thread_run: Option<u32>,
    /// What is wrong.
    pub what: String,
}

impl Failure {
    /// The command that repeats it.
    pub fn replay(&self) -> String {
        let Settings { seed, transactions, shape, kinds, mutant, .. } = &self.settings;
        let kinds = if *kinds == Kinds::Btree { " --kinds btree" } else { "" };
        if let Some(number) = self.thread_run {
            let mutant = mutant.map(|mutant| format!(" --mutant {}", mutant.name())).unwrap_or_default();
            return format!("aether-torture threads --seed {seed} --nth {number}{kinds}{mutant}");
        }
        let test = if self.fault.is_some() { "faults" } else { "crash" };
        let mut command = format!("aether-torture {test} --seed {seed}");
        match self.settings.script {
            Some(_) => command += " --script FILE",
            None => command += &format!(" --transactions {transactions}{kinds}"),
        }
        if let Some(nth) = self.fault {
            command += &format!(" --nth {nth}");
        }
        if *shape != 0 {
            command += &format!(" --shape {shape}");
        }
        if let Some(mutant) = mutant {
            command += &format!(" --mutant {}", mutant.name());
        }
        self.trail.iter().for_each(|cut| command += &format!(" --at {cut}"));
        command
    }

    fn json(&self) -> Value {
        let policies: Vec<_> = self.trail.iter().map(|cut| fate_name(cut.fate)).collect();
        json!({
            "seed": self.settings.seed,
            "at": self.trail.iter().map(Cut::to_string).collect::<Vec<_>>(),
            "policies": policies,
            "what": self.what,
            "script": self.settings.script.as_ref().map(|script| script.to_string()),
            "replay": self.replay(),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.settings.seed, self.what)?;
        for cut in &self.trail {
            writeln!(f, "  cut at operation {}: {}", cut.op, fate_name(cut.fate))?;
        }
        if let Some(script) = &self.settings.script {
            writeln!(f, "  FILE has {} steps:\n{script}", script.steps.len())?;
        }
        write!(f, "  again: {}", self.replay())
    }
}

/// The outcome of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was tested.
    pub tally: Tally,
    /// What was not right.
    pub failures: Vec<Failure>,
    /// Scripts played.
    pub seeds: u64,
    /// The time it took.
    pub seconds: f64,
}

impl Report {
    /// True if everything was right.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Adds another report.
    pub fn add(&mut self, other: Report) {
        self.tally.add(other.tally);
        self.failures.extend(other.failures);
        self.seeds += other.seeds;
        self.seconds += other.seconds;
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let tally = &self.tally;
        json!({
            "ok": self.is_clean(),
            "seeds": self.seeds,
            "cuts": tally.cuts,
            "states": tally.states,
            "repeated": tally.repeated,
            "kills": tally.kills,
            "in_recovery": tally.in_recovery,
            "two_deep": tally.two_deep,
            "acknowledged_only": tally.acknowledged_only,
            "faults": tally.faults,
            "full_disks": tally.full_disks,
            "threaded": tally.threaded,
            "damaged": tally.damaged,
            "seconds": self.seconds,
            "failures": self.failures.iter().map(Failure::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { cuts, states, repeated, kills, in_recovery, two_deep, .. } = self.tally;
        let Tally { faults, full_disks, threaded, damaged, .. } = self.tally;
        self.failures.iter().try_for_each(|failure| writeln!(f, "{failure}"))?;
        write!(
            f,
            "{states} distinct states of {} scripts in {:.1} s: {cuts} cuts, {repeated} states met again, {kills} kills, {in_recovery} cut in recovery, \
             {two_deep} of them twice; {faults} runs with faults, {full_disks} of them with a full disk; {threaded} with threads; {damaged} damaged stores; {} failures",
            self.seeds,
            self.seconds,
            self.failures.len()
        )
    }
}
