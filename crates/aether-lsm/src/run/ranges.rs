//! Range tombstones of a layer, cut so that no two overlap without being the same: a key is looked for once.

use super::version::RangeTombstone;
use aether_types::Timestamp;
use std::collections::BTreeSet;

/// A piece of the keys, and when they went, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Piece {
    from: Vec<u8>,
    to: Vec<u8>,
    timestamps: Vec<Timestamp>,
}

/// Neighbouring keys that went with the same ranges: from `from` on, below `to` if there is an end.
pub(crate) struct Around<'a> {
    pub(crate) from: &'a [u8],
    pub(crate) to: Option<&'a [u8]>,
    /// When they went, newest first.
    pub(crate) timestamps: &'a [Timestamp],
}

/// The range tombstones of one layer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ranges {
    pieces: Vec<Piece>,
}

impl Ranges {
    /// From range tombstones in any order.
    pub(crate) fn new(all: &[RangeTombstone]) -> Self {
        let real = || all.iter().filter(|range| range.from < range.to);
        let ends: BTreeSet<&Vec<u8>> = real().flat_map(|range| [&range.from, &range.to]).collect();
        let ends: Vec<&Vec<u8>> = ends.into_iter().collect();
        let mut timestamps: Vec<Vec<Timestamp>> = vec![Vec::new(); ends.len()];
        for range in real() {
            let first = ends.partition_point(|end| **end < range.from);
            let last = ends.partition_point(|end| **end < range.to);
            timestamps[first..last].iter_mut().for_each(|list| list.push(range.timestamp));
        }
        let mut this = Self::default();
        for (pair, mut timestamps) in ends.windows(2).zip(timestamps) {
            timestamps.sort_unstable_by(|one, other| other.cmp(one));
            timestamps.dedup();
            this.push(pair[0], pair[1], timestamps);
        }
        this
    }

