//! The first failed write or sync ends all writing (R2).

use crate::rank;
use aether_sync::Mutex;
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_types::{Error, ErrorKind};

/// Remembers why writing ended: the first failure, or the end of the log's use.
pub(crate) struct Poison {
    set: AtomicBool,
    end: Mutex<Option<End>>,
}

enum End {
    Closed,
    Failed(Error),
}

impl Poison {
    pub(crate) fn new() -> Self {
        Self { set: AtomicBool::new(false), end: Mutex::new(rank::POISON, None) }
    }

    /// Keeps the first error.
    pub(crate) fn set(&self, error: Error) {
        self.end.lock().get_or_insert(End::Failed(error));
        self.set.store(true, SeqCst);
    }

    /// Nothing is written any more, and nothing went wrong.
    pub(crate) fn close(&self) {
        self.end.lock().get_or_insert(End::Closed);
        self.set.store(true, SeqCst);
    }

    /// True once nothing is written any more.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(SeqCst)
    }

    /// The failure that ended writing.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &*self.end.lock() {
            Some(End::Failed(error)) => Some(error.duplicate()),
            _ => None,
        }
    }

    /// What a new writer is told: `Full` if the disk was full, otherwise `Poisoned`.
    pub(crate) fn refusal(&self) -> Option<Error> {
        self.told(ErrorKind::Poisoned)
    }

    /// What is told to those who wait for what is not durable.
    pub(crate) fn doubt(&self) -> Option<Error> {
        self.told(ErrorKind::InDoubt)
    }

    fn told(&self, kind: ErrorKind) -> Option<Error> {
        if !self.is_set() {
            return None;
        }
        match &*self.end.lock() {
            Some(End::Failed(cause)) => {
                let full = cause.kind() == ErrorKind::Full && kind == ErrorKind::Poisoned;
                let kind = if full { ErrorKind::Full } else { kind };
                Some(Error::new(kind, format!("the log failed and takes no more records: {cause}")))
            }
            _ => Some(Error::new(kind, "the log is closed")),
        }
    }
}
