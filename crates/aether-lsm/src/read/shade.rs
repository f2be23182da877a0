//! Which range tombstone hides a key: looked up once for all keys that lie between the same ends.

use super::layers::LayerCursor;
use super::position::{Edge, Position, Way};
use crate::run::Around;
use aether_types::Timestamp;

/// Neighbouring keys of a layer, from `from` on and below `to` if there is an end, and the newest range tombstone over all of them that the
/// snapshot sees.
pub struct Stretch<'a> {
    pub(super) from: &'a [u8],
    pub(super) to: Option<&'a [u8]>,
    pub(super) gone: Option<Timestamp>,
}

impl<'a> Stretch<'a> {
    /// What all range tombstones of a layer say.
    pub(crate) fn of(around: Around<'a>, snapshot: Timestamp) -> Self {
        let gone = around.timestamps.iter().find(|timestamp| **timestamp <= snapshot).copied();
        Self { from: around.from, to: around.to, gone }
    }
}

/// The keys around the last one that was asked for, of which the same can be said.
pub(super) struct Shade {
    /// False: there is no range tombstone anywhere.
    is_needed: bool,
    is_known: bool,
    from: Vec<u8>,
    to: Vec<u8>,
    has_end: bool,
    hiding: Option<(usize, Timestamp)>,
}

impl Shade {
    pub(super) fn new(is_needed: bool) -> Self {
        Self { is_needed, is_known: false, from: Vec::new(), to: Vec::new(), has_end: false, hiding: None }
    }

    /// The newest layer with a range tombstone over `key` that `snapshot` sees, and the newest such one of it.
    #[inline]
    pub(super) fn over<L: LayerCursor>(
        &mut self,
        layers: &[L],
        key: &[u8],
        snapshot: Timestamp,
    ) -> Option<(usize, Timestamp)> {
        if self.is_needed && !self.covers(key) {
            self.look_up(layers, key, snapshot);
        }
        self.hiding
    }

    fn covers(&self, key: &[u8]) -> bool {
        self.is_known && *self.from <= *key && (!self.has_end || *key < *self.to)
    }

    fn look_up<L: LayerCursor>(&mut self, layers: &[L], key: &[u8], snapshot: Timestamp) {
        let (mut from, mut to): (&[u8], Option<&[u8]>) = (&[], None);
        self.hiding = None;
        for (number, layer) in layers.iter().enumerate().filter(|(_, layer)| layer.has_ranges()) {
            let stretch = layer.stretch(key, snapshot);
            from = from.max(stretch.from);
            to = [to, stretch.to].into_iter().flatten().min();
            if let Some(gone) = stretch.gone {
                // What older layers say does not count any more.
                self.hiding = Some((number, gone));
                break;
            }
        }
        self.from.clear();
        self.from.extend_from_slice(from);
        self.to.clear();
        self.to.extend_from_slice(to.unwrap_or_default());
        (self.has_end, self.is_known) = (to.is_some(), true);
    }

    /// Where those keys end for somebody who goes `way`.
    pub(super) fn end(&self, way: Way) -> Position {
        match way {
            Way::Up if !self.has_end => Position { edge: Edge::Last, key: Vec::new() },
            Way::Up => Position { edge: Edge::Before, key: self.to.clone() },
            Way::Down => Position { edge: Edge::Before, key: self.from.clone() },
        }
    }
}
