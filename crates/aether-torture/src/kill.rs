//! Kills of the real binary: does it lose or half keep what it had acknowledged?
//!
//! A round ([`round`]) starts `aether torture work` on a store that grows from round to round, with options of chance
//! ([`design`]), and kills it at a moment of chance. In a third of the rounds `torture dump` or `torture work` is then
//! started on the unclean store and killed while it recovers. At last a whole `torture dump` is held against the
//! [`ledger`], which knows what every process said on standard output ([`event`]) and nothing of the engine.
//! The keyspace is of any kind, as the seed has it, and in a quarter of the rounds it is converted to another while clients write.
//! After some rounds the store is thrown away and begun anew, so that reading it stays quick.
//!
//! A killed process loses nothing that it had written to its files; so this tests the order in which the engine
//! acknowledges and writes, and recovery on a real file system, not the device. The power cut is the business of
//! [`crate::study`].

pub mod design;
pub mod event;
pub mod ledger;
pub mod process;
pub mod round;
pub mod tally;

use crate::kind::Kinds;
use crate::oracle::Verdict;
use round::Lane;
use std::path::PathBuf;
use std::time::Instant;
use tally::Tally;

/// Rounds that the gate runs.
pub const CI_ROUNDS: u64 = 100;

/// What to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Options and moments follow from it; what the system does meanwhile does not.
    pub seed: u64,
    /// How many rounds.
    pub rounds: u64,
    /// The `aether` binary.
    pub binary: PathBuf,
    /// Rounds that a store lives.
    pub life: u64,
    /// What its keyspace is; if of all kinds, it is converted now and then.
    pub kinds: Kinds,
}

impl Settings {
    /// So many rounds of `binary`.
    pub fn new(binary: PathBuf, rounds: u64) -> Self {
        Self { seed: 1, rounds, binary, life: 25, kinds: Kinds::Mixed }
    }
}

/// Runs the rounds, until one goes wrong. Blocks; `progress` is called after each. What is wrong is in the tally, and
/// the store that shows it is kept.
///
/// # Errors
/// If the binary cannot be started, or the directory for the stores cannot be made.
pub fn run(settings: &Settings, progress: &mut dyn FnMut(&Tally)) -> Verdict<Tally> {
    let start = Instant::now();
    let mut lane = Lane::new(settings)?;
    for number in 0..settings.rounds {
        lane.round(number)?;
        lane.tally.seconds = start.elapsed().as_secs_f64();
        progress(&lane.tally);
        if !lane.tally.is_clean() {
            break;
        }
    }
    Ok(lane.end())
}
