//! The entries of a range, from either end.

use super::{Entry, Guard, MapCursor};
use crate::range::{behind_prefix, is_before, is_behind};
use core::ops::Bound;

/// The entries between two bounds, in both directions until they meet. What is inserted meanwhile is met if it lies ahead.
pub struct Scan<'a> {
    front: MapCursor<'a>,
    back: MapCursor<'a>,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    is_over: bool,
}

impl Guard<'_> {
    /// The entries between `from` and `to`, in order.
    pub fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        let own = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        Scan { front: self.cursor(), back: self.cursor(), from: own(from), to: own(to), is_over: false }
    }

    /// The entries whose keys begin with `prefix`, in order.
    pub fn scan_prefix(&self, prefix: &[u8]) -> Scan<'_> {
        let to = behind_prefix(prefix);
        self.scan(Bound::Included(prefix), to.as_deref().map_or(Bound::Unbounded, Bound::Excluded))
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let front = &mut self.front;
        let found = match &self.from {
            _ if self.is_over => false,
            _ if front.is_at_key() => front.next(),
            Bound::Unbounded => front.first(),
            Bound::Included(key) => front.seek(key),
            Bound::Excluded(key) => front.seek(key) && (front.key() != key || front.next()),
        };
        let met = found && self.back.is_at_key() && front.key() >= self.back.key();
        self.is_over = !found || met || !is_before(front.key(), &self.to);
        if self.is_over { None } else { front.entry() }
    }
}

impl DoubleEndedIterator for Scan<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let back = &mut self.back;
        let found = match &self.to {
            _ if self.is_over => false,
            _ if back.is_at_key() => back.prev(),
            Bound::Unbounded => back.last(),
            Bound::Included(key) => back.seek_le(key),
            Bound::Excluded(key) => back.seek_lt(key),
        };
        let met = found && self.front.is_at_key() && back.key() <= self.front.key();
        self.is_over = !found || met || !is_behind(back.key(), &self.from);
        if self.is_over { None } else { back.entry() }
    }
}
