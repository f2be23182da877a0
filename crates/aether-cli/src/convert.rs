//! `convert`: gives a keyspace an index of another kind.
//!
//! A conversion that is killed, or fails, leaves the keyspace whole, in the old index or in the new one; what is left of the other goes with
//! the next open.

use crate::arguments::{Common, Convert, Format, KindName};
use crate::exit::{Exit, Outcome};
use crate::load::{bar, rate};
use crate::output::Output;
use crate::{home, show};
use aether::{Conversion, ConversionProgress, DbEnv, IndexKind, KeyspaceOptions};
use indicatif::ProgressBar;
use serde_json::json;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub(crate) fn run(common: &Common, arguments: &Convert) -> Outcome {
    let env = home::open_existing_for_bulk(common)?;
    let from = home::keyspace(&env, &arguments.keyspace)?.kind();
    let name = &arguments.keyspace.keyspace;
    let start = Instant::now();
    let done = convert(&env, name, arguments.to.kind())?;
    env.close()?;
    let report = Report { name, from, to: arguments.to, done, elapsed: start.elapsed() };
    report.tell(&mut Output::new(common.format))?;
    Ok(Exit::Done)
}

/// Converts, with a bar on stderr if that is a terminal. Blocks until all rows are copied.
fn convert(env: &DbEnv, name: &str, to: IndexKind) -> Outcome<Conversion> {
    let bar = bar(None, "{spinner} {elapsed} {msg}");
    let done = env.convert_with(name, KeyspaceOptions::of(to), |progress| {
        show_progress(&bar, progress);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    // Nobody breaks it off.
    Ok(done?.unwrap_or_default())
}

fn show_progress(bar: &ProgressBar, progress: &ConversionProgress) {
    if bar.is_hidden() {
        return;
    }
    let rows = progress.done.rows_copied;
    bar.tick();
    bar.set_message(format!("{} rows, {} rows/s", show::count(rows), show::count(rate(rows, bar.elapsed()))));
}

/// What a conversion did.
struct Report<'a> {
    name: &'a str,
    from: IndexKind,
    to: KindName,
    done: Conversion,
    /// With the time to close the home, which writes back what is in memory.
    elapsed: Duration,
}

impl Report<'_> {
    fn from(&self) -> String {
        KindName::of(self.from).map_or_else(|| self.from.to_string(), |kind| kind.name().to_owned())
    }

    fn rate(&self) -> u64 {
        rate(self.done.rows_copied, self.elapsed)
    }

    fn tell(&self, output: &mut Output) -> Outcome<()> {
        match output.format() {
            Format::Json => output.json(&self.json())?,
            Format::Plain => output.line(&self.summary())?,
            Format::Table => output.pairs(self.pairs())?,
        }
        output.flush()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "keyspace": self.name,
            "from": self.from(),
            "to": self.to.name(),
            "rows": self.done.rows_copied,
            "seconds": self.elapsed.as_secs_f64(),
            "locked_seconds": self.done.locked.as_secs_f64(),
            "rows_per_second": self.rate(),
        })
    }

    fn summary(&self) -> String {
        format!(
            "converted {} from {} to {}: {} rows, {:.2} s, {} rows/s",
            self.name,
            self.from(),
            self.to.name(),
            show::count(self.done.rows_copied),
            self.elapsed.as_secs_f64(),
            show::count(self.rate())
        )
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![
            ("keyspace".into(), self.name.to_owned()),
            ("from".into(), self.from()),
            ("to".into(), self.to.name().to_owned()),
            ("rows".into(), show::count(self.done.rows_copied)),
            ("seconds".into(), format!("{:.3}", self.elapsed.as_secs_f64())),
            ("rows/s".into(), show::count(self.rate())),
        ]
    }
}
