//! Frames, swips, HOT/COOL/EVICTED, guards, the page provider, write-back and the memory budget.
//!
//! A LeanStore-style buffer manager: a resident page is reached through its reference alone, readers write
//! nothing to shared memory, and cold pages leave by a clock. Unlike LeanStore, references carry a *hint* next to
//! the page number instead of a pointer in its place: a stale hint is noticed and repaired, so that a page can be
//! evicted without its parent, in any order, and any page may be referred to from anywhere.
//!
//! Keeps P1 (log before data, through [`FlushGate`]), P3 (checksums and sequence numbers on load), P4 (the
//! double-write area), P5 (frame states, first-dirty positions) and P6 (optimistic guards), and R1 for frames.
//! Must not know what is logged, nor what the pages mean. Specs: `Frames` (`trace.rs`), `WriteBack`.
//!
//! Papers: "LeanStore: In-Memory Data Management Beyond Main Memory" (ICDE 2018); "Virtual-Memory Assisted Buffer
//! Management" (SIGMOD 2023) for state words apart from pages and clock batches.

mod budget;
mod clock;
mod files;
mod frame;
mod gate;
mod guard;
mod load;
mod memory;
mod pool;
mod provider;
mod psn_table;
mod rank;
mod repair;
mod scan;
mod stats;
mod torn;
mod trace;
mod translation;
mod write_back;

pub use aether_page as page;
pub use budget::{Account, Budget, Charge};
pub use files::{BLOCK_OVERHEAD_BYTES, BlockSource};
pub use frame::{Frame, FrameState, Resident};
pub use gate::{Durable, FlushGate, NoGate};
pub use guard::{Exclusive, Optimistic, Restart, Shared};
pub use pool::{Access, BufferConfig, Pool, PoolParts, ScanRing};
pub use psn_table::{PsnTable, psn_table_name};
pub use repair::{NoSource, PageSource};
pub use stats::PoolStats;
pub use torn::{BATCH_PAGES, DOUBLE_WRITE_NAME, DoubleWrite};
