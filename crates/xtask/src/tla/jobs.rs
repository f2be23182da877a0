//! What the checkers are run on, two side by side; what they find comes in the order of the jobs.

use std::thread;
use std::time::{Duration, Instant};

use super::Plan;
use super::checker::{self, Run, Verdict};
use super::model::{Model, Protocol};
use super::mutant::Mutant;
use super::record::Record;
use super::tools::Tools;

/// Runs of checkers side by side; each takes one processor.
const SIDE_BY_SIDE: usize = 2;

/// One run of a checker.
pub(super) struct Job<'p> {
    pub(super) protocol: &'p Protocol,
    pub(super) work: Work<'p>,
}

/// On what.
pub(super) enum Work<'p> {
    /// TLC on a model.
    First(&'p Model),
    /// The second checker on the model of the job before.
    Second(&'p Model),
    /// TLC on a mutant.
    Mutant(&'p Mutant),
}

/// What a run has found, and how long it took.
pub(super) struct Done {
    pub(super) verdict: Verdict,
    pub(super) time: Duration,
}

impl<'p> Job<'p> {
    /// Those of a protocol that the plan asks for: each model, then mutants.
    pub(super) fn of(protocol: &'p Protocol, record: &Record, plan: &Plan<'_>) -> Vec<Self> {
        let mut works = Vec::new();
        if plan.mutants.is_empty() {
            for model in protocol.models.iter().filter(|model| !plan.quick || model.is_quick()) {
                works.push(Work::First(model));
                if record.wants_second(&protocol.name, &model.name) {
                    works.push(Work::Second(model));
                }
            }
        }
        works.extend(mutants_of(protocol, plan).into_iter().map(Work::Mutant));
        works.into_iter().map(|work| Self { protocol, work }).collect()
    }

    /// Runs the checker. Blocks until it is done.
    ///
    /// # Errors
    /// A mutant's edit that does not fit; the checker does not start.
    pub(super) fn run(&self, tools: &Tools) -> Result<Done, String> {
        let protocol = self.protocol;
        let run = match self.work {
            Work::First(model) => Run::of_model(tools, protocol, model)?,
            Work::Second(model) => Run::of_model_again(tools, protocol, model)?,
            Work::Mutant(mutant) => Run::of_mutant(tools, protocol, mutant)?,
        };
        let start = Instant::now();
        let verdict = match self.work {
            Work::Second(_) => checker::second(tools, &run)?,
            Work::First(_) | Work::Mutant(_) => checker::tlc(tools, &run)?,
        };
        Ok(Done { verdict, time: start.elapsed() })
    }
}

/// All of them, the named ones, or in a quick run the first.
fn mutants_of<'p>(protocol: &'p Protocol, plan: &Plan<'_>) -> Vec<&'p Mutant> {
    let named = |mutant: &&Mutant| plan.mutants.is_empty() || plan.mutants.contains(&mutant.name);
    let count = if plan.quick { 1 } else { usize::MAX };
    protocol.mutants.iter().filter(named).take(count).collect()
}

/// Gives what `run` makes of each of `jobs` to `take`, in their order, two by two. Blocks until all are done, or `take` fails.
///
/// # Errors
/// Those of `take`.
pub(super) fn in_order<J: Sync, D: Send>(
    jobs: &[J],
    run: impl Fn(&J) -> D + Sync,
    mut take: impl FnMut(&J, D) -> Result<(), String>,
) -> Result<(), String> {
    let run = &run;
    for pair in jobs.chunks(SIDE_BY_SIDE) {
        let done: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = pair.iter().map(|job| scope.spawn(move || run(job))).collect();
            runs.into_iter().map(|run| run.join().map_err(|_| "whoever runs a checker panicked")).collect()
        });
        for (job, done) in pair.iter().zip(done) {
            take(job, done?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_found_comes_in_the_order_of_the_jobs() {
        let jobs: Vec<u64> = (0..20).collect();
        let run = |job: &u64| {
            // The later ones of each pair are done first.
            thread::sleep(Duration::from_millis(2 * (1 - job % 2)));
            job * 10
        };
        let mut seen = Vec::new();
        let take = |job: &u64, done| {
            seen.push((*job, done));
            Ok(())
        };
        in_order(&jobs, run, take).unwrap();
        assert_eq!(seen, jobs.iter().map(|job| (*job, job * 10)).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let begun = Mutex::new(0);
        let run = |_: &u64| *begun.lock().unwrap() += 1;
        let take = |_: &u64, ()| Err("no".to_string());
        let jobs: Vec<u64> = (0..1000).collect();
        assert_eq!(in_order(&jobs, run, take), Err("no".to_string()));
        assert_eq!(*begun.lock().unwrap(), SIDE_BY_SIDE);
    }
}
