//! Index traits, the B+tree, and ordered maps in memory.
//!
//! An index maps keys to values inside transactions. Structural changes are mini-transactions of their own and are
//! never undone; a row's change carries its before-image in the same group. Must not know keyspaces or runs.
//!
//! The B+tree is coupled optimistically: readers write nothing to shared memory and validate the parent after
//! they have the child's version; writers latch a leaf exclusively, and for a split or merge its parent and
//! siblings too. Specs: `Btree`, `Undo`, `VersionGc`.
//!
//! The maps know no transactions and no log: whoever keeps rows in one brings both. `skiplist` is concurrent, `rax` has one
//! owner at a time.
//!
//! Each structure is a feature (`btree`, `skiplist`, `rax`); without any, the traits are left for who brings an index of
//! their own.
//!
//! Papers: "The ART of Practical Synchronization" (DaMoN 2016) for optimistic lock coupling; "Prefix B-Trees" (TODS
//! 2(1)) for prefix and suffix truncation; Graefe, "Modern B-Tree Techniques" (2011).

#![forbid(unsafe_code)]

#[cfg(feature = "btree")]
mod btree;
pub mod bulk;
#[cfg(feature = "conformance")]
pub mod conformance;
mod findings;
#[cfg(any(feature = "skiplist", feature = "rax"))]
mod range;
#[cfg(feature = "rax")]
pub mod rax;
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub mod resident;
pub mod rows;
#[cfg(feature = "skiplist")]
pub mod skiplist;
mod trace;
mod traits;
mod undo;

pub use aether_txn as txn;
pub use aether_types::IndexKind;
#[cfg(feature = "btree")]
pub use btree::{BTree, Cursor, Tree, TreeUndo};
pub use findings::{IndexCheck, LostRange, Salvaged, Shape, Sink};
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub use resident::{Resident, ResidentCursor, ResidentFactory, Tables, TablesConfig};
pub use rows::{Coverage, Fit, Survey, ValueReader};
pub use traits::{Anchor, BulkLoad, Index, IndexFactory, LazyRow, OrderedCursor, OrderedIndex, RowSource};
pub use undo::KindsUndo;