    /// Adds a piece behind the others; joins it with the last one if they meet and went at the same times.
    pub(crate) fn push(&mut self, from: &[u8], to: &[u8], timestamps: Vec<Timestamp>) {
        if timestamps.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if *last.to == *from && last.timestamps == timestamps => last.to = to.to_vec(),
            _ => self.pieces.push(Piece { from: from.to_vec(), to: to.to_vec(), timestamps }),
        }
    }

    /// From what [`Ranges::iter`] gave; none if it can never have given that.
    pub(crate) fn from_sorted(sorted: Vec<RangeTombstone>) -> Option<Self> {
        let mut pieces: Vec<Piece> = Vec::new();
        for range in sorted {
            let is_real = range.from < range.to;
            match pieces.last_mut() {
                Some(last) if last.from == range.from => {
                    let is_older = last.timestamps.last().is_some_and(|newer| range.timestamp < *newer);
                    if last.to != range.to || !is_older {
                        return None;
                    }
                    last.timestamps.push(range.timestamp);
                }
                Some(last) if !is_real || range.from < last.to => return None,
                None if !is_real => return None,
                _ => pieces.push(Piece { from: range.from, to: range.to, timestamps: vec![range.timestamp] }),
            }
        }
        Some(Self { pieces })
    }

    /// All of them, by key, newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RangeTombstone> + '_ {
        self.pieces.iter().flat_map(|piece| {
            piece.timestamps.iter().map(|&timestamp| RangeTombstone {
                from: piece.from.clone(),
                to: piece.to.clone(),
                timestamp,
            })
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// When `key` went with a range, newest first.
    #[inline]
    pub(crate) fn timestamps(&self, key: &[u8]) -> &[Timestamp] {
        self.around(key).timestamps
    }

    /// The keys around `key` that went with the same ranges.
    #[inline]
    pub(crate) fn around(&self, key: &[u8]) -> Around<'_> {
        let behind = self.pieces.partition_point(|piece| *piece.from <= *key);
        match behind.checked_sub(1).map(|at| &self.pieces[at]) {
            Some(piece) if *key < *piece.to => {
                Around { from: &piece.from, to: Some(&piece.to), timestamps: &piece.timestamps }
            }
            before => {
                let from = before.map_or(&[][..], |piece| &piece.to);
                Around { from, to: self.pieces.get(behind).map(|piece| &piece.from[..]), timestamps: &[] }
            }
        }
    }

    /// The newest of them that `snapshot` sees.
    #[inline]
    pub(crate) fn newest(&self, key: &[u8], snapshot: Timestamp) -> Option<Timestamp> {
        if self.pieces.is_empty() {
            return None;
        }
        self.timestamps(key).iter().find(|timestamp| **timestamp <= snapshot).copied()
    }

    /// Every key at which something begins or ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().flat_map(|piece| [&piece.from[..], &piece.to[..]])
    }

    pub(crate) fn first(&self) -> Option<&[u8]> {
        self.pieces.first().map(|piece| &piece.from[..])
    }

    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.pieces.last().map(|piece| &piece.to[..])
    }

    /// The newest timestamp.
    pub(crate) fn newest_of_all(&self) -> Timestamp {
        let newest = self.pieces.iter().filter_map(|piece| piece.timestamps.first());
        newest.max().copied().unwrap_or_default()
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |piece: &Piece| {
            size_of::<Piece>() + piece.from.len() + piece.to.len() + 8 * piece.timestamps.len()
        };
        self.pieces.iter().map(of).sum::<usize>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(from: u8, to: u8, timestamp: u64) -> RangeTombstone {
        RangeTombstone { from: vec![from], to: vec![to], timestamp: Timestamp::new(timestamp) }
    }

    proptest! {
        #[test]
        fn every_key_has_the_ranges_that_cover_it(
            parts in proptest::collection::vec((0u8..20, 0u8..20, 0u64..6), 0..12),
        ) {
            let all: Vec<_> = parts.iter().map(|&(from, to, at)| range(from, to, at)).collect();
            let ranges = Ranges::new(&all);
            for key in 0u8..21 {
                let mut wanted: Vec<_> =
                    all.iter().filter(|range| range.covers(&[key])).map(|range| range.timestamp).collect();
                wanted.sort_unstable_by(|one, other| other.cmp(one));
                wanted.dedup();
                prop_assert_eq!(ranges.timestamps(&[key]), &wanted[..]);
                let around = ranges.around(&[key]);
                let is_around = |other: u8| *around.from <= [other][..] && around.to.is_none_or(|to| [other][..] < *to);
                prop_assert!(is_around(key));
                prop_assert!((0..21).filter(|other| is_around(*other)).all(|other| ranges.timestamps(&[other]) == wanted));
            }
            let again = Ranges::from_sorted(ranges.iter().collect()).unwrap();
            prop_assert_eq!(&again, &ranges);
            prop_assert_eq!(ranges.first().map(|key| key[0]), all.iter().filter(|range| range.from < range.to).map(|range| range.from[0]).min());
        }
    }

    #[test]
    fn what_overlaps_or_is_empty_is_refused() {
        let refused = |ranges: &[RangeTombstone]| Ranges::from_sorted(ranges.to_vec()).is_none();
        assert!(!refused(&[range(1, 3, 5), range(1, 3, 4), range(3, 4, 9)]));
        assert!(refused(&[range(1, 3, 5), range(2, 4, 5)]));
        assert!(refused(&[range(1, 3, 5), range(1, 4, 4)]));
        assert!(refused(&[range(1, 3, 5), range(1, 3, 5)]));
        assert!(refused(&[range(1, 1, 5)]) && refused(&[range(2, 3, 5), range(1, 2, 5)]));
        assert!(refused(&[range(1, 3, 5), range(1, 1, 4)]) && refused(&[range(1, 3, 5), range(4, 4, 4)]));
    }
}
