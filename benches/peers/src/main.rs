//! `peer-benches`: Aether beside other engines, measured and written down.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peer_benches::adapters::{self, PEERS};
use peer_benches::driver::Plan;
use peer_benches::engine::{Failure, Peer, Result};
use peer_benches::report::{self, Machine, NOTES, Results};
use peer_benches::workload::{self, Scale, Workload};
use peer_benches::{cell, check};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Aether beside other engines
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Compare each adapter with a model: puts, deletes, gets, scans both ways, reopening; run transactions at each level
    /// and check what must hold then
    Check(Which),
    /// List engines, their levels and workloads
    List,
    /// Check, then run the workloads and write the document
    All(All),
    /// Write the document from kept figures
    Render {
        /// What `--json` has written; a later file replaces the workloads that it has of earlier ones
        #[arg(required = true)]
        json: Vec<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// One cell, in this process; prints its figures as JSON
    Cell(Single),
    /// Load, sync, say `ready`, and wait to be killed
    #[command(hide = true)]
    Fill(Single),
}

#[derive(Args)]
struct Which {
    /// Engines, comma-separated [default: all of this build]
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Where the stores lie for the while [default: the system's temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Args)]
struct Target {
    /// The document; what follows its hand-written mark is kept [default: standard output]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct All {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    target: Target,
    /// A small run of about three minutes
    #[arg(long)]
    quick: bool,
    /// Only workloads whose names contain one of these, comma-separated; `txn`: the transactional ones
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Keep the figures
    #[arg(long)]
    json: Option<PathBuf>,
    /// Rows of the set that is read and updated
    #[arg(long)]
    rows: Option<u64>,
    /// Rows that a load writes
    #[arg(long)]
    load_rows: Option<u64>,
    /// Rows that the long load writes
    #[arg(long)]
    long_rows: Option<u64>,
    /// Seconds that a cell measures
    #[arg(long)]
    seconds: Option<f64>,
    /// Seconds of sustained puts
    #[arg(long)]
    sustained_seconds: Option<f64>,
    /// Rounds, engines taking turns
    #[arg(long)]
    rounds: Option<u32>,
    /// MiB of cache for each engine
    #[arg(long)]
    cache_mib: Option<u64>,
}

#[derive(Args)]
struct Single {
    /// The engine; of transactional workloads, one of its levels
    #[arg(long)]
    engine: String,
    /// The workload's name
    #[arg(long, default_value = "")]
    workload: String,
    /// The store's directory
    #[arg(long)]
    home: PathBuf,
    /// Sizes, as JSON [default: those of `--quick`]
    #[arg(long)]
    scale: Option<String>,
}

fn main() -> std::process::ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(command: Cmd) -> Result<()> {
    match command {
        Cmd::Check(which) => which.check(),
        Cmd::List => {
            list();
            Ok(())
        }
        Cmd::All(all) => all.run(),
        Cmd::Render { json, target } => target.write(&report::document(&read_all(&json)?)),
        Cmd::Cell(single) => single.cell(),
        Cmd::Fill(single) => single.fill(),
    }
}

fn list() {
    PEERS.iter().for_each(|peer| println!("{} {}", peer.name, peer.version()));
    println!();
    PEERS.iter().flat_map(|peer| peer.levels).for_each(|level| println!("{}", level.name));
    println!();
    workload::all().iter().for_each(|workload| println!("{}", workload.name));
}

fn progress(style: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    Ok(bar.with_style(ProgressStyle::with_template(style)?))
}

impl Which {
    fn peers(&self) -> Result<Vec<&'static Peer>> {
        if self.engines.is_empty() {
            return Ok(PEERS.iter().collect());
        }
        self.engines.iter().map(|name| adapters::find(name)).collect()
    }

    fn scratch(&self) -> Result<TempDir> {
        Ok(match &self.dir {
            Some(dir) => TempDir::new_in(dir)?,
            None => TempDir::new()?,
        })
    }

    fn check(&self) -> Result<()> {
        let bar = progress("checking {msg} {pos}/{len}")?;
        let peers = self.peers()?;
        bar.set_length(peers.len() as u64);
        for peer in peers {
            bar.set_message(peer.name);
            let dir = self.scratch()?;
            check::check(peer, dir.path()).map_err(|error| format!("{}: {error}", peer.name))?;
            bar.inc(1);
            bar.suspend(|| println!("{}: as the model", peer.name));
        }
        bar.finish_and_clear();
        Ok(())
    }
}

impl Target {
    fn write(&self, text: &str) -> Result<()> {
        let Some(path) = &self.out else {
            print!("{text}");
            return Ok(());
        };
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let notes = before.split_once(NOTES).map_or("\n", |(_, notes)| notes);
        Ok(std::fs::write(path, format!("{}\n\n{NOTES}{notes}", text.trim_end()))?)
    }
}

impl All {
    fn run(&self) -> Result<()> {
        self.which.check()?;
        let peers = self.which.peers()?;
        let (dir, mut machine) = (self.which.scratch()?, Machine::here());
        let engines = peers.iter().map(|peer| peer.name.to_owned()).collect();
        let (workloads, scale) = (self.workloads()?, self.scale());
        let plan = Plan { peers, workloads, scale, dir: dir.path().to_path_buf() };
        let bar = progress("{elapsed_precise} [{wide_bar}] {pos}/{len} eta {eta} {msg}")?;
        let cells = plan.run(&bar)?;
        bar.finish_and_clear();
        machine.finished();
        let results = Results { scale: plan.scale, machine, engines, cells };
        keep(self.json.as_deref(), &results)?;
        self.target.write(&report::document(&results))
    }

