//! What a run may have left behind: every state that a restart may show.

use crate::model::State;
use aether_sync::Arc;

/// The states of one run in the order of their commits.
///
/// Commits come one after another, so after a restart the store must equal `states[k]` for one `k` from
/// `acknowledged` to the last one: everything acknowledged as durable, and a prefix of what was requested and not
/// answered, or acknowledged under a weaker durability (T1).
#[derive(Clone, Debug)]
pub struct History {
    states: Vec<Arc<State>>,
    acknowledged: usize,
    in_doubt: bool,
}

impl Default for History {
    fn default() -> Self {
        Self::from_state(Arc::default())
    }
}

impl History {
    /// A run that starts with a store in `state`.
    pub fn from_state(state: Arc<State>) -> Self {
        Self { states: vec![state], acknowledged: 0, in_doubt: false }
    }

    /// The newest state.
    pub fn newest(&self) -> &Arc<State> {
        &self.states[self.states.len() - 1]
    }

    /// A commit to `state` is requested.
    pub fn request(&mut self, state: Arc<State>) {
        self.states.push(state);
    }

    /// Everything requested so far is durable.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.states.len() - 1;
    }

    /// A snapshot has shown state `k` without a reservation: no crash may undo it (T3). It shows rows and says nothing of what keyspaces are: a
    /// conversion in doubt that has left them as they were is not proved.
    pub fn witness(&mut self, mut k: usize) {
        while k > self.acknowledged && self.states[k].spaces == self.states[k - 1].spaces {
            k -= 1;
        }
        self.acknowledged = self.acknowledged.max(k);
    }

    /// The newest commit has an unknown outcome.
    pub fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// True once a commit has an unknown outcome: no later one may succeed.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// The newest commit has certainly not happened.
    pub fn withdraw(&mut self) {
        if self.states.len() - 1 > self.acknowledged {
            self.states.pop();
        }
    }

    /// A restart has shown state `k`: it is durable, and what came after it has not happened.
    pub fn settle(&mut self, k: usize) {
        self.states.truncate(k + 1);
        self.acknowledge();
        self.in_doubt = false;
    }

    /// The number of the newest acknowledged state.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// The number of the newest requested state.
    pub fn requested(&self) -> usize {
        self.states.len() - 1
    }

    /// State number `k`.
    pub fn state(&self, k: usize) -> &Arc<State> {
        &self.states[k]
    }

    /// The newest permitted state equal to `seen`.
    ///
    /// # Errors
    /// A sentence that says what is wrong, if there is none.
    pub fn place(&self, seen: &State) -> Result<usize, String> {
        let permitted = (self.acknowledged..=self.requested()).rev();
        if let Some(k) = permitted.into_iter().find(|k| *self.states[*k] == *seen) {
            return Ok(k);
        }
        let span = format!("{}..={}", self.acknowledged, self.requested());
        if let Some(k) = (0..self.acknowledged).rev().find(|k| *self.states[*k] == *seen) {
            return Err(format!("acknowledged commits are lost: state {k} is back, permitted {span}"));
        }
        let what = seen.difference(&self.states[self.acknowledged]).unwrap_or_default();
        Err(format!("no permitted state ({span}); against state {}: {what}", self.acknowledged))
    }
}
