//! What can be locked: the database, a keyspace, a range of its keys, one key.

use aether_sync::Arc;
use aether_types::{Error, Result};
use core::fmt;
use core::ops::Bound;

/// What a lock is on. The order puts what may overlap side by side: ranges of one tree, then keys of one tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Everything.
    Database,
    /// A keyspace, by the id of its tree.
    Keyspace(u32),
    /// The keys of a tree between two bounds, whether they are there or not; made by [`Resource::range`].
    Range {
        /// The tree.
        tree: u32,
        /// The first key inside.
        from: Arc<[u8]>,
        /// The first key behind; none: up to the end.
        to: Option<Arc<[u8]>>,
    },
    /// One key of a tree, whether it is there or not.
    Key {
        /// The tree.
        tree: u32,
        /// The key.
        key: Arc<[u8]>,
    },
}

impl Resource {
    /// One key.
    pub fn key(tree: u32, key: &[u8]) -> Self {
        Self::Key { tree, key: key.into() }
    }

    /// The keys between two bounds.
    ///
    /// # Errors
    /// `InvalidInput` if no key lies between them.
    pub fn range(tree: u32, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Self> {
        let from: Arc<[u8]> = match from {
            Bound::Included(key) => key.into(),
            Bound::Excluded(key) => next_key(key),
            Bound::Unbounded => Arc::default(),
        };
        let to = match to {
            Bound::Included(key) => Some(next_key(key)),
            Bound::Excluded(key) => Some(key.into()),
            Bound::Unbounded => None,
        };
        if to.as_ref().is_some_and(|to| *to <= from) {
            return Err(Error::invalid("a range in which no key can lie").at_key(&from));
        }
        Ok(Self::Range { tree, from, to })
    }

    /// The tree that it is in, or is; none for the database.
    pub fn tree(&self) -> Option<u32> {
        match self {
            Self::Database => None,
            Self::Keyspace(tree) | Self::Range { tree, .. } | Self::Key { tree, .. } => Some(*tree),
        }
    }

    /// True for keys and ranges, which writers of rows look for; false for what has intentions below it.
    pub fn is_rows(&self) -> bool {
        matches!(self, Self::Range { .. } | Self::Key { .. })
    }

    /// Bytes of its keys.
    pub(crate) fn key_bytes(&self) -> usize {
        match self {
            Self::Database | Self::Keyspace(_) => 0,
            Self::Range { from, to, .. } => from.len() + to.as_ref().map_or(0, |to| to.len()),
            Self::Key { key, .. } => key.len(),
        }
    }

    /// Do locks on the two stand against each other? Levels meet through intentions, not here.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Range { tree, from, to }, Self::Range { tree: tree_b, from: from_b, to: to_b }) => {
                tree == tree_b && starts_before(from, to_b) && starts_before(from_b, to)
            }
            (Self::Range { tree, from, to }, Self::Key { tree: tree_b, key })
            | (Self::Key { tree: tree_b, key }, Self::Range { tree, from, to }) => {
                tree == tree_b && from <= key && starts_before(key, to)
            }
            _ => self == other,
        }
    }
}

fn next_key(key: &[u8]) -> Arc<[u8]> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

fn starts_before(key: &[u8], end: &Option<Arc<[u8]>>) -> bool {
    end.as_ref().is_none_or(|end| key < &end[..])
}

/// As much of a key as a message carries.
fn shown(key: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&key[..key.len().min(64)]))
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("the database"),
            Self::Keyspace(tree) => write!(f, "keyspace {tree}"),
            Self::Range { tree, from, to: None } => {
                write!(f, "keys from {} on of keyspace {tree}", shown(from))
            }
            Self::Range { tree, from, to: Some(to) } => {
                write!(f, "keys from {} to before {} of keyspace {tree}", shown(from), shown(to))
            }
            Self::Key { tree, key } => write!(f, "key {} of keyspace {tree}", shown(key)),
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use Bound::*;

    fn range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> Resource {
        Resource::range(1, from, to).expect("keys lie between")
    }

    #[test]
    fn a_range_holds_the_keys_between_its_bounds() {
        let some = range(Excluded(b"b"), Included(b"d"));
        let inside = |key: &[u8]| some.overlaps(&Resource::key(1, key));
        assert!(!inside(b"b") && inside(b"b\0") && inside(b"c") && inside(b"d") && !inside(b"d\0"));
        assert!(!some.overlaps(&Resource::key(2, b"c")), "another tree");
        assert!(range(Unbounded, Unbounded).overlaps(&Resource::key(1, b"")));
    }

    #[test]
    fn ranges_overlap_where_a_key_lies_in_both() {
        let (left, right) = (range(Unbounded, Excluded(b"m")), range(Included(b"m"), Unbounded));
        assert!(!left.overlaps(&right) && !right.overlaps(&left));
        let middle = range(Included(b"l"), Included(b"m"));
        assert!(middle.overlaps(&left) && middle.overlaps(&right) && left.overlaps(&middle));
    }

    #[test]
    fn a_range_without_keys_is_refused() {
        assert!(Resource::range(1, Included(b"b"), Excluded(b"b")).is_err());
        assert!(Resource::range(1, Excluded(b"b"), Included(b"a")).is_err());
    }
    #[test]
    fn a_resource_is_shown_in_words() {
        let shown = |resource: &Resource| (format!("{resource}"), format!("{resource:?}"));
        let words = "key \"b\" of keyspace 1".to_string();
        assert_eq!(shown(&Resource::key(1, b"b")), (words.clone(), words));
        assert!(shown(&range(Included(b"b"), Unbounded)).1.contains("keyspace 1"));
    }
}
