//! The commands and their options.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::floors::{self, Arrow, Floor, Kind, Workspace};
use crate::gate::{self, Format, Options};
use crate::steps::{DEEP, GATE, Step};
use crate::terminal::{Mood, paint, say, warn};
use crate::{checks, fuzz, mutants, repository, tla};

const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 a step or check failed, 2 wrong usage.\n\
    Results go to standard output, everything else to standard error. Colours obey NO_COLOR.";

/// The automation of Aether.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every step that CI runs after the tests
    #[command(after_help = EXIT_CODES)]
    Gate(GateArgs),
    /// List what takes too long for every change, or run it
    #[command(after_help = EXIT_CODES)]
    Deep(DeepArgs),
    /// Check the orderings of atomics in small models (tests/loom_*.rs)
    #[command(after_help = EXIT_CODES)]
    Loom(Packages),
    /// Check random interleavings of whole protocols (tests/shuttle_*.rs)
    #[command(after_help = EXIT_CODES)]
    Shuttle(Packages),
    /// Build the index crate with each of its kinds alone, and test the LSM crate with what is off by default
    #[command(after_help = EXIT_CODES)]
    Features,
    /// Look for undefined behaviour in unit tests, under several schedules
    #[command(after_help = EXIT_CODES)]
    Miri(MiriArgs),
    /// Look for data races in the tests of crates, with ThreadSanitizer
    #[command(after_help = EXIT_CODES)]
    Tsan(Packages),
    /// Change the code in small ways and see that tests notice (cargo-mutants), a sample of each of four crates
    #[command(after_help = EXIT_CODES)]
    Mutants(MutantsArgs),
    /// Run the whole-engine simulation with crashes
    #[command(after_help = EXIT_CODES)]
    Torture(TortureArgs),
    /// Run the fuzz targets, each on a copy of its corpus
    #[command(after_help = EXIT_CODES)]
    Fuzz(FuzzArgs),
    /// Check the specs below tla/
    #[command(subcommand, after_help = EXIT_CODES)]
    Tla(TlaTask),
    /// Print the floors of the crates and check every dependency against them
    #[command(after_help = EXIT_CODES)]
    Floors(FloorsArgs),
}

#[derive(Args)]
struct Shape {
    /// How results are written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Args)]
struct GateArgs {
    /// Only this step; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(GATE.iter().map(|step| step.name)))]
    only: Vec<String>,
    /// Print the steps without running them
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args)]
struct DeepArgs {
    /// Run the steps instead of printing them
    #[arg(long)]
    run: bool,
    #[command(flatten)]
    how: RunArgs,
}

#[derive(Args)]
struct RunArgs {
    /// Print the table of times at the end
    #[arg(long)]
    times: bool,
    /// Go on after a failed step
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Args)]
struct Packages {
    /// Only this crate; may be given more than once
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
}

#[derive(Args)]
struct MiriArgs {
    #[command(flatten)]
    packages: Packages,
    /// How many schedules each test runs under
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
}

#[derive(Args)]
struct MutantsArgs {
    #[command(flatten)]
    packages: Packages,
    /// How many of each crate
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// Leave out the first N of each sample, which another run has tried
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// Another seed, another sample
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How long the tests may take on a mutant [default: five times what they take without one, at least 20 s]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
}

#[derive(Args)]
struct TortureArgs {
    /// For how long
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Start from this seed, to replay a failure
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

#[derive(Args)]
struct FuzzArgs {
    /// Only these; all if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// For how long each
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Add the inputs that reach new code to the corpora
    #[arg(long)]
    merge: bool,
}

#[derive(Subcommand)]
enum TlaTask {
    /// Check every model with TLC and tla-checker, compare the counts of states, and see that every mutant is caught
    #[command(after_help = EXIT_CODES)]
    Check(TlaArgs),
    /// Hold traces of the running code against the specs
    #[command(after_help = EXIT_CODES)]
    Validate(ValidateArgs),
}

#[derive(Args)]
struct ValidateArgs {
    /// Only a twentieth of the events; then not every action must occur
    #[arg(long)]
    quick: bool,
    /// Only this folder of tla/; may be given more than once
    #[arg(long = "spec", value_name = "NAME")]
    specs: Vec<String>,
    /// Only traces of this source; both if none is named
    #[arg(long = "source", value_name = "SOURCE", value_enum)]
    sources: Vec<tla::Source>,
    /// How many events, of all protocols together
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// What the runs follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Plant this bug in the code and expect that its traces are refused; may be given more than once
    #[arg(long = "mutant", value_name = "NAME")]
    mutants: Vec<String>,
    /// As --mutant, for every bug there is
    #[arg(long, conflicts_with = "mutants")]
    all_mutants: bool,
    /// Write what was seen into the tables of docs/verification.md
    #[arg(long)]
    record: bool,
}

#[derive(Args)]
struct TlaArgs {
    /// Only the smallest models, and one mutant of each spec
    #[arg(long)]
    quick: bool,
    /// Only this folder of tla/; may be given more than once
    #[arg(long = "spec", value_name = "NAME")]
    specs: Vec<String>,
    /// No models, only this mutant; may be given more than once
    #[arg(long = "mutant", value_name = "NAME")]
    mutants: Vec<String>,
    /// Write the counts to tla/states.txt instead of comparing them, and the tables of docs/verification.md
    #[arg(long)]
    record: bool,
}

#[derive(Args)]
struct FloorsArgs {
    #[command(flatten)]
    shape: Shape,
}

/// Reads the command line, does what it says and tells how it went. Blocks until done.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match perform(&repository::root(), &cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            warn(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(root: &Path, task: &Task) -> Result<bool, String> {
    match task {
        Task::Gate(args) => Ok(gate(root, args)),
        Task::Deep(args) => Ok(deep(root, args)),
        Task::Loom(args) => checks::schedules(root, "loom", &args.packages).map(|()| true),
        Task::Shuttle(args) => checks::schedules(root, "shuttle", &args.packages).map(|()| true),
        Task::Features => checks::features(root).map(|()| true),
        Task::Miri(args) => checks::miri(root, &args.packages.packages, args.seeds).map(|()| true),
        Task::Tsan(args) => checks::tsan(root, &args.packages).map(|()| true),
        Task::Mutants(args) => {
            let MutantsArgs { skip, count, seed, timeout, .. } = *args;
            mutants::run(
                root,
                &mutants::Plan { packages: &args.packages.packages, skip, count, seed, timeout },
            )
        }
        Task::Torture(args) => checks::torture(root, args.minutes, args.seed).map(|()| true),
        Task::Fuzz(args) => {
            let plan = fuzz::Plan { seconds: args.seconds, targets: &args.targets, merge: args.merge };
            fuzz::run(root, &plan).map(|()| true)
        }
        Task::Tla(TlaTask::Check(args)) => {
            let TlaArgs { quick, record, .. } = *args;
            tla::check(root, &tla::Plan { quick, specs: &args.specs, mutants: &args.mutants, record })
        }
        Task::Tla(TlaTask::Validate(args)) => {
            let ValidateArgs { quick: is_quick, seed, all_mutants, record, .. } = *args;
            let events = if is_quick { args.events / 20 } else { args.events };
            let (specs, sources, mutants) = (&args.specs[..], &args.sources[..], &args.mutants[..]);
            tla::validate(
                root,
                &tla::Validation { specs, sources, events, is_quick, seed, mutants, all_mutants, record },
            )
        }
        Task::Floors(args) => show_floors(root, args.shape.format),
    }
}

