//! Finding a place: along a level as long as keys lie below the one that is looked for, then a level down.
//!
//! A search knows how many bytes the key has in common with the node where it stands (`common`), and each link tells how
//! many that node has in common with the next (`Link::common`). If the next one shares more with this node than the key
//! does, it lies below the key, for this node does; if it shares less, it lies above. If both share as much, the next bytes
//! decide, and the link has those too. So a search reads nothing of a node but its links, until the key is most
//! likely found (Grossi & Italiano, "Efficient Techniques for Maintaining Multidimensional Keys in Linked Data Structures",
//! ICALP 1999, without the cached bytes).

use super::key;
use super::link::{COMMON_MAX, Link};
use super::node::HEAD;
use super::{HEIGHT_MAX, Skiplist};
use aether_sync::atomic::Ordering::*;
use core::cmp::Ordering;

/// A node below the key, and how many bytes both have in common.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) node: u32,
    pub(super) common: usize,
}

impl Spot {
    /// Before all nodes. It has no key; links from there count as having nothing in common.
    pub(super) const START: Self = Self { node: HEAD, common: 0 };
}

/// Where a key belongs in a level: behind `spot`, whose link is `link`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) spot: Spot,
    pub(super) link: Link,
    /// How many bytes the key has in common with the node behind it.
    pub(super) common: usize,
    pub(super) is_found: bool,
}

impl Place {
    pub(super) const START: Self = Self { spot: Spot::START, link: Link::END, common: 0, is_found: false };

    /// The first node at or above the key; 0 if there is none.
    pub(super) fn above(&self) -> u32 {
        self.link.to()
    }
}

/// Where the key belongs in each level.
pub(super) type Path = [Place; HEIGHT_MAX];

/// Where the next node of a level lies, and what the key has in common with it.
enum Verdict {
    Below(usize),
    Above(usize),
    Equal,
}

impl Skiplist {
    #[inline]
    fn judge(&self, key: &[u8], common: usize, link: Link) -> Verdict {
        let shared = link.common();
        if shared < COMMON_MAX {
            if common != shared {
                return if common < shared { Verdict::Below(common) } else { Verdict::Above(shared) };
            }
            let head = key::head(key, shared);
            if head != link.head() {
                let common = shared + key::common_of_heads(head ^ link.head());
                return if head > link.head() { Verdict::Below(common) } else { Verdict::Above(common) };
            }
        } else if common < shared {
            return Verdict::Below(common);
        }
        match self.compare(link.to(), key, shared) {
            (Ordering::Less, common) => Verdict::Below(common),
            (Ordering::Greater, common) => Verdict::Above(common),
            (Ordering::Equal, _) => Verdict::Equal,
        }
    }

    /// Goes along `level` from `spot` to the place of `key`; `upper` is that of the level above.
    #[inline]
    pub(super) fn walk(&self, key: &[u8], level: usize, mut spot: Spot, upper: &Place) -> Place {
        loop {
            let link = self.link(spot.node, level);
            if link.to() == upper.above() {
                return Place { spot, link, ..*upper };
            }
            if link.to() == 0 {
                return Place { spot, link, common: 0, is_found: false };
            }
            match self.judge(key, spot.common, link) {
                Verdict::Below(common) => spot = Spot { node: link.to(), common },
                Verdict::Above(common) => return Place { spot, link, common, is_found: false },
                Verdict::Equal => return Place { spot, link, common: usize::MAX, is_found: true },
            }
        }
    }

    /// The node of `key`. Ends at the first level that has it.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let mut place = Place::START;
        for level in (0..self.height()).rev() {
            place = self.walk(key, level, place.spot, &place);
            if place.is_found {
                return Some(place.above());
            }
        }
        None
    }

    /// The place of `key` in the lowest level.
    pub(super) fn place(&self, key: &[u8]) -> Place {
        (0..self.height()).rev().fold(Place::START, |place, level| self.walk(key, level, place.spot, &place))
    }

    /// The place of `key` in each level, from `height` downward. Ends early, with true, at the first level that has it.
    pub(super) fn trace(&self, key: &[u8], height: usize, path: &mut Path) -> Option<u32> {
        let mut place = Place::START;
        for level in (0..height.max(self.height())).rev() {
            place = self.walk(key, level, place.spot, &place);
            if place.is_found {
                return Some(place.above());
            }
            path[level] = place;
        }
        None
    }

    /// The last node; that before all others if there is none.
    pub(super) fn last(&self) -> u32 {
        let mut node = HEAD;
        for level in (0..self.height()).rev() {
            while let next = self.link(node, level).to()
                && next != 0
            {
                node = next;
            }
        }
        node
    }

    /// Levels in which there may be a node. Relaxed: who sees too few starts lower, where all nodes are.
    #[inline]
    fn height(&self) -> usize {
        self.height.load(Relaxed) as usize
    }
}
