//! From where on the log is needed for the rows of a table: by slices of its keys, each of which is to its rows what a frame is to
//! a page (P5).
//!
//! A slice keeps the first position per stream at which a row of it was changed since it was written out, set before that
//! change claims its place in the log; and while it is written out, the positions that it had.

use super::rank;
use aether_sync::{Mutex, RwLock};
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Lsn, Lv, StreamId};
use core::ops::Bound;
use std::collections::BTreeMap;

/// The positions that a slice needs.
#[derive(Clone, Copy)]
struct Floor {
    first: Lv,
    writing: Lv,
}

fn unset() -> Lv {
    let mut lv = Lv::ZERO;
    (0..STREAMS_MAX).for_each(|stream| lv.set(StreamId::new(stream as u8), Lsn::new(u64::MAX)));
    lv
}

impl Floor {
    fn clean() -> Self {
        Self { first: unset(), writing: unset() }
    }

    fn mark(&mut self, stream: StreamId, position: Lsn) {
        let first = self.first.get(stream).min(position);
        self.first.set(stream, first);
    }

    fn all(&self) -> Lv {
        let mut all = self.first;
        all.meet(&self.writing);
        all
    }
}

/// A slice that was found to need older log than is wanted, with those behind it that are written out together with it.
pub(super) struct Due {
    /// The first key of each slice.
    pub(super) keys: Vec<Vec<u8>>,
    /// The first key behind them.
    pub(super) upper: Option<Vec<u8>>,
    /// Something of them was written out before; else the log has all their rows, and they may be written out in parts.
    pub(super) is_known: bool,
}

/// A slice as it stands in the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Its first key.
    pub(super) key: Vec<u8>,
    /// Its bytes.
    pub(super) bytes: usize,
    /// False for one of which the image has nothing: the log has all its rows.
    pub(super) is_known: bool,
}

struct Slice {
    floor: Mutex<Floor>,
    /// Bytes that it had when it was written out last.
    bytes: usize,
    is_known: bool,
}

impl Slice {
    fn new(floor: Floor, extent: &Extent) -> Self {
        let &Extent { bytes, is_known, .. } = extent;
        Self { floor: Mutex::new(rank::SLICE, floor), bytes, is_known }
    }
}

/// Slices behind one that is written out which are written out with it at the most, if they are small.
const TOGETHER_MAX: usize = 8;

/// The slices of a table, by the first key that belongs to each; the first one begins with the empty key.
pub(super) struct Slices(RwLock<BTreeMap<Vec<u8>, Slice>>);

impl Slices {
    /// One slice of all keys.
    pub(super) fn new() -> Self {
        Self(RwLock::new(rank::SLICES, BTreeMap::from([whole(Floor::clean())])))
    }

    /// Nothing is needed any more of what has been.
    pub(super) fn forget(&self) {
        *self.0.write() = BTreeMap::from([whole(Floor::clean())]);
    }

    /// Forgets what was written out: one slice again, which needs what all needed.
    pub(super) fn reset(&self) {
        let mut slices = self.0.write();
        let needed = needed(&slices);
        *slices = BTreeMap::from([whole(needed)]);
    }

    /// A row of `key` is about to be changed by a group that `stream` will place at or after `position`.
    pub(super) fn mark(&self, key: &[u8], stream: StreamId, position: Lsn) {
        let slices = self.0.read();
        let of_key = slices.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let (_, slice) = of_key.expect("the first slice begins with the empty key");
        slice.floor.lock().mark(stream, position);
    }

    /// Lowers `start` to what the slices need.
    pub(super) fn lower(&self, start: &mut Lv) {
        self.0.read().values().for_each(|slice| start.meet(&slice.floor.lock().all()));
    }

    /// True if some slice needs what lies below `bound`.
    pub(super) fn needs(&self, bound: &Lv) -> bool {
        self.0.read().values().any(|slice| !slice.floor.lock().all().covers(bound))
    }

    /// Bytes that were written out.
    pub(super) fn bytes(&self) -> u64 {
        self.0.read().values().map(|slice| slice.bytes as u64).sum()
    }

    /// These slices were found in the image; given with each whether redo has met rows of it, which need the log.
    pub(super) fn lay(&self, image: &[(Extent, bool)]) {
        let mut slices = self.0.write();
        let all = needed(&slices);
        let slice = |(extent, is_dirty): &(Extent, bool)| {
            let floor = if *is_dirty { all } else { Floor::clean() };
            (extent.key.clone(), Slice::new(floor, extent))
        };
        if !image.is_empty() {
            *slices = image.iter().map(slice).collect();
        }
    }