fn gate(root: &Path, args: &GateArgs) -> bool {
    let chosen = |step: &&Step| args.only.is_empty() || args.only.iter().any(|name| name == step.name);
    let steps: Vec<_> = GATE.iter().filter(chosen).collect();
    run_or_list(root, &steps, !args.list, &args.run)
}

fn deep(root: &Path, args: &DeepArgs) -> bool {
    run_or_list(root, &DEEP.iter().collect::<Vec<_>>(), args.run, &args.how)
}

fn run_or_list(root: &Path, steps: &[&Step], run: bool, args: &RunArgs) -> bool {
    let format = args.shape.format;
    if run {
        return gate::run(root, steps, &Options { times: args.times, keep_going: args.keep_going, format });
    }
    gate::list(steps, format);
    true
}

fn show_floors(root: &Path, format: Format) -> Result<bool, String> {
    let (plan, workspace) = floors::metadata::read(root)?;
    let breaches = floors::breaches(&plan, &workspace);
    let mut sorted: Vec<_> = plan.floors.iter().collect();
    sorted.sort_by_key(|(name, floor)| (floor.floor, *name));
    for (name, floor) in sorted {
        let named = named_by(&workspace, name);
        match format {
            Format::Text => {
                say(&format!("{:>2} {name:16} {:9} {}", floor.floor, marks(floor), in_words(&named)))
            }
            Format::Json => say(&json!({"crate": name, "floor": floor.floor, "names": named}).to_string()),
        }
    }
    breaches.iter().for_each(|breach| warn(&format!("error: {breach}")));
    tell_verdict(&workspace.arrows, breaches.len(), format);
    Ok(breaches.is_empty())
}

/// What the manifest of `name` names, with the kind of each.
fn named_by<'a>(workspace: &'a Workspace, name: &str) -> BTreeMap<&'a str, &'static str> {
    let own = workspace.arrows.iter().filter(|arrow| arrow.from == name);
    // Of a crate named twice the normal dependency counts.
    let (normal, tests): (Vec<_>, Vec<_>) = own.partition(|arrow| arrow.kind != Kind::Dev);
    let dev = tests.into_iter().map(|arrow| (arrow.to.as_str(), "dev"));
    dev.chain(normal.into_iter().map(|arrow| (arrow.to.as_str(), "normal"))).collect()
}

fn in_words(named: &BTreeMap<&str, &str>) -> String {
    let words =
        named.iter().map(|(name, kind)| if *kind == "dev" { format!("({name})") } else { name.to_string() });
    words.collect::<Vec<_>>().join(" ")
}

fn marks(floor: &Floor) -> &'static str {
    if floor.layer {
        "layer"
    } else if floor.dev_only {
        "dev-only"
    } else if floor.hack {
        "hack"
    } else {
        ""
    }
}

fn tell_verdict(arrows: &[Arrow], breaches: usize, format: Format) {
    if format == Format::Json {
        return say(&json!({"arrows": arrows.len(), "breaches": breaches}).to_string());
    }
    let mood = if breaches == 0 { Mood::Good } else { Mood::Bad };
    say(&format!("{} dependencies, {}", arrows.len(), paint(&format!("{breaches} breaches"), mood)));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for line in
            [&["xtask"][..], &["xtask", "gate", "--only", "nothing"], &["xtask", "miri", "--seeds", "0"]]
        {
            let error = Cli::try_parse_from(line).err().unwrap();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn every_help_tells_the_exit_codes() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_after_help().unwrap().to_string().contains("1 a step or check failed"));
        }
    }
}
