//! One round after another on a growing store.

use super::Settings;
use super::design::{self, Make, Work};
use super::event;
use super::ledger::{self, Findings, Ledger};
use super::process::{Ending, Outputs, Process};
use super::tally::{Failure, Tally};
use crate::kind::Kinds;
use crate::oracle::Verdict;
use crate::rng::{Rng, derive};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Attempts to hit a recovery before the round goes on without.
const ATTEMPTS: u32 = 6;

/// In so many of a hundred rounds the keyspace is to become another.
const CONVERTED_PERCENT: usize = 25;

/// Every so many rounds the store is also asked to verify itself.
const VERIFY_EVERY: u64 = 10;

/// A store, what is known of it, and the counts.
pub struct Lane {
    settings: Settings,
    dir: TempDir,
    ledger: Ledger,
    make: Make,
    /// What the keyspace is asked to be, if it is not always a B+tree.
    kind: Option<&'static str>,
    /// The round in which the store was begun.
    begun: u64,
    /// What the last whole dump took: about what recovery takes.
    opening: Duration,
    /// What was run in this round.
    commands: Vec<String>,
    /// The counts.
    pub tally: Tally,
}

impl Lane {
    /// A place for stores.
    ///
    /// # Errors
    /// If there is no room for one.
    pub fn new(settings: &Settings) -> Verdict<Self> {
        let dir = TempDir::with_prefix("aether-kill-")
            .map_err(|error| format!("a temporary directory: {error}"))?;
        Ok(Self {
            settings: settings.clone(),
            dir,
            ledger: Ledger::default(),
            make: Make::draw(&mut Rng::new(settings.seed)),
            kind: None,
            begun: 0,
            opening: Duration::from_millis(10),
            commands: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Plays one round; what is wrong goes into the tally, and the store is kept. Blocks.
    ///
    /// # Errors
    /// If the binary cannot be run.
    pub fn round(&mut self, number: u64) -> Verdict<()> {
        let mut rng = Rng::new(derive(self.settings.seed, number));
        if number == 0 || number - self.begun >= self.settings.life {
            self.begin_store(&mut rng, number)?;
        }
        if self.settings.kinds == Kinds::Mixed && (self.begun == number || rng.chance(CONVERTED_PERCENT)) {
            self.kind = Some(design::kind(&mut rng));
        }
        self.commands.clear();
        self.tally.rounds += 1;
        match self.play(&mut rng, number) {
            Ok(found) => self.tally.count(found),
            Err(what) => self.fail(number, what),
        }
        Ok(())
    }

    /// The counts; a store that is evidence stays.
    pub fn end(self) -> Tally {
        if !self.tally.is_clean() {
            let _ = self.dir.keep();
        }
        self.tally
    }

    fn begin_store(&mut self, rng: &mut Rng, number: u64) -> Verdict<()> {
        remove(&self.home())?;
        self.ledger = Ledger::default();
        self.make = Make::draw(rng);
        self.begun = number;
        self.tally.stores += 1;
        Ok(())
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn fail(&mut self, round: u64, what: Vec<String>) {
        let evidence = self.dir.path().to_path_buf();
        let commands = self.commands.clone();
        self.tally.failures.push(Failure { round, what, commands, evidence });
    }

    fn play(&mut self, rng: &mut Rng, number: u64) -> Result<Findings, Vec<String>> {
        let moment = design::moment(rng);
        let silent = self.work("work", rng, number, moment).map_err(one)?;
        self.tally.at_start += u64::from(silent);
        if number % 3 == 2 {
            self.interrupt_recovery(rng, number).map_err(one)?;
        }
        copy(&self.home(), &self.dir.path().join("before")).map_err(one)?;
        let dump = self.whole(vec!["torture".into(), "dump".into(), self.home_text()]).map_err(one)?;
        self.opening = dump.lasted;
        let rows = ledger::rows(&dump.told).map_err(one)?;
        let found = self.ledger.judge(&rows);
        // A process killed early may have come to make the directory and nothing in it.
        if number.is_multiple_of(VERIFY_EVERY) && !rows.is_empty() {
            self.whole(vec!["verify".into(), "--home".into(), self.home_text()]).map_err(one)?;
        }
        found.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    fn home_text(&self) -> String {
        self.home().display().to_string()
    }

    /// Kills processes while they recover the store, until that has succeeded once, or again by chance.
    fn interrupt_recovery(&mut self, rng: &mut Rng, number: u64) -> Verdict<()> {
        let mut hits = 0;
        for attempt in 0..ATTEMPTS {
            // After misses earlier: the store may be small and soon recovered.
            let moment = design::moment_within(rng, self.opening / (attempt + 1 - hits));
            let name = format!("recovery-{attempt}");
            let silent = match rng.chance(30) {
                true => self.work(&name, rng, number, moment)?,
                false => self.interrupted_dump(&name, moment)?,
            };
            hits += u32::from(silent);
            if hits > 0 && rng.chance(60) {
                break;
            }
        }
        self.tally.in_recovery += u64::from(hits);
        self.tally.recovery_rounds += u64::from(hits > 0);
        Ok(())
    }

    /// Lets `work` run and kills it; true if it had said nothing yet.
    fn work(&mut self, name: &str, rng: &mut Rng, number: u64, moment: Duration) -> Verdict<bool> {
        let work = Work::draw(rng, self.make, number - self.begun, self.kind);
        let ending = self.start(name, work.arguments(&self.home()))?.kill_after(moment)?;
        self.note_kill(&ending)?;
        let events = event::parse(&ending.told)?;
        self.ledger.run(&events)?;
        Ok(ending.killed && events.is_empty())
    }

    fn interrupted_dump(&mut self, name: &str, moment: Duration) -> Verdict<bool> {
        let arguments = vec!["torture".into(), "dump".into(), self.home_text()];
        let ending = self.start(name, arguments)?.kill_after(moment)?;
        self.note_kill(&ending)?;
        Ok(ending.killed && ending.told.is_empty())
    }

    fn note_kill(&mut self, ending: &Ending) -> Verdict<()> {
        self.tally.kills += u64::from(ending.killed);
        must_be_well(ending)
    }

    fn whole(&mut self, arguments: Vec<String>) -> Verdict<Ending> {
        let name = arguments[arguments.len().min(2) - 1].trim_start_matches('-').to_owned();
        let ending = self.start(&name, arguments)?.wait()?;
        must_be_well(&ending)?;
        Ok(ending)
    }

    fn start(&mut self, name: &str, arguments: Vec<String>) -> Verdict<Process> {
        self.commands.push(format!("{} {}", self.settings.binary.display(), arguments.join(" ")));
        Process::start(&self.settings.binary, &arguments, Outputs::new(self.dir.path(), name))
    }
}

/// A process that ended of itself must have ended well, and none may panic.
fn must_be_well(ending: &Ending) -> Verdict<()> {
    if ending.complaints.contains("panicked") || ending.code.is_some_and(|code| code != 0) {
        return Err(format!("exit code {:?}: {}", ending.code, ending.complaints.trim_end()));
    }
    Ok(())
}

fn one(what: String) -> Vec<String> {
    vec![what]
}

fn remove(dir: &Path) -> Verdict<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Copies the files of a directory, if it is there, in the place of what was there.
fn copy(from: &Path, to: &Path) -> Verdict<()> {
    remove(to)?;
    if !from.exists() {
        return Ok(());
    }
    let copied = fs::create_dir(to).and_then(|()| from.read_dir()).and_then(|mut entries| {
        entries.try_for_each(|entry| {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name())).map(|_| ())
        })
    });
    copied.map_err(|error| format!("copy of {}: {error}", from.display()))
}
