//! An index of a program's own: a sorted directory over leaves.
//!
//! Rows lie in leaves, and all that has to do with rows (versions, undo, locks, cursors, large values) is done by
//! [`Rows`](aether_index::rows::Rows). What an index brings is the way to a leaf, and what happens above when a leaf is split:
//! [`Leaves`]. Here that is a list of directory pages, one behind the other, each with entries of a child and the key from which on
//! the child has the rows. The root is the first of them; as long as there is one leaf, it is that leaf.
//!
//! Looking for a key goes through the list, so this is no index for many rows. It shows what it takes: pages of a layout that is there
//! already (slotted pages), changed by operations that are there already, so that redo knows them; reading without latches, validated
//! as the B+tree does it; structural changes in mini-transactions of their own.
//!
//! ```
//! use aether::{Db, DbEnv, KeyspaceOptions, Options};
//! use custom_index::{FACTORY, KIND};
//!
//! # fn main() -> aether::Result<()> {
//! let options = Options::default().register_index(KIND, FACTORY);
//! let env = DbEnv::open_in(aether::vfs::Env::memory(), "/home".as_ref(), options)?;
//! let mut txn = env.begin()?;
//! let names = env.create_keyspace(&mut txn, "names", KeyspaceOptions::of(KIND))?;
//! txn.put(&names, b"ada", b"1815")?;
//! txn.commit()?;
//! let db = Db::in_env(env, "names")?;
//! assert_eq!(db.get(b"ada")?.as_deref(), Some(&b"1815"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! `cargo test` here runs the suite that every index of Aether passes, power cuts among it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod check;
mod find;
mod page;
mod reclaim;
mod split;

use aether_index::rows::{Base, Found, Leaves, RowsFactory, Stop, Towards, Walk};
use aether_index::txn::recovery::wal::buffer::Access;
use aether_index::{IndexKind, Shape};
use aether_types::Result;

/// The id that the kind is registered under.
pub const KIND: IndexKind = IndexKind::new(64);

/// Makes and opens indexes of the kind.
pub const FACTORY: RowsFactory<Directory> = RowsFactory::new("directory");

/// The list of directory pages above the leaves.
pub struct Directory {
    base: Base,
}

impl Leaves for Directory {
    fn open(base: Base) -> Self {
        Self { base }
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn leaf(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        self.find(towards, access)
    }

    fn split(&self, key: &[u8], value_len: usize) -> Result<()> {
        self.split_leaf(key, value_len)
    }

    /// An index need not merge: a leaf that is empty stays.
    fn merge(&self, _key: &[u8]) -> Result<()> {
        Ok(())
    }

    fn check_down(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_path(walk, key)
    }

    fn shape(&self) -> Result<Shape> {
        self.count()
    }

    fn clear(&self) -> Result<()> {
        self.empty()
    }
}