    /// The next slices at or behind `from` to be written out so that none needs what lies below `bound`, beginning again at
    /// the first key; none if no slice does. Together they are about `bytes_max`. From now on what is changed in them counts
    /// anew, and what they needed is kept until [`Slices::written`] or [`Slices::failed`].
    pub(super) fn begin(&self, from: &[u8], bound: &Lv, bytes_max: usize) -> Option<Due> {
        let slices = self.0.read();
        let is_due = |slice: &Slice| !slice.floor.lock().all().covers(bound);
        let mut behind = slices.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let (first, _) = behind.find(|(_, slice)| is_due(slice)).or_else(|| {
            let mut before = slices.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(from)));
            before.find(|(_, slice)| is_due(slice))
        })?;
        let mut due = Due { keys: Vec::new(), upper: None, is_known: slices[first].is_known };
        let mut bytes = 0;
        for (key, slice) in slices.range::<[u8], _>((Bound::Included(&first[..]), Bound::Unbounded)) {
            bytes += slice.bytes;
            let is_alone = !(due.is_known && slice.is_known);
            // Two that are due anyway may be one by now.
            let most = if is_due(slice) { 2 * bytes_max } else { bytes_max };
            let is_enough = is_alone || due.keys.len() == TOGETHER_MAX || bytes > most;
            if !due.keys.is_empty() && is_enough {
                due.upper = Some(key.clone());
                break;
            }
            due.keys.push(key.clone());
            let mut floor = slice.floor.lock();
            let writing = if planted("forget-what-is-written") { unset() } else { floor.all() };
            *floor = Floor { first: unset(), writing };
        }
        Some(due)
    }

    /// They are written out, as these slices.
    pub(super) fn written(&self, due: &Due, extents: &[Extent]) {
        let mut slices = self.0.write();
        let (mut since, mut ever) = (Floor::clean(), Floor::clean());
        for slice in due.keys.iter().filter_map(|key| slices.remove(key)) {
            let floor = slice.floor.lock();
            since.first.meet(&floor.first);
            ever.first.meet(&floor.all());
        }
        let slice = |extent: &Extent| {
            let floor = if extent.is_known { since } else { ever };
            (extent.key.clone(), Slice::new(floor, extent))
        };
        slices.extend(extents.iter().map(slice));
        debug_assert!(slices.contains_key(&[][..]), "the first slice begins with the empty key");
    }

    /// They could not be written out.
    pub(super) fn failed(&self, due: &Due) {
        let slices = self.0.read();
        for slice in due.keys.iter().filter_map(|key| slices.get(key)) {
            let mut floor = slice.floor.lock();
            *floor = Floor { first: floor.all(), writing: unset() };
        }
    }
}

/// The one slice of all keys, of which the image has nothing.
fn whole(floor: Floor) -> (Vec<u8>, Slice) {
    (Vec::new(), Slice::new(floor, &Extent { key: Vec::new(), bytes: 0, is_known: false }))
}

/// What all slices need.
fn needed(slices: &BTreeMap<Vec<u8>, Slice>) -> Floor {
    let mut all = Floor::clean();
    slices.values().for_each(|slice| all.first.meet(&slice.floor.lock().all()));
    all
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId::new(1);

    fn needs(slices: &Slices) -> u64 {
        let mut start = Lv::at(STREAM, Lsn::new(1000));
        slices.lower(&mut start);
        start.get(STREAM).get()
    }

    fn mark(slices: &Slices, key: &[u8], position: u64) {
        slices.mark(key, STREAM, Lsn::new(position));
    }

    #[test]
    fn what_a_slice_needs_is_kept_until_it_is_written_out() {
        let slices = Slices::new();
        assert_eq!(needs(&slices), 1000);
        mark(&slices, b"k", 100);
        mark(&slices, b"a", 200);
        assert_eq!(needs(&slices), 100);
        assert!(slices.begin(b"", &Lv::at(STREAM, Lsn::new(100)), 10).is_none());
        let due = slices.begin(b"x", &Lv::at(STREAM, Lsn::new(150)), 10).unwrap();
        assert_eq!((due.keys.clone(), due.upper.clone()), (vec![Vec::new()], None));
        assert_eq!(needs(&slices), 100);
        mark(&slices, b"k", 300);
        slices.failed(&due);
        assert_eq!(needs(&slices), 100);
        let due = slices.begin(b"", &Lv::at(STREAM, Lsn::new(150)), 10).unwrap();
        mark(&slices, b"k", 400);
        let extent = |key: &[u8], bytes, is_known| Extent { key: key.to_vec(), bytes, is_known };
        slices.written(&due, &[extent(b"", 20, true), extent(b"h", 5, true), extent(b"p", 6, true)]);
        assert_eq!((needs(&slices), slices.bytes()), (400, 31), "nobody knows which slice was changed");
        let due = slices.begin(b"b", &Lv::at(STREAM, Lsn::new(500)), 5).unwrap();
        assert_eq!((due.keys.clone(), due.upper.clone()), (vec![b"h".to_vec()], Some(b"p".to_vec())));
        slices.written(&due, &[extent(b"h", 5, true)]);
        let due = slices.begin(b"h", &Lv::at(STREAM, Lsn::new(500)), 11).unwrap();
        assert_eq!(due.keys, vec![b"p".to_vec()]);
        slices.written(&due, &[extent(b"p", 0, true)]);
        let due = slices.begin(b"p", &Lv::at(STREAM, Lsn::new(500)), 100).unwrap();
        assert_eq!((due.keys.len(), due.upper.is_none()), (3, true), "small ones are joined");
        slices.written(&due, &[extent(b"", 0, true)]);
        assert_eq!(needs(&slices), 1000);
    }

    /// A slice that nothing was written out of may be written out in parts; what is left needs what it needed.
    #[test]
    fn the_rest_of_a_slice_keeps_its_log() {
        let slices = Slices::new();
        mark(&slices, b"k", 100);
        let due = slices.begin(b"", &Lv::at(STREAM, Lsn::new(500)), 10).unwrap();
        assert!(!due.is_known);
        mark(&slices, b"a", 300);
        let first = Extent { key: Vec::new(), bytes: 10, is_known: true };
        let rest = Extent { key: b"f".to_vec(), bytes: 0, is_known: false };
        slices.written(&due, &[first, rest]);
        assert_eq!(needs(&slices), 100);
        let due = slices.begin(b"c", &Lv::at(STREAM, Lsn::new(250)), 10).unwrap();
        assert_eq!((due.keys.clone(), due.is_known), (vec![b"f".to_vec()], false));
        slices.written(&due, &[Extent { key: b"f".to_vec(), bytes: 1, is_known: true }]);
        assert_eq!(needs(&slices), 300);
    }
}
