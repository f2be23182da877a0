//! Filters of runs: a few bits for each key, which say "no" for certain or "maybe", and so spare a run's reading.
//!
//! A run keeps a filter for every so many of its blocks, each no longer than a page, and reads it through the buffer pool. Nothing here
//! knows of that: a builder takes keys and gives bytes, a reader is opened over bytes. Opening checks whatever a later look-up relies on; no
//! bytes can make it panic, run on or take memory (R4). Bits that are wrong inside a sound layout cannot be told from right
//! ones; that is what the checksum of the page is for.
//!
//! | kind | answers | begin at |
//! |---|---|---|
//! | blocked Bloom | points, with one cache miss | [`BloomBuilder`] |
//! | ribbon | points, in three tenths less space, for a dearer build | [`RibbonBuilder`] |
//! | SuRF | points, ranges and prefixes of strings | [`SurfBuilder`] |
//! | Grafite | points and short ranges of integers of eight bytes | [`GrafiteBuilder`] |
//!
//! Which of them pays is in `docs/decisions.md`, their bytes are in `docs/formats.md`. How many bits each run should get says [`monkey`].
//!
//! ```
//! use aether_lsm::filter::{Filter, FilterBuilder, Recipe};
//! use std::ops::Bound;
//!
//! let mut builder = FilterBuilder::new(Recipe::Grafite { bits_per_key: 12.0, seed: 7 });
//! for number in [10_u64, 20, 1_000_000] {
//!     builder.add(&number.to_be_bytes())?;
//! }
//! let bytes = builder.finish()?;
//! let filter = Filter::open(&bytes)?;
//! assert!(filter.may_contain(&20_u64.to_be_bytes()));
//! assert!(filter.may_contain_range(Bound::Included(&15_u64.to_be_bytes()), Bound::Unbounded));
//! # Ok::<(), aether_types::Error>(())
//! ```

mod ascending;
mod bits;
mod bloom;
mod elias_fano;
mod grafite;
mod hash;
mod header;
mod interval;
pub mod monkey;
mod ribbon;
mod surf;

pub(crate) use bloom::PROBES_MAX;
pub use bloom::{Bloom, BloomBuilder};
pub use grafite::{Grafite, GrafiteBuilder};
pub use hash::KeyHash;
pub use header::{FilterKind, HEADER_BYTES};
pub use ribbon::{Ribbon, RibbonBuilder};
pub use surf::{Suffix, Surf, SurfBuilder};

use aether_types::Result;
use ascending::Ascending;
use core::ops::Bound;
use header::Header;

/// Which filter to build.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Recipe {
    /// A blocked Bloom filter.
    Bloom {
        /// Bits per key, fractions included.
        bits_per_key: f64,
    },
    /// A ribbon filter.
    Ribbon {
        /// Bits per key, fractions included.
        bits_per_key: f64,
    },
    /// A succinct trie, which is as long as its keys demand.
    Surf {
        /// What its leaves keep.
        suffix: Suffix,
    },
    /// Hashed integers.
    Grafite {
        /// Bits per key, fractions included.
        bits_per_key: f64,
        /// Makes its false positives those of this store.
        seed: u64,
    },
}

impl Recipe {
    /// A Bloom filter with what [`monkey`] gives a run; none if that is nothing.
    pub fn bloom(bits_per_key: f64) -> Option<Self> {
        (bits_per_key > 0.0).then_some(Self::Bloom { bits_per_key })
    }
}

/// How many keys a filter after `recipe` may have, if it is to take no more than `bytes`. Of SuRF a guess: its length depends on
/// the keys.
pub(crate) fn keys_that_fit(recipe: Recipe, bytes: usize) -> usize {
    let bits = 8.0 * bytes.saturating_sub(HEADER_BYTES) as f64;
    let keys = match recipe {
        // Whole blocks of 512 bits.
        Recipe::Bloom { bits_per_key } => (bits / 512.0).floor() * 512.0 / bits_per_key.clamp(0.01, 64.0),
        Recipe::Ribbon { bits_per_key } => (bits - 2048.0).max(0.0) / (bits_per_key * 1.06).max(1.0),
        Recipe::Surf { .. } => bits / 32.0,
        Recipe::Grafite { bits_per_key, .. } => {
            (bits - 2048.0).max(0.0) / (bits_per_key * 1.1 + 2.0).max(1.0)
        }
    };
    (keys as usize).max(1)
}

/// Builds a filter of any kind from keys in ascending order.
#[derive(Debug)]
pub struct FilterBuilder(Building);

#[derive(Debug)]
enum Building {
    Bloom(BloomBuilder, Ascending),
    Ribbon(RibbonBuilder, Ascending),
    Surf(SurfBuilder),
    Grafite(GrafiteBuilder),
}

