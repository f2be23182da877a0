//! From where on the log is needed for the rows of a table: by slices of its keys, each of which is to its rows what a frame is to
//! a page (P5).
//!
//! A slice keeps the first position per stream at which a row of it was changed since it was written out, set before that
//! change claims its place in the log; and while it is written out, the positions that it had.

use super::rank;
use aether_sync::{Mutex, RwLock};
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

/// The slices of a table, by the first key that belongs to each; the first one begins with the empty key.
pub(super) struct Slices(RwLock<BTreeMap<Vec<u8>, Mutex<Floor>>>);

impl Slices {
    /// One slice of all keys.
    pub(super) fn new() -> Self {
        let first = (Vec::new(), Mutex::new(rank::SLICE, Floor::clean()));
        Self(RwLock::new(rank::SLICES, BTreeMap::from([first])))
    }

    /// A row of `key` is about to be changed by a group that `stream` will place at or after `position`.
    pub(super) fn mark(&self, key: &[u8], stream: StreamId, position: Lsn) {
        let slices = self.0.read();
        let of_key = slices.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let (_, floor) = of_key.expect("the first slice begins with the empty key");
        floor.lock().mark(stream, position);
    }

    /// Lowers `start` to what the slices need.
    pub(super) fn lower(&self, start: &mut Lv) {
        self.0.read().values().for_each(|floor| start.meet(&floor.lock().all()));
    }
}
