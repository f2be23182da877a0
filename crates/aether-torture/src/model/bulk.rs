//! Ranges of keys.

use super::Bytes;
use core::ops::{Bound, RangeBounds};

/// Keys between two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: Bound<Bytes>,
    /// Where it ends.
    pub to: Bound<Bytes>,
}

impl Range {
    /// True if `key` lies in it.
    pub fn has(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&(slice(&self.from), slice(&self.to)), key)
    }

    /// The bounds, as the engine takes them.
    pub fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        (self.from.as_ref().map(|key| key.to_vec()), self.to.as_ref().map(|key| key.to_vec()))
    }
}

fn slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &**key)
}
