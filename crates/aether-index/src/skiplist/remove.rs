//! Removing a key: its entry is closed, which removes it; then its links are marked, so that nothing is linked behind
//! it, and it is taken out of every level (Harris, "A Pragmatic Implementation of Non-Blocking Linked-Lists", DISC 2001).
//!
//! Whoever inserts the key again helps with the second part. The node's words are free later: see `grace.rs`. If the node is
//! still being linked upward while it is removed, whoever of both is done last takes it out, for only then no
//! level gets it any more.

use super::link::Link;
use super::node::HEAD;
use super::reuse::{Kind, Reuse};
use super::search::{Place, Spot};
use super::value::{self, Offset};
use super::{CLOSED, Entry, Guard, Skiplist, node};
use aether_sync::atomic::Ordering::*;
use aether_types::{Error, Result};
use core::cmp::Ordering;

impl Guard<'_> {
    /// Removes an entry if its payload is `old`; the payload that stands there otherwise, [`CLOSED`] if it is removed
    /// already. What the payload stands for is the caller's to free ([`Guard::free_value`]).
    ///
    /// # Errors
    /// The payload found.
    ///
    /// # Panics
    /// If the map was not made with [`is_removable`](super::SkiplistConfig::is_removable).
    pub fn remove(&self, entry: Entry<'_>, old: u64) -> Result<(), u64> {
        let reuse = self.map.reuse.as_deref().expect("a map from which keys may be removed");
        // Acquire: the caller follows what was there. Release: to who finds it closed all before has happened.
        self.map.payload_word(entry.node).compare_exchange(old, CLOSED, AcqRel, Acquire)?;
        self.map.len.fetch_sub(1, Release);
        self.map.mark(entry.node);
        if self.map.end_phase(entry.node, node::REMOVED) {
            self.map.take_out(reuse, entry.node);
        }
        Ok(())
    }

    /// Frees a value that nobody finds any more: no payload, and nothing that payloads lead to, names it. Who has found it
    /// before may still read it.
    ///
    /// # Errors
    /// `InvalidInput` if the map was not made with [`is_removable`](super::SkiplistConfig::is_removable), or if there is no
    /// value at `offset`.
    pub fn free_value(&self, offset: Offset) -> Result<()> {
        let reuse = self.map.reuse.as_deref();
        let reuse = reuse.ok_or_else(|| Error::invalid("values of this map are never freed"))?;
        self.value(offset).ok_or_else(|| Error::invalid("there is no value to be freed"))?;
        reuse.retire(&self.map.arena, offset.get(), Kind::Value);
        self.map.reclaim();
        Ok(())
    }
}

impl Skiplist {
    /// Lets what was removed be used again, as far as guards do not stand in the way; true if it came further. Every removal
    /// does it once; call it, up to three times, when the memory is full and all guards have been dropped.
    pub fn reclaim(&self) -> bool {
        let words = |kind, first: u64| match kind {
            Kind::Node => node::Shape::from_word(first).words(),
            Kind::Value => value::words(first as usize),
        };
        self.reuse.as_deref().is_some_and(|reuse| reuse.reclaim(&self.arena, words))
    }

    /// Marks all links of a closed node, from above: once the lowest is marked, all are.
    pub(super) fn mark(&self, node: u32) {
        for level in (0..self.shape(node).height).rev() {
            // Release: pairs with the acquire of who finds the mark and goes on behind it.
            self.link_word(node, level).fetch_or(Link::MARK, AcqRel);
        }
    }

    /// Takes a closed node, no longer linked anywhere anew, out of all levels and lets its words wait.
    pub(super) fn take_out(&self, reuse: &Reuse, node: u32) {
        let mut key = Vec::new();
        self.copy_key(node, &mut key);
        self.clear(&key);
        reuse.retire(&self.arena, node, Kind::Node);
        self.reclaim();
    }

    /// Helps whoever removes `node`, the closed one of `key`, to take it out.
    pub(super) fn help_out(&self, node: u32, key: &[u8]) {
        self.mark(node);
        self.clear(key);
    }

    /// Takes marked nodes out of every level: those of `key`, and if they stand in the way, those before it.
    pub(super) fn clear(&self, key: &[u8]) {
        if !self.try_clear(key, Self::clear_at) {
            while !self.try_clear(key, Self::clear_up_to) {}
        }
    }

    /// False if somebody was faster somewhere.
    fn try_clear(&self, key: &[u8], level: fn(&Self, &[u8], usize, Spot) -> Option<Spot>) -> bool {
        let mut spot = Spot::start(key);
        for number in (0..self.height()).rev() {
            match level(self, key, number, spot) {
                Some(below) => spot = below,
                None => return false,
            }
        }
        true
    }

    /// Clears a level at `key`; the last spot below. None if that is marked, or if there is another meanwhile.
    fn clear_at(&self, key: &[u8], level: usize, spot: Spot) -> Option<Spot> {
        let spot = self.walk(key, level, &Place { spot, ..Place::default() }).spot;
        let mut link = self.clear_behind(spot.node, level)?;
        while link.to() != 0 {
            match self.compare(link.to(), key, 0).0 {
                Ordering::Greater => break,
                Ordering::Equal => link = self.clear_behind(link.to(), level)?,
                // Inserted meanwhile; what is to be taken out may stand behind it.
                Ordering::Less => return None,
            }
        }
        Some(spot)
    }

    /// Clears a level from `spot` to behind the last node of `key`; the last spot below the key.
    fn clear_up_to(&self, key: &[u8], level: usize, mut spot: Spot) -> Option<Spot> {
        let mut link = self.clear_behind(spot.node, level)?;
        while link.to() != 0 {
            let next = link.to();
            let (order, common) = self.compare(next, key, 0);
            if order == Ordering::Greater {
                break;
            }
            link = self.clear_behind(next, level)?;
            if order == Ordering::Less {
                spot = Spot::new(next, common, key);
            }
        }
        Some(spot)
    }

    /// Takes marked nodes out behind `at`; its link then. None if somebody was faster, or if `at` is marked itself.
    fn clear_behind(&self, at: u32, level: usize) -> Option<Link> {
        loop {
            let link = self.link(at, level);
            if link.is_marked() {
                return None;
            }
            let after = match link.to() {
                0 => return Some(link),
                next => self.link(next, level),
            };
            if !after.is_marked() {
                return Some(link);
            }
            // What both have in common they have in common with the one in between, for that lies between them.
            let common = if at == HEAD { 0 } else { link.common().min(after.common()) };
            let direct = match after.to() {
                0 => Link::END,
                next => Link::new(next, common, |from| self.head_of(next, from)),
            };
            // Release: hands on what this thread has seen of the node behind.
            self.link_word(at, level).compare_exchange(link.0, direct.0, AcqRel, Relaxed).ok()?;
        }
    }
}
