//! The commands `kill` and `soak`: their options, their progress, what they print.

use super::{say, write_out};
use crate::cli::{Format, format, kinds, number};
use aether_torture::kill::{self, process, tally};
use aether_torture::soak;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const USAGE: &str = "\
usage: aether-torture kill --rounds N [--seed S] [--binary PATH] [--life ROUNDS] [--kinds mixed|btree] [--format plain|json]
       aether-torture kill --ci                  kill -9 of the real binary, at work and while it recovers
       aether-torture soak --minutes N [--seed S] [--home DIR] [--clients N] [--keys N] [--format plain|json]
                                                 mixed work, verified; nothing may grow
exit codes: 0 all is well; 1 something is lost, wrong or grows, or the test cannot run; 2 wrong usage";

/// Runs `kill` or `soak`, if that is what the arguments ask for.
pub(crate) fn run(arguments: &[String]) -> Option<ExitCode> {
    let (command, options) = arguments.split_first()?;
    let outcome = match command.as_str() {
        "kill" => parse_kill(options).map(run_kill),
        "soak" => parse_soak(options).map(run_soak),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|usage| {
        say(&format!("{usage}\n{USAGE}"));
        ExitCode::from(2)
    }))
}

struct Kill {
    settings: kill::Settings,
    format: Format,
}

fn parse_kill(options: &[String]) -> Result<Kill, String> {
    let mut kill = Kill { settings: kill::Settings::new(PathBuf::new(), 0), format: Format::Plain };
    let settings = &mut kill.settings;
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        if option == "--ci" {
            settings.rounds = kill::CI_ROUNDS;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--rounds" => settings.rounds = number(option, value)?,
            "--seed" => settings.seed = number(option, value)?,
            "--binary" => settings.binary = PathBuf::from(value),
            "--life" => settings.life = number::<u64>(option, value)?.max(1),
            "--kinds" => settings.kinds = kinds(value)?,
            "--format" => kill.format = format(value)?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    if settings.rounds == 0 {
        return Err("kill needs --rounds".into());
    }
    Ok(kill)
}

fn run_kill(Kill { mut settings, format }: Kill) -> ExitCode {
    if settings.binary.as_os_str().is_empty() {
        match process::default_binary() {
            Ok(binary) => settings.binary = binary,
            Err(what) => return cannot(&what),
        }
    }
    let bar = bar(settings.rounds);
    let mut last = Instant::now();
    let tally = kill::run(&settings, &mut |tally: &tally::Tally| {
        bar.set_position(tally.rounds);
        tell(&bar, &mut last, || tally.to_string());
    });
    bar.finish_and_clear();
    match tally {
        Ok(tally) => end(format, tally.is_clean(), &tally, || tally.json()),
        Err(what) => cannot(&what),
    }
}

struct Soak {
    settings: soak::Settings,
    format: Format,
}

fn parse_soak(options: &[String]) -> Result<Soak, String> {
    let mut soak = Soak { settings: soak::Settings::new(Duration::ZERO), format: Format::Plain };
    let settings = &mut soak.settings;
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        match option.as_str() {
            "--minutes" => settings.time = minutes(option, value)?,
            "--seed" => settings.seed = number(option, value)?,
            "--home" => settings.home = Some(PathBuf::from(value)),
            "--clients" => settings.clients = number::<usize>(option, value)?.clamp(1, 999),
            "--keys" => settings.keys = number::<usize>(option, value)?.clamp(100, 999_999),
            "--format" => soak.format = format(value)?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    if settings.time.is_zero() {
        return Err("soak needs --minutes".into());
    }
    Ok(soak)
}

fn minutes(option: &str, value: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number::<f64>(option, value)? * 60.0)
        .map_err(|error| format!("{option} {value}: {error}"))
}

fn run_soak(Soak { settings, format }: Soak) -> ExitCode {
    let bar = bar(settings.time.as_secs());
    let mut last = Instant::now();
    let outcome = soak::run(&settings, &mut |outcome| {
        bar.set_position(outcome.seconds as u64);
        let sample = outcome.samples.last().copied().unwrap_or_default();
        tell(&bar, &mut last, || {
            format!(
                "{:.0} s: {} MiB resident, {} open files, {} files of {} MiB; {}",
                outcome.seconds,
                sample.resident_bytes >> 20,
                sample.open_files,
                sample.files,
                sample.home_bytes >> 20,
                outcome.counts
            )
        });
    });
    bar.finish_and_clear();
    match outcome {
        Ok(outcome) => end(format, outcome.is_clean(), &outcome, || outcome.json()),
        Err(what) => cannot(&what),
    }
}

fn end(
    format: Format,
    clean: bool,
    text: &impl ToString,
    json: impl FnOnce() -> serde_json::Value,
) -> ExitCode {
    write_out(&match format {
        Format::Plain => text.to_string(),
        Format::Json => json().to_string(),
    });
    ExitCode::from(u8::from(!clean))
}

fn cannot(what: &str) -> ExitCode {
    say(what);
    ExitCode::from(1)
}

/// A bar for who watches.
fn bar(length: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} eta {eta} {wide_msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Beside the bar for who watches, else as a line now and then.
fn tell(bar: &ProgressBar, last: &mut Instant, text: impl FnOnce() -> String) {
    if !bar.is_hidden() {
        bar.set_message(text());
    } else if last.elapsed() > Duration::from_secs(10) {
        *last = Instant::now();
        say(&text());
    }
}
