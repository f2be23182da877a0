//! Finding a place: along a level as long as keys lie below the one that is looked for, then a level down.
//!
//! A search knows how many bytes the key has in common with the node where it stands, and each link tells how many that node
//! has in common with the next. If the next one shares more with this node than the key does, it lies below the key,
//! for this node does; if it shares less, it lies above. If both share as much, the next bytes decide, and the link has
//! those too. All of that is one comparison of codes (`link.rs`); so a search reads nothing of a node but its links, until the
//! key is most likely found. (Codes as in merging sorted runs; for searching lists by what keys have in common see Grossi &
//! Italiano, "Efficient Techniques for Maintaining Multidimensional Keys in Linked Data Structures", ICALP 1999.)

use super::Skiplist;
use super::key;
use super::link::{Link, code, common_of_codes};
use super::node::HEAD;
use aether_sync::atomic::Ordering::*;
use core::cmp::Ordering;

/// A node below the key, how many bytes both have in common, and the key's code from there.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) node: u32,
    pub(super) common: usize,
    code: u32,
}

impl Spot {
    #[inline]
    pub(super) fn new(node: u32, common: usize, key: &[u8]) -> Self {
        Self { node, common, code: code(common, |from| key::head(key, from)) }
    }

    /// Before all nodes. That has no key; links from there count as having nothing in common.
    #[inline]
    pub(super) fn start(key: &[u8]) -> Self {
        Self::new(HEAD, 0, key)
    }

    /// Goes on to the next node, which lies below the key, as the codes tell.
    #[inline(always)]
    fn forward(self, link: Link, key: &[u8]) -> Self {
        let common = common_of_codes(self.common, self.code, link.code());
        if common == self.common {
            Self { node: link.to(), ..self }
        } else {
            Self::new(link.to(), common, key)
        }
    }
}

/// Where a key belongs in a level: behind `spot`, whose link is `link`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) spot: Spot,
    pub(super) link: Link,
    pub(super) is_found: bool,
}

impl Place {
    /// Above all levels.
    #[inline]
    fn start(key: &[u8]) -> Self {
        Self { spot: Spot::start(key), link: Link::END, is_found: false }
    }

    /// The first node at or above the key; 0 if there is none.
    pub(super) fn above(&self) -> u32 {
        self.link.to()
    }
}

impl Default for Place {
    fn default() -> Self {
        Self { spot: Spot { node: HEAD, common: 0, code: 0 }, link: Link::END, is_found: false }
    }
}

impl Skiplist {
    /// Goes along `level` from `upper`, the place in the level above, to the place of `key`.
    ///
    /// A node that is being removed may stand in a level though it was taken out of the lowest: its links know nothing of
    /// what was inserted since. One passes by such a node, and never goes down from it: the spot is then an earlier one,
    /// and the link, which does not belong to it, is marked.
    #[inline]
    pub(super) fn walk(&self, key: &[u8], level: usize, upper: &Place) -> Place {
        let place = self.walk_from(upper.spot, key, level, upper, |_| {});
        if !place.link.is_marked() || level == 0 {
            return place;
        }
        let mut safe = upper.spot;
        let place = self.walk_from(upper.spot, key, level, upper, |spot| safe = spot);
        if place.link.is_marked() { Place { spot: safe, ..place } } else { place }
    }

    /// The same, which tells of each spot that is not being removed, and may end at one that is.
    #[inline(always)]
    fn walk_from(
        &self,
        mut spot: Spot,
        key: &[u8],
        level: usize,
        upper: &Place,
        mut tell: impl FnMut(Spot),
    ) -> Place {
        loop {
            let link = self.link(spot.node, level);
            if !link.is_marked() {
                tell(spot);
            }
            if link.code() > spot.code {
                return Place { spot, link, is_found: false };
            }
            if link.code() < spot.code {
                spot = spot.forward(link, key);
                continue;
            }
            // As far as the codes tell they are the same: most likely they are, and that was found in the level above.
            if link.to() == upper.above() {
                return Place { spot, link, is_found: upper.is_found };
            }
            match self.compare_behind(link, key) {
                (Ordering::Less, common) => spot = Spot::new(link.to(), common, key),
                (order, _) => return Place { spot, link, is_found: order == Ordering::Equal },
            }
        }
    }

    /// Where the node behind `link`, of the same code as the key, lies as seen from the key, and what both have in common.
    fn compare_behind(&self, link: Link, key: &[u8]) -> (Ordering, usize) {
        match link.to() {
            0 => (Ordering::Greater, 0),
            next => self.compare(next, key, link.common()),
        }
    }

    /// How many bytes the key has in common with the node behind its place.
    pub(super) fn common_above(&self, place: &Place, key: &[u8]) -> usize {
        if place.link.code() == place.spot.code {
            return self.compare_behind(place.link, key).1;
        }
        common_of_codes(place.link.common(), place.link.code(), place.spot.code)
    }

    /// The node of `key`. Ends at the first level that has it. Below a node that is being removed there may be a new one.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let mut place = Place::start(key);
        for level in (0..self.height()).rev() {
            place = self.walk(key, level, &place);
            if place.is_found && !self.is_closed(place.above()) {
                return Some(place.above());
            }
        }
        None
    }

    /// The place of `key` in the lowest level.
    pub(super) fn place(&self, key: &[u8]) -> Place {
        self.place_in(key, 0)
    }

    /// The place of `key` in `level`.
    pub(super) fn place_in(&self, key: &[u8], level: usize) -> Place {
        (level..self.height().max(level + 1))
            .rev()
            .fold(Place::start(key), |place, level| self.walk(key, level, &place))
    }

    /// As [`Skiplist::place`], with the node where the search left `level`.
    pub(super) fn place_from(&self, key: &[u8], level: usize) -> (u32, Place) {
        let (mut place, mut start) = (Place::start(key), HEAD);
        for level_now in (0..self.height()).rev() {
            place = self.walk(key, level_now, &place);
            if level_now == level {
                start = place.spot.node;
            }
        }
        (start, place)
    }

    /// The place of `key` in each level that `path` has room for; or its node, from the first level that has it.
    pub(super) fn trace(&self, key: &[u8], path: &mut [Place]) -> Option<u32> {
        let mut place = Place::start(key);
        for level in (0..path.len().max(self.height())).rev() {
            place = self.walk(key, level, &place);
            if place.is_found {
                return Some(place.above());
            }
            if let Some(kept) = path.get_mut(level) {
                *kept = place;
            }
        }
        None
    }

    /// The last node; that before all others if there is none. Goes down from none that is being removed: see `walk`.
    pub(super) fn last(&self) -> u32 {
        let mut last = HEAD;
        for level in (0..self.height()).rev() {
            let mut node = last;
            while node != 0 {
                let link = self.link(node, level);
                if !link.is_marked() || level == 0 {
                    last = node;
                }
                node = link.to();
            }
        }
        last
    }

    /// Levels in which there may be a node. Relaxed: who sees too few starts lower, where all nodes are.
    #[inline]
    pub(super) fn height(&self) -> usize {
        self.height.load(Relaxed) as usize
    }
}
