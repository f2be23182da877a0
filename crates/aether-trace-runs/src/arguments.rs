//! The command line.

use crate::{PROTOCOLS, Run};

/// What to run.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Makes a trace of the protocol from a seed.
    pub run: Run,
    /// How many steps, at least.
    pub events: u64,
    /// Of the first trace; the next ones have the next seeds.
    pub seed: u64,
    /// The bug to plant.
    pub mutant: Option<String>,
}

/// Reads the words after the program's name.
///
/// # Errors
/// What is wrong with them.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let protocol = words.next().ok_or("which protocol?")?;
    let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
    let (_, run) = known.ok_or_else(|| format!("there are no runs of {protocol}"))?;
    let mut arguments = Arguments { run: *run, events: 1000, seed: 1, mutant: None };
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} wants a value"))?;
        match option.as_str() {
            "--events" => arguments.events = number(&value)?,
            "--seed" => arguments.seed = number(&value)?,
            "--mutant" => arguments.mutant = Some(value),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(arguments)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Arguments, String> {
        read(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(of("log_buffer --seed 7 --events 9").map(|read| (read.seed, read.events)), Ok((7, 9)));
        for (line, what) in [
            ("", "which protocol"),
            ("tides", "no runs of tides"),
            ("log_buffer --seed", "wants a value"),
            ("log_buffer --seed x", "is no number"),
            ("log_buffer --moon 1", "unknown option"),
        ] {
            assert!(of(line).unwrap_err().contains(what), "{line}");
        }
    }
}