    fn workloads(&self) -> Result<Vec<Workload>> {
        let is_wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word));
        let wanted: Vec<_> = workload::all().into_iter().filter(|one| is_wanted(&one.name)).collect();
        if wanted.is_empty() {
            Err(Failure::from("no workload has such a name; see `list`"))
        } else {
            Ok(wanted)
        }
    }

    fn scale(&self) -> Scale {
        let base = if self.quick { Scale::QUICK } else { Scale::FULL };
        Scale {
            rows: self.rows.unwrap_or(base.rows).max(1_000),
            load_rows: self.load_rows.unwrap_or(base.load_rows).max(100),
            long_rows: self.long_rows.unwrap_or(base.long_rows).max(100),
            seconds: self.seconds.unwrap_or(base.seconds),
            sustained_seconds: self.sustained_seconds.unwrap_or(base.sustained_seconds),
            rounds: self.rounds.unwrap_or(base.rounds).max(1),
            cache_mib: self.cache_mib.unwrap_or(base.cache_mib).max(1),
        }
    }
}

fn keep(json: Option<&Path>, results: &Results) -> Result<()> {
    let Some(path) = json else { return Ok(()) };
    Ok(std::fs::write(path, serde_json::to_vec_pretty(results)?)?)
}

fn read_all(paths: &[PathBuf]) -> Result<Results> {
    let read = |path: &PathBuf| -> Result<Results> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
    let found = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    let merged = found.into_iter().map(Ok).reduce(|one, more| one?.joined(more?));
    merged.unwrap_or_else(|| Err(Failure::from("no figures")))
}

impl Single {
    fn scale(&self) -> Result<Scale> {
        self.scale.as_deref().map_or(Ok(Scale::QUICK), |scale| Ok(serde_json::from_str(scale)?))
    }

    fn cell(&self) -> Result<()> {
        let all = workload::all();
        let workload = all.iter().find(|workload| workload.name == self.workload);
        let workload = workload.ok_or_else(|| format!("no workload `{}`; see `list`", self.workload))?;
        let (home, scale) = (&self.home, self.scale()?);
        let figures = if workload.is_transactional() {
            cell::run_transactions(adapters::find_level(&self.engine)?, workload, home, &scale)?
        } else {
            cell::run(adapters::find(&self.engine)?, workload, home, &scale)?
        };
        println!("{}", serde_json::to_string(&figures)?);
        Ok(())
    }

    fn fill(&self) -> Result<()> {
        cell::fill_and_wait(adapters::find(&self.engine)?, &self.home, &self.scale()?, || println!("ready"))
    }
}
