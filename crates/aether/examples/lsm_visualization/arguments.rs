//! The command line.

use aether::lsm::PolicyKind;
use std::time::Duration;

/// What may be said.
pub(crate) const USAGE: &str = "usage: lsm_visualization [--seconds N] [--policy hanoi|predictable|fast|leveled|adaptive] \
                                [--keys N] [--once | --json]";

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];

/// What the command line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    /// How long the load runs.
    pub(crate) run_for: Duration,
    pub(crate) policy: PolicyKind,
    /// Keys that the load puts, over and over.
    pub(crate) keys: u64,
    /// The last frame alone, as plain text.
    pub(crate) once: bool,
    pub(crate) json: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        let run_for = Duration::from_secs(8);
        Self { run_for, policy: PolicyKind::Fast, keys: 200_000, once: false, json: false }
    }
}

impl Arguments {
    /// Reads the words after the program's name; what is wrong with them otherwise.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut this = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} takes a value"));
            match word.as_str() {
                "--seconds" => this.run_for = Duration::from_secs(number(&word, &value()?)?),
                "--keys" => this.keys = number(&word, &value()?)?,
                "--policy" => this.policy = policy(&value()?)?,
                "--once" => this.once = true,
                "--json" => this.json = true,
                _ => return Err(format!("{word} is not known")),
            }
        }
        Ok(this)
    }
}

fn number(of: &str, value: &str) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{of} takes a number above 0, not `{value}`"))
}

fn policy(name: &str) -> Result<PolicyKind, String> {
    let policy = POLICIES.into_iter().find(|policy| policy.to_string() == name);
    policy.ok_or_else(|| format!("there is no merge policy `{name}`"))
}
