//! The lock manager. Reading order: mode, resource, owner, request, queues, book, deadlock, table, take.
//!
//! A lock of a row is in the row: its version names its writer, and while that runs, the row is locked `X`. A
//! writer's intention locks (`IX`) on keyspace and database are with the writer. So a transaction that meets nobody
//! writes to nothing that others read or write: it reads one counter when it first writes to a keyspace, and one for each row.
//!
//! The table, under one mutex, has what is contended and what was asked for. Whoever is in the way of a lock without an
//! entry gets one from who waits for it:
//!
//! - a writer that meets another's row lets its latches go, makes an entry for the other, and queues behind it;
//! - who wants `S`, `SIX` or `X` on a keyspace or the database first counts itself ("strong"), then looks through the
//!   running transactions for writers there (as PostgreSQL's fast path does);
//! - who wants a key or a range first makes its entry, which is counted, then looks at the rows under their
//!   leaves' shared latches. A writer reads the count under the exclusive latch. So either the searcher sees the
//!   version, or the writer sees the count and asks the table.
//!
//! Until such a search has ended, a lock is tentative: it stands against others, and gives way to a writer that is found.
//!
//! Queues are fair: nobody passes another who waits for a mode that excludes his own, but who has a lock on the
//! resource already, since the other would wait for that too.

mod book;
mod check;
pub(crate) mod codec;
mod deadlock;
mod mode;
mod owner;
mod queues;
mod report;
mod request;
mod resource;
mod table;
mod take;
mod told;
mod watch;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use book::ENTRY_BYTES;
pub use mode::LockMode;
pub use owner::LockOwner;
pub use report::{Cycle, Deadlocks, LockWait};
pub use resource::Resource;
pub use table::{Found, LockTable, Patience};
pub use take::RowHolder;
