//! A position in a map, moved in both directions.

use super::node::HEAD;
use super::{Entry, Skiplist};

/// A position in a map: at a key, or before the first and behind the last one, which is the same place. What is inserted
/// meanwhile is met if it lies ahead.
pub struct MapCursor<'a> {
    map: &'a Skiplist,
    /// `HEAD` if at no key.
    node: u32,
    key: Vec<u8>,
    /// Nodes that followed each other and led here when this was searched last, for steps back.
    before: Vec<u32>,
}

/// From this level on down, a search for the key before remembers what it passes: about eight nodes.
const BEFORE_LEVEL: usize = 3;
const BEFORE_MAX: usize = 64;

impl<'a> MapCursor<'a> {
    pub(super) fn new(map: &'a Skiplist) -> Self {
        Self { map, node: HEAD, key: Vec::new(), before: Vec::new() }
    }

    /// Goes to the first key at or above `key`; true if there is one.
    pub fn seek(&mut self, key: &[u8]) -> bool {
        self.stand_above(self.map.place(key).above())
    }

    /// Goes to the last key at or below `key`; true if there is one.
    pub fn seek_le(&mut self, key: &[u8]) -> bool {
        let place = self.map.place(key);
        self.stand_below(if place.is_found { place.above() } else { place.spot.node })
    }

    /// Goes to the last key below `key`; true if there is one.
    pub fn seek_lt(&mut self, key: &[u8]) -> bool {
        self.stand_below(self.map.place(key).spot.node)
    }

    /// Goes to the first key; true if there is one.
    pub fn first(&mut self) -> bool {
        self.node = HEAD;
        self.next()
    }

    /// Goes to the last key; true if there is one.
    pub fn last(&mut self) -> bool {
        self.stand_below(self.map.last())
    }

    /// Goes to the next key, from no key to the first one; true if there is one.
    #[allow(
        clippy::should_implement_trait,
        reason = "a cursor is no iterator: it goes both ways and lends its key"
    )]
    pub fn next(&mut self) -> bool {
        let mut link = self.map.link(self.node, 0);
        if link.is_marked() {
            // Removed: what was inserted behind it since, it does not lead to.
            self.map.copy_key(self.node, &mut self.key);
            let place = self.map.place(&self.key);
            link = if place.is_found { self.map.link(place.above(), 0) } else { place.link };
        }
        self.stand_above(link.to())
    }

    /// Goes to the key before, from no key to the last one; true if there is one. Searches from the top, once for about
    /// eight steps.
    pub fn prev(&mut self) -> bool {
        if self.node == HEAD {
            return self.last();
        }
        let before = self.node_before();
        self.stand_below(before)
    }

    /// The node before that where it stands, removed or not; `HEAD` if there is none.
    fn node_before(&mut self) -> u32 {
        if let Some(before) = self.before.pop() {
            let link = self.map.link(before, 0);
            if link.to() == self.node && !link.is_marked() {
                return before;
            }
        }
        self.map.copy_key(self.node, &mut self.key);
        let (start, place) = self.map.place_from(&self.key, BEFORE_LEVEL);
        self.remember(start, place.spot.node);
        place.spot.node
    }

    /// Remembers the nodes from `start` to that before `end`.
    fn remember(&mut self, start: u32, end: u32) {
        self.before.clear();
        let mut node = start;
        while node != end && node != 0 && self.before.len() < BEFORE_MAX {
            self.before.push(node);
            node = self.map.link(node, 0).to();
        }
        if node != end {
            self.before.clear();
        }
    }

    /// Whether it stands at a key.
    pub fn is_at_key(&self) -> bool {
        self.node != HEAD
    }

    /// The key where it stands; empty if at none.
    pub fn key(&mut self) -> &[u8] {
        self.map.copy_key(self.node, &mut self.key);
        &self.key
    }

    /// The entry where it stands.
    pub fn entry(&self) -> Option<Entry<'a>> {
        self.is_at_key().then_some(Entry { map: self.map, node: self.node })
    }

    /// Stands at `node`, or at the first behind it that is not removed.
    fn stand_above(&mut self, mut node: u32) -> bool {
        while node != 0 && self.map.is_closed(node) {
            node = self.map.link(node, 0).to();
        }
        self.node = if node == 0 { HEAD } else { node };
        self.is_at_key()
    }

    /// Stands at `node`, or at the last before it that is not removed.
    fn stand_below(&mut self, node: u32) -> bool {
        self.node = node;
        while self.is_at_key() && self.map.is_closed(self.node) {
            self.node = self.node_before();
        }
        self.is_at_key()
    }
}
