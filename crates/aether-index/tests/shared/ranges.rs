//! Scans of a range from both ends, for tests of the maps.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// Whether no key lies between the bounds.
pub(crate) fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(from), Included(to)) => from > to,
        (Included(from) | Excluded(from), Included(to) | Excluded(to)) => from >= to,
    }
}

/// Takes from both ends as `turns` say, then the rest from the front.
pub(crate) fn taken<T>(mut rows: impl DoubleEndedIterator<Item = T>, turns: &[bool]) -> Vec<T> {
    let mut seen: Vec<_> =
        turns.iter().filter_map(|back| if *back { rows.next_back() } else { rows.next() }).collect();
    seen.extend(rows);
    seen
}
