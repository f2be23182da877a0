//! Rounds of child processes, engines taking turns.

use crate::cell::Figures;
use crate::engine::{Failure, Peer, Result};
use crate::meter::copy_dir;
use crate::workload::{Scale, Store, Workload};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run.
pub struct Plan {
    /// The engines.
    pub peers: Vec<&'static Peer>,
    /// What each does.
    pub workloads: Vec<Workload>,
    /// How large.
    pub scale: Scale,
    /// Where the stores lie.
    pub dir: PathBuf,
}

/// A cell over all rounds: medians, or why there are none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The workload's name.
    pub workload: String,
    /// The engine's name.
    pub engine: String,
    /// Medians over the rounds.
    pub figures: Option<Figures>,
    /// The first failure.
    pub failure: Option<String>,
}

/// What a child must not exceed, but for a multiple of what it measures.
const PATIENCE: Duration = Duration::from_secs(180);

type Outcome = std::result::Result<Figures, String>;

impl Plan {
    /// Runs everything.
    ///
    /// # Errors
    /// If a set cannot be loaded. A cell that fails is told of in its place.
    pub fn run(&self, progress: &ProgressBar) -> Result<Vec<Cell>> {
        let columns: usize = self.workloads.iter().map(|workload| self.columns(workload).len()).sum();
        progress.set_length((columns * self.scale.rounds as usize) as u64);
        if self.workloads.iter().any(|workload| matches!(workload.store, Store::Shared | Store::Copied)) {
            for peer in &self.peers {
                progress.set_message(format!("loading {}", peer.name));
                self.load_set(peer.name)?;
            }
        }
        let mut outcomes: BTreeMap<(usize, usize), Vec<Outcome>> = BTreeMap::new();
        for round in 0..self.scale.rounds as usize {
            for (at, workload) in self.workloads.iter().enumerate() {
                // Who begins changes, so that nobody always follows the same one.
                let columns = self.columns(workload);
                for turn in 0..columns.len() {
                    let turn = (turn + round) % columns.len();
                    progress.set_message(format!("{}: {}", workload.name, columns[turn]));
                    outcomes.entry((at, turn)).or_default().push(self.cell(columns[turn], workload));
                    progress.inc(1);
                }
            }
        }
        Ok(outcomes.into_iter().map(|((at, turn), found)| self.summary(at, turn, found)).collect())
    }

