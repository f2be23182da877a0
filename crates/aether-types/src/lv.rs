//! LSN vectors (L3): one log position per stream, compared and joined component by component.
//!
//! After "Taurus: Lightweight Parallel Logging for In-Memory Database Management Systems" (Xia et al.,
//! PVLDB 14(2)); what Aether adds is that vectors are accumulated per stream, hence transitively closed.

use crate::{Lsn, StreamId, limits::STREAMS_MAX};
use core::fmt;

/// A position in every stream; absent streams stand at 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lv {
    parts: [u64; STREAMS_MAX],
}

impl Default for Lv {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Lv {
    /// The vector that everything covers.
    pub const ZERO: Lv = Lv { parts: [0; STREAMS_MAX] };

    /// `lsn` in `stream`, 0 elsewhere.
    pub fn at(stream: StreamId, lsn: Lsn) -> Self {
        let mut lv = Self::ZERO;
        lv.set(stream, lsn);
        lv
    }

    /// The component of `stream`.
    #[inline]
    pub fn get(&self, stream: StreamId) -> Lsn {
        Lsn::new(self.parts[stream.get() as usize])
    }

    /// Sets the component of `stream`.
    #[inline]
    pub fn set(&mut self, stream: StreamId, lsn: Lsn) {
        self.parts[stream.get() as usize] = lsn.get();
    }

    /// Raises the component of `stream` to at least `lsn`.
    #[inline]
    pub fn raise(&mut self, stream: StreamId, lsn: Lsn) {
        let part = &mut self.parts[stream.get() as usize];
        *part = (*part).max(lsn.get());
    }

    /// Component-wise maximum.
    #[inline]
    pub fn join(&mut self, other: &Lv) {
        for (mine, theirs) in self.parts.iter_mut().zip(other.parts) {
            *mine = (*mine).max(theirs);
        }
    }

    /// Component-wise minimum.
    pub fn meet(&mut self, other: &Lv) {
        for (mine, theirs) in self.parts.iter_mut().zip(other.parts) {
            *mine = (*mine).min(theirs);
        }
    }

    /// True when every component of `other` is at most ours.
    #[inline]
    pub fn covers(&self, other: &Lv) -> bool {
        self.parts.iter().zip(other.parts).all(|(mine, theirs)| *mine >= theirs)
    }

    /// The components of the first `count` streams.
    pub fn iter(&self, count: usize) -> impl Iterator<Item = (StreamId, Lsn)> + '_ {
        (0..count as u8).zip(self.parts).map(|(s, lsn)| (StreamId::new(s), Lsn::new(lsn)))
    }
}

impl fmt::Debug for Lv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.parts.iter().rposition(|part| *part != 0).map_or(1, |last| last + 1);
        f.debug_list().entries(&self.parts[..used]).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_covers_both_and_meet_is_covered_by_both() {
        let a = Lv::at(StreamId::new(0), Lsn::new(7));
        let mut b = Lv::at(StreamId::new(3), Lsn::new(9));
        b.set(StreamId::new(0), Lsn::new(2));
        let (mut high, mut low) = (a, a);
        high.join(&b);
        low.meet(&b);
        assert!(high.covers(&a) && high.covers(&b) && !a.covers(&high));
        assert!(a.covers(&low) && b.covers(&low));
        assert_eq!(format!("{high:?}"), "[7, 0, 0, 9]");
    }
}