impl FilterBuilder {
    /// An empty filter after `recipe`.
    pub fn new(recipe: Recipe) -> Self {
        Self(match recipe {
            Recipe::Bloom { bits_per_key } => {
                Building::Bloom(BloomBuilder::new(bits_per_key), Ascending::default())
            }
            Recipe::Ribbon { bits_per_key } => {
                Building::Ribbon(RibbonBuilder::new(bits_per_key), Ascending::default())
            }
            Recipe::Surf { suffix } => Building::Surf(SurfBuilder::new(suffix)),
            Recipe::Grafite { bits_per_key, seed } => {
                Building::Grafite(GrafiteBuilder::new(bits_per_key, seed))
            }
        })
    }

    /// Adds a key; the last one again changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if `key` is below the last one.
    pub fn add(&mut self, key: &[u8]) -> Result<()> {
        match &mut self.0 {
            Building::Bloom(builder, ascending) => {
                if ascending.admit(key)? {
                    builder.add(KeyHash::of(key));
                }
                Ok(())
            }
            Building::Ribbon(builder, ascending) => {
                if ascending.admit(key)? {
                    builder.add(KeyHash::of(key));
                }
                Ok(())
            }
            Building::Surf(builder) => builder.add(key),
            Building::Grafite(builder) => builder.add(key),
        }
    }

    /// The bytes of the filter.
    ///
    /// # Errors
    /// `OverLimit` if a filter with ranges would have 512 MiB or more.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.0 {
            Building::Bloom(builder, _) => Ok(builder.finish()),
            Building::Ribbon(builder, _) => Ok(builder.finish()),
            Building::Surf(builder) => builder.finish(),
            Building::Grafite(builder) => builder.finish(),
        }
    }
}

/// Reads a filter of any kind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "it lives on a stack, for a look-up; a box would allocate")]
pub enum Filter<'a> {
    /// A blocked Bloom filter.
    Bloom(Bloom<'a>),
    /// A ribbon filter.
    Ribbon(Ribbon<'a>),
    /// A succinct trie.
    Surf(Surf<'a>),
    /// Hashed integers.
    Grafite(Grafite<'a>),
}

impl<'a> Filter<'a> {
    /// Opens what the header says that `bytes` are: at once for points alone, linear in the bytes for ranges.
    ///
    /// # Errors
    /// `Corruption` that names the offset in `bytes`, or `Unsupported` for a later kind or version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        Ok(match Header::kind_of(bytes)? {
            FilterKind::Bloom => Self::Bloom(Bloom::open(bytes)?),
            FilterKind::Ribbon => Self::Ribbon(Ribbon::open(bytes)?),
            FilterKind::Surf => Self::Surf(Surf::open(bytes)?),
            FilterKind::Grafite => Self::Grafite(Grafite::open(bytes)?),
        })
    }

    /// False if `key` was not added.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        match self {
            Self::Bloom(bloom) => bloom.may_contain(KeyHash::of(key)),
            Self::Ribbon(ribbon) => ribbon.may_contain(KeyHash::of(key)),
            Self::Surf(surf) => surf.may_contain(key),
            Self::Grafite(grafite) => grafite.may_contain(key),
        }
    }

    /// The same for whoever has the key's hash, which serves many filters.
    #[inline]
    pub fn may_contain_hashed(&self, key: &[u8], hash: KeyHash) -> bool {
        match self {
            Self::Bloom(bloom) => bloom.may_contain(hash),
            Self::Ribbon(ribbon) => ribbon.may_contain(hash),
            Self::Surf(surf) => surf.may_contain_hashed(key, || hash),
            Self::Grafite(grafite) => grafite.may_contain(key),
        }
    }

    /// False if no key between the bounds was added. A filter for points says so of a single key, and of bounds that enclose none.
    pub fn may_contain_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
        match self {
            Self::Surf(surf) => surf.may_contain_range(from, to),
            Self::Grafite(grafite) => grafite.may_contain_range(from, to),
            Self::Bloom(_) | Self::Ribbon(_) => match interval::single(from, to) {
                Some(key) => self.may_contain(key),
                None => !self.is_empty() && !interval::is_empty(from, to),
            },
        }
    }

    /// False if no key that begins with `prefix` was added. A filter for points knows that only if it is empty.
    pub fn may_contain_prefix(&self, prefix: &[u8]) -> bool {
        match self {
            Self::Surf(surf) => surf.may_contain_prefix(prefix),
            Self::Grafite(grafite) => grafite.may_contain_prefix(prefix),
            Self::Bloom(_) | Self::Ribbon(_) => !self.is_empty(),
        }
    }

    /// True if no key was added at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Bloom(bloom) => bloom.is_empty(),
            Self::Ribbon(ribbon) => ribbon.is_empty(),
            Self::Surf(surf) => surf.is_empty(),
            Self::Grafite(grafite) => grafite.is_empty(),
        }
    }
}
