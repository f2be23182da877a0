//! The command line.

use aether_sync::Arc;
use aether_torture::campaign::Limits;
use aether_torture::damage::{self, blind::Blind};
use aether_torture::kind::Kinds;
use aether_torture::mutant::Mutant;
use aether_torture::script::Script;
use aether_torture::study::Settings;
use aether_torture::world::Cut;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Runs of several threads, unless the caller says otherwise.
const RUNS: u64 = 200;

/// How long a failing script may be made smaller, unless the caller says otherwise.
const SHRINK: Duration = Duration::from_secs(60);

pub(crate) const USAGE: &str = "\
usage: aether-torture crash   [--seed S] [--states N]   cut the power at every operation; with N, seeds S, S+1, ..
       aether-torture crash   --ci                      the fixed seeds of the gate
       aether-torture crash   --seed S --at OP:POLICY.. repeat one state
       aether-torture faults  [--seed S] [--nth N] [--ci]  let every call fail, or that one, or those of the gate
       aether-torture threads [--seed S] [--runs N] [--nth N]  several threads write until the power goes
       aether-torture damage  [--seed S] [--ci] [--cases N] [--stores NAME] [--case N]
                                                harm files at rest: every case, about N, or that one
       aether-torture torture --minutes N [--seed S]    other seeds until the time is over
       aether-torture corpus DIRECTORY          write the seeds of the fuzz targets
options: --script FILE  --shrink SECONDS  --transactions N  --shape N  --kinds mixed|btree  --first N  --stride N  --threads N  --failures N  --mutant NAME  --format plain|json";

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Crash,
    Ci,
    Replay,
    Faults,
    FaultsCi,
    FaultAt(u64),
    Torture(f64),
    /// The first run and how many.
    Threads(u64, u64),
    Damage,
    Corpus(PathBuf),
}

/// How to print the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Json,
}

/// The parsed command line.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) trail: Vec<Cut>,
    pub(crate) damage: damage::Settings,
    pub(crate) format: Format,
    /// How long a failing script may be made smaller.
    pub(crate) shrink: Duration,
}

/// Parses the arguments.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let command = match arguments.next().as_deref() {
        Some("crash") => Command::Crash,
        Some("faults") => Command::Faults,
        Some("threads") => Command::Threads(0, RUNS),
        Some("damage") => Command::Damage,
        Some("torture") => Command::Torture(0.0),
        Some("corpus") => Command::Corpus(arguments.next().ok_or("corpus needs a directory")?.into()),
        Some(other) => return Err(format!("there is no command `{other}`")),
        None => return Err("a command is missing".into()),
    };
    let settings = Settings { kinds: Kinds::Mixed, ..Settings::full(1) };
    let (limits, format) = (Limits::default(), Format::Plain);
    let damage = damage::Settings::new(1, None);
    let mut request =
        Request { command, settings, limits, trail: Vec::new(), damage, format, shrink: SHRINK };
    while let Some(option) = arguments.next() {
        request.option(&option, &mut arguments)?;
    }
    if request.command == Command::Torture(0.0) {
        return Err("torture needs --minutes".into());
    }
    Ok(request)
}

impl Request {
    fn option(&mut self, option: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), String> {
        if option == "--ci" {
            self.ci();
            return Ok(());
        }
        let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
        if self.command == Command::Damage {
            return self.damage_option(option, &value);
        }
        match option {
            "--seed" => self.settings.seed = number(option, &value)?,
            "--transactions" => self.settings.transactions = number(option, &value)?,
            "--kinds" => self.settings.kinds = kinds(&value)?,
            "--shape" => self.settings.shape = number(option, &value)?,
            "--first" => self.settings.first = number(option, &value)?,
            "--stride" => self.settings.stride = number::<u64>(option, &value)?.max(1),
            "--states" => self.limits.states = number(option, &value)?,
            "--threads" => self.limits.threads = number(option, &value)?,
            "--failures" => self.limits.failures = number(option, &value)?,
            "--minutes" => self.command = Command::Torture(number(option, &value)?),
            "--nth" => self.nth(number(option, &value)?),
            "--runs" => self.command = Command::Threads(0, number(option, &value)?),
            "--mutant" => self.settings.mutant = Some(mutant(&value)?),
            "--script" => self.settings.script = Some(script(&value)?),
            "--shrink" => self.shrink = Duration::from_secs(number(option, &value)?),
            "--format" => self.format = format(&value)?,
            "--at" => {
                self.command = Command::Replay;
                self.trail.push(value.parse()?);
            }
            _ => return Err(format!("unknown option {option}")),
        }
        Ok(())
    }
}

impl Request {
    fn ci(&mut self) {
        match self.command {
            Command::Damage => self.damage.cases = Some(damage::CI_CASES),
            Command::Faults => self.command = Command::FaultsCi,
            _ => self.command = Command::Ci,
        }
    }

    fn nth(&mut self, nth: u64) {
        self.command = match self.command {
            Command::Threads(..) => Command::Threads(nth, 1),
            _ => Command::FaultAt(nth),
        };
    }

    fn damage_option(&mut self, option: &str, value: &str) -> Result<(), String> {
        match option {
            "--seed" => self.damage.seed = number(option, value)?,
            "--cases" => self.damage.cases = Some(number(option, value)?),
            "--case" => self.damage.only = Some(number(option, value)?),
            "--stores" => self.damage.stores = value.to_owned(),
            "--threads" => self.damage.threads = number(option, value)?,
            "--failures" => self.damage.failures = number(option, value)?,
            "--mutant" => self.damage.blind = Some(blind(value)?),
            "--format" => self.format = format(value)?,
            _ => return Err(format!("unknown option {option}")),
        }
        Ok(())
    }
}

fn script(file: &str) -> Result<Arc<Script>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("--script {file:?}: {error}"))?;
    text.parse().map(Arc::new).map_err(|what| format!("--script {file:?}: {what}"))
}

fn blind(name: &str) -> Result<Blind, String> {
    Blind::named(name).ok_or_else(|| {
        let names: Vec<_> = Blind::ALL.into_iter().map(Blind::name).collect();
        format!("--mutant {name:?}: not one of {}", names.join(", "))
    })
}

pub(crate) fn number<T: FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option} {value:?}: not a number"))
}

pub(crate) fn kinds(name: &str) -> Result<Kinds, String> {
    let found = Kinds::NAMES.into_iter().find(|(_, known)| *known == name);
    found.map(|(kinds, _)| kinds).ok_or_else(|| format!("--kinds {name:?}: not mixed or btree"))
}

fn mutant(name: &str) -> Result<Mutant, String> {
    Mutant::named(name).ok_or_else(|| {
        let names: Vec<_> = Mutant::ALL.into_iter().map(Mutant::name).collect();
        format!("--mutant {name:?}: not one of {}", names.join(", "))
    })
}

pub(crate) fn format(name: &str) -> Result<Format, String> {
    match name {
        "plain" => Ok(Format::Plain),
        "json" => Ok(Format::Json),
        _ => Err(format!("--format {name:?}: not plain or json")),
    }
}
