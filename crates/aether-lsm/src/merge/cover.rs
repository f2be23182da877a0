//! The range tombstones of all layers of a merge, cut into pieces in which all keys have the same ones.

use super::{Keep, earliest};
use crate::run::{RangeTombstone, Ranges};
use aether_types::{Error, Result, Timestamp};
use std::collections::BTreeSet;

/// A piece of the keys, and what has taken it away: layer and timestamp, newest first.
struct Piece {
    from: Vec<u8>,
    to: Vec<u8>,
    gone: Vec<(usize, Timestamp)>,
}

/// The pieces, and where the merge is among them.
pub(super) struct Cover {
    pieces: Vec<Piece>,
    at: usize,
    is_inside: bool,
}

impl Cover {
    /// From the range tombstones of each layer, the newest layer first.
    pub(super) fn new<'r>(layers: impl Iterator<Item = &'r [RangeTombstone]>) -> Self {
        let layers: Vec<Ranges> = layers.map(Ranges::new).collect();
        let ends: BTreeSet<&[u8]> = layers.iter().flat_map(Ranges::ends).collect();
        let ends: Vec<&[u8]> = ends.into_iter().collect();
        let piece = |pair: &[&[u8]]| {
            let of = |(layer, ranges): (usize, &Ranges)| {
                ranges.timestamps(pair[0]).iter().map(|timestamp| (layer, *timestamp)).collect::<Vec<_>>()
            };
            let gone = layers.iter().enumerate().flat_map(of).collect();
            Piece { from: pair[0].to_vec(), to: pair[1].to_vec(), gone }
        };
        let pieces = ends.windows(2).map(piece).filter(|piece| !piece.gone.is_empty()).collect();
        Self { pieces, at: 0, is_inside: false }
    }

    /// What is kept of all of them.
    pub(super) fn kept(&self, keep: &Keep) -> Vec<RangeTombstone> {
        let mut kept = Ranges::default();
        for piece in &self.pieces {
            let (mut hidden, mut timestamps) = (None, Vec::new());
            for &(_, timestamp) in &piece.gone {
                let shown = keep.shown(timestamp);
                let is_idle = keep.is_bottom && shown == Timestamp::default();
                if keep.wants(timestamp, hidden) && !is_idle {
                    timestamps.push(shown);
                }
                hidden = earliest(hidden, Some(timestamp));
            }
            kept.push(&piece.from, &piece.to, timestamps);
        }
        kept.iter().collect()
    }

    /// Goes on to `key`, which is not below the one before.
    pub(super) fn go_to(&mut self, key: &[u8]) {
        while self.pieces.get(self.at).is_some_and(|piece| *piece.to <= *key) {
            self.at += 1;
        }
        self.is_inside = self.pieces.get(self.at).is_some_and(|piece| *piece.from <= *key);
    }

    fn gone(&self) -> &[(usize, Timestamp)] {
        if self.is_inside { &self.pieces[self.at].gone } else { &[] }
    }

    /// Since when a version of `layer` is hidden by ranges that are newer than it.
    pub(super) fn hidden(&self, layer: usize, timestamp: Timestamp) -> Option<Timestamp> {
        let is_newer = |gone: &&(usize, Timestamp)| gone.0 < layer || (gone.0 == layer && gone.1 > timestamp);
        self.gone().iter().filter(is_newer).map(|gone| gone.1).min()
    }

    /// Refuses a version that is newer than a range tombstone and would look older than it.
    ///
    /// # Errors
    /// `Corruption`: timestamps of older layers are older, and what all readers see of a newer layer they see of an older one.
    pub(super) fn check(&self, keep: &Keep, layer: usize, shown: Timestamp) -> Result<()> {
        let seems_newer = |gone: &&(usize, Timestamp)| gone.0 > layer && keep.shown(gone.1) > shown;
        match self.gone().iter().find(seems_newer) {
            None => Ok(()),
            Some((_, timestamp)) => Err(Error::corruption(format!(
                "a version of a newer layer has an older timestamp than the range tombstone at {timestamp} below it"
            ))),
        }
    }
}
