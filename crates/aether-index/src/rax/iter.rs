//! The rows of a range, from either end.

use super::{Rax, RaxCursor, Seek};
use core::ops::Bound;

/// The rows between two bounds, in both directions until they meet.
pub struct RaxIter<'r, V> {
    rax: &'r Rax<V>,
    front: RaxCursor,
    back: RaxCursor,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    is_over: bool,
}

impl<V> Rax<V> {
    /// All rows, in order.
    pub fn iter(&self) -> RaxIter<'_, V> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The rows between `from` and `to`, in order.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> RaxIter<'_, V> {
        let own = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let (front, back) = (RaxCursor::new(), RaxCursor::new());
        RaxIter { rax: self, front, back, from: own(from), to: own(to), is_over: false }
    }

    /// The rows whose keys begin with `prefix`, in order.
    pub fn prefix(&self, prefix: &[u8]) -> RaxIter<'_, V> {
        let to = crate::range::behind_prefix(prefix);
        self.range(Bound::Included(prefix), to.as_deref().map_or(Bound::Unbounded, Bound::Excluded))
    }
}

impl<V> core::fmt::Debug for RaxIter<'_, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RaxIter({:?} to {:?})", self.from, self.to)
    }
}

impl<'r, V> Iterator for RaxIter<'r, V> {
    type Item = (Vec<u8>, &'r V);

    fn next(&mut self) -> Option<Self::Item> {
        let (rax, front) = (self.rax, &mut self.front);
        let row = match &self.from {
            _ if self.is_over => None,
            _ if front.key().is_some() => front.next(rax),
            Bound::Unbounded => front.first(rax),
            Bound::Included(key) => front.seek(rax, Seek::AtOrAbove, key),
            Bound::Excluded(key) => front.seek(rax, Seek::Above, key),
        };
        let is_met = |key: &[u8]| self.back.key().is_some_and(|back| key >= back);
        let row = row.filter(|(key, _)| crate::range::is_before(key, &self.to) && !is_met(key));
        self.is_over = row.is_none();
        row.map(|(key, value)| (key.to_vec(), value))
    }
}

impl<V> DoubleEndedIterator for RaxIter<'_, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (rax, back) = (self.rax, &mut self.back);
        let row = match &self.to {
            _ if self.is_over => None,
            _ if back.key().is_some() => back.prev(rax),
            Bound::Unbounded => back.last(rax),
            Bound::Included(key) => back.seek(rax, Seek::AtOrBelow, key),
            Bound::Excluded(key) => back.seek(rax, Seek::Below, key),
        };
        let is_met = |key: &[u8]| self.front.key().is_some_and(|front| key <= front);
        let row = row.filter(|(key, _)| crate::range::is_behind(key, &self.from) && !is_met(key));
        self.is_over = row.is_none();
        row.map(|(key, value)| (key.to_vec(), value))
    }
}
