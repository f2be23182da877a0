//! What two bounds enclose.

use core::ops::Bound;

/// True if no key can lie between the bounds: reversed, or the same and one of them excluded.
#[inline]
pub(super) fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, Bound::Excluded(to)) => to.is_empty(),
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

/// The key, if the bounds enclose just one.
#[inline]
pub(super) fn single<'a>(from: Bound<&'a [u8]>, to: Bound<&[u8]>) -> Option<&'a [u8]> {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) if from == to => Some(from),
        _ => None,
    }
}
