//! Converts the keyspace of the lists from kind to kind while clients work on it.

use super::client::Shared;
use crate::kind::Kind;
use crate::rng::Rng;
use aether_kv::{DbEnv, Error, ErrorKind, Keyspace};
use aether_sync::Arc;
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_sync::thread::sleep;
use std::time::Duration;

/// Microseconds between two conversions, at the most.
const PAUSE_US_MAX: usize = 3_000;

/// Converts again and again.
pub(super) struct Converter {
    pub(super) shared: Arc<Shared>,
    pub(super) env: DbEnv,
    pub(super) space: Keyspace,
    pub(super) rng: Rng,
}

impl Converter {
    /// Converts until a client ends or the store fails; tells why it failed.
    pub(super) fn work(mut self, is_over: &AtomicBool) -> Option<Error> {
        while !is_over.load(Relaxed) {
            let to = Kind::draw(&mut self.rng, Some(self.space.kind()));
            match self.env.convert(self.space.name(), to.options()) {
                Ok(_) => self.shared.conversions.add(1),
                Err(error) if is_refusal(&error) => {}
                Err(error) => return Some(error),
            }
            sleep(Duration::from_micros(self.rng.below(PAUSE_US_MAX) as u64));
        }
        None
    }
}

/// Writers were in the way.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock | ErrorKind::TimedOut)
}
