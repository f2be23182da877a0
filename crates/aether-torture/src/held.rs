//! A snapshot that is held while the store goes on.

use crate::calls::WRONG_ANSWER;
use crate::history::History;
use crate::model::State;
use crate::oracle::{self, Verdict, failed};
use aether_kv::{DbEnv, Keyspace, Snapshot};

/// A snapshot, the keyspaces it shows, and what it showed at first.
pub(crate) struct Held {
    snapshot: Snapshot,
    spaces: Vec<(String, Keyspace)>,
    state: State,
}

impl Held {
    /// Takes a snapshot; also returns the number of the state in `history` that it shows.
    pub(crate) fn take(env: &DbEnv, history: &History) -> Verdict<(Self, usize)> {
        let snapshot = env.snapshot().map_err(failed("snapshot"))?;
        let spaces = oracle::spaces(env)?;
        let state = oracle::read_spaces(&snapshot, &spaces)?;
        let k = history.place(&state).map_err(|what| format!("{WRONG_ANSWER}: a snapshot shows {what}"))?;
        Ok((Self { snapshot, spaces, state }, k))
    }

    /// Reads the same snapshot again, also keyspaces that were dropped or converted since.
    pub(crate) fn read_again(&self) -> Verdict<()> {
        let again = oracle::read_spaces(&self.snapshot, &self.spaces)?;
        match again.difference_of_rows(&self.state) {
            None => Ok(()),
            Some(what) => Err(format!("{WRONG_ANSWER}: a snapshot has changed: {what}")),
        }
    }
}