    /// Who runs `workload`: the engines, or their levels.
    fn columns(&self, workload: &Workload) -> Vec<&'static str> {
        if workload.is_transactional() {
            self.peers.iter().flat_map(|peer| peer.levels).map(|level| level.name).collect()
        } else {
            self.peers.iter().map(|peer| peer.name).collect()
        }
    }

    fn summary(&self, at: usize, turn: usize, outcomes: Vec<Outcome>) -> Cell {
        let (mut rounds, mut failure) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(figures) => rounds.push(figures),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let figures = if failure.is_none() { median(&rounds) } else { None };
        let workload = &self.workloads[at];
        let engine = self.columns(workload)[turn].to_owned();
        Cell { workload: workload.name.clone(), engine, figures, failure }
    }

    fn set_of(&self, engine: &str) -> PathBuf {
        self.dir.join(format!("{engine}.set"))
    }

    /// Loads the set that most cells read, in random order.
    fn load_set(&self, engine: &str) -> Result<()> {
        let scale = Scale { load_rows: self.scale.rows, ..self.scale };
        let home = self.set_of(engine);
        let mut child = self.child("cell", engine, Some("load random, batch 100"), &home, &scale)?;
        finish(&mut child, PATIENCE * 4)
            .map(drop)
            .map_err(|error| Failure::from(format!("{engine}: loading: {error}")))
    }

    fn cell(&self, engine: &str, workload: &Workload) -> Outcome {
        let home = match workload.store {
            Store::Shared => self.set_of(engine),
            Store::Empty | Store::Copied | Store::Killed => self.dir.join(format!("{engine}.cell")),
        };
        let outcome = self.prepare(engine, workload, &home).and_then(|()| {
            let mut child = self.child("cell", engine, Some(&workload.name), &home, &self.scale)?;
            finish(&mut child, PATIENCE + self.scale.patience(workload.task))
        });
        if workload.store != Store::Shared {
            // What is left is removed with the whole directory.
            let _ = std::fs::remove_dir_all(&home);
        }
        outcome.map_err(|error| error.to_string())
    }

    fn prepare(&self, engine: &str, workload: &Workload, home: &Path) -> Result<()> {
        match workload.store {
            Store::Empty | Store::Shared => Ok(()),
            Store::Copied => Ok(copy_dir(&self.set_of(engine), home)?),
            Store::Killed => self.fill_and_kill(engine, home),
        }
    }

    /// Leaves what SIGKILL leaves of a process that has just synced its rows.
    fn fill_and_kill(&self, engine: &str, home: &Path) -> Result<()> {
        let mut child = self.child("fill", engine, None, home, &self.scale)?;
        let mut line = String::new();
        child.stdout.take().map(BufReader::new).map(|mut out| out.read_line(&mut line)).transpose()?;
        child.kill()?;
        child.wait()?;
        if line == "ready\n" { Ok(()) } else { Err(Failure::from("the loader failed")) }
    }

    fn child(
        &self,
        what: &str,
        engine: &str,
        workload: Option<&str>,
        home: &Path,
        scale: &Scale,
    ) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([what, "--engine", engine, "--scale", &serde_json::to_string(scale)?]);
        command.arg("--home").arg(home).args(workload.map(|name| format!("--workload={name}")));
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }
}

/// Waits for a cell's figures; kills it when patience ends.
fn finish(child: &mut Child, patience: Duration) -> Result<Figures> {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Err(Failure::from(format!("not done after {} s", patience.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut out)).transpose()?;
    child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut err)).transpose()?;
    if !status.success() {
        return Err(Failure::from(err.trim().lines().last().unwrap_or("it died silently").to_owned()));
    }
    Ok(serde_json::from_str(&out)?)
}

/// Each figure's median; none of nothing.
fn median(rounds: &[Figures]) -> Option<Figures> {
    let middle = |of: &dyn Fn(&Figures) -> Option<f64>| -> Option<f64> {
        let mut found: Vec<f64> = rounds.iter().filter_map(of).collect();
        found.sort_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    };
    let quantile =
        |of: fn(&crate::latency::Quantiles) -> f64| middle(&|figures| figures.latency.as_ref().map(of));
    Some(Figures {
        operations: middle(&|figures| Some(figures.operations))?,
        wall_ns: middle(&|figures| Some(figures.wall_ns))?,
        cpu_ns: middle(&|figures| Some(figures.cpu_ns))?,
        attempts: middle(&|figures| figures.attempts),
        latency: quantile(|of| of.p50_ns).and_then(|p50_ns| {
            Some(crate::latency::Quantiles {
                p50_ns,
                p99_ns: quantile(|of| of.p99_ns)?,
                p999_ns: quantile(|of| of.p999_ns)?,
                max_ns: quantile(|of| of.max_ns)?,
            })
        }),
        written_per_byte: middle(&|figures| figures.written_per_byte),
        worst_second: middle(&|figures| figures.worst_second),
        file_bytes: middle(&|figures| Some(figures.file_bytes))?,
        memory_bytes: middle(&|figures| Some(figures.memory_bytes))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_each_figure_is_taken() {
        let round = |wall_ns, cpu_ns| Figures { wall_ns, cpu_ns, ..Figures::default() };
        let found = median(&[round(3.0, 1.0), round(1.0, 3.0), round(2.0, 2.0)]).expect("three rounds");
        assert_eq!((found.wall_ns, found.cpu_ns, found.latency), (2.0, 2.0, None));
        assert!(median(&[]).is_none());
    }
}
