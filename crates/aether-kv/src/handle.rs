//! Awaiting durability.

use crate::lsm::index::txn as inner;
use aether_types::Result;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// What is known of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStatus {
    /// Visible; a crash could still undo it.
    Visible,
    /// Durable.
    Durable,
}

/// A commit that others see and that may not be durable yet. Poll it, block on it, or await it; no runtime is needed.
#[must_use = "the commit may not be durable yet"]
pub struct CommitHandle(inner::CommitHandle);

impl CommitHandle {
    pub(crate) fn new(handle: inner::CommitHandle) -> Self {
        Self(handle)
    }

    /// The outcome, if it is known by now; never blocks.
    pub fn poll(&self) -> Option<Result<()>> {
        self.0.poll_durable()
    }

    /// The same as a status.
    pub fn status(&self) -> Result<CommitStatus> {
        match self.poll() {
            None => Ok(CommitStatus::Visible),
            Some(outcome) => outcome.map(|()| CommitStatus::Durable),
        }
    }

    /// Blocks until the commit is durable.
    ///
    /// # Errors
    /// `InDoubt` if the log failed first.
    pub fn wait(self) -> Result<()> {
        self.0.wait()
    }
}

impl Future for CommitHandle {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll(context)
    }
}
