//! Linking a node: in the lowest level first, which makes it part of the map, then upward.

use super::link::Link;
use super::node;
use super::search::Place;
use super::{CLOSED, Entry, Guard, HEIGHT_MAX, KEY_BYTES_MAX, Skiplist, key};
use aether_sync::atomic::Ordering::*;
use aether_types::{Error, Result};

/// What [`Guard::insert`] came to.
#[derive(Debug)]
pub enum Inserted<'a> {
    /// The key was absent; its entry has the payload now.
    New(Entry<'a>),
    /// The key was there, and its entry stays as it is.
    Found(Entry<'a>),
}

impl<'a> Inserted<'a> {
    /// The key's entry.
    pub fn entry(self) -> Entry<'a> {
        match self {
            Self::New(entry) | Self::Found(entry) => entry,
        }
    }

    /// Whether the key was absent.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }
}

impl Guard<'_> {
    /// Inserts `key` with `payload` unless it is there already. Never blocks.
    ///
    /// # Errors
    /// `InvalidInput` if the key is longer than [`KEY_BYTES_MAX`] or the payload is [`CLOSED`]; `OverLimit` if the map's
    /// memory is full.
    pub fn insert(&self, key: &[u8], payload: u64) -> Result<Inserted<'_>> {
        if key.len() > KEY_BYTES_MAX {
            let what = format!("a key has {KEY_BYTES_MAX} bytes at the most, not {}", key.len());
            return Err(Error::invalid(what));
        }
        if payload == CLOSED {
            return Err(Error::invalid("this payload means that an entry is removed"));
        }
        let entry = |node| Entry { map: self.map, node };
        Ok(match self.map.insert(key, payload)? {
            Ok(node) => Inserted::New(entry(node)),
            Err(node) => Inserted::Found(entry(node)),
        })
    }
}

impl Skiplist {
    /// The levels of a key's node: one, and one more with a chance of one half each.
    pub fn height_of(&self, key: &[u8]) -> usize {
        1 + (key::hash(key, self.seed).trailing_ones() as usize).min(HEIGHT_MAX - 1)
    }

    /// The new node of `key`, or the one that was there as an error.
    fn insert(&self, key: &[u8], payload: u64) -> Result<Result<u32, u32>> {
        /// Higher nodes are few; most need no long path made.
        const LOW: usize = if cfg!(loom) { 1 } else { 4 };
        match self.height_of(key) {
            height @ ..=LOW => self.insert_on(&mut [Place::default(); LOW][..height], key, payload),
            height => self.insert_on(&mut [Place::default(); HEIGHT_MAX][..height], key, payload),
        }
    }

    /// The same, given room for the way to as many levels as the node has.
    fn insert_on(&self, path: &mut [Place], key: &[u8], payload: u64) -> Result<Result<u32, u32>> {
        let mut made = None;
        let node = loop {
            match self.trace(key, path) {
                Some(found) if self.is_closed(found) => {
                    self.help_out(found, key);
                    continue;
                }
                Some(found) => {
                    made.into_iter().for_each(|node| self.unclaim(node, node::words(path.len(), key.len())));
                    return Ok(Err(found));
                }
                None => {}
            }
            let node = made.map_or_else(|| self.make_node(key, path.len(), payload), Ok)?;
            if self.link_level(key, node, 0, &mut path[0]) {
                break node;
            }
            made = Some(node);
        };
        // Release: who reads the count (acquire) finds as many keys.
        self.len.fetch_add(1, Release);
        self.link_upward(key, node, path);
        Ok(Ok(node))
    }

    /// Links a node that stands in the lowest level in the others.
    fn link_upward(&self, key: &[u8], node: u32, path: &mut [Place]) {
        if path.len() > self.height() {
            self.height.fetch_max(path.len() as u64, Relaxed);
        }
        for (level, place) in path.iter_mut().enumerate().skip(1) {
            while !self.link_level(key, node, level, place) {
                // Another node of the key: either that is removed, or this one.
                let other = place.above();
                if self.is_closed(node) || !self.is_closed(other) {
                    break;
                }
                self.help_out(other, key);
                *place = self.place_in(key, level);
            }
        }
        if let Some(reuse) = self.reuse.as_deref()
            && self.end_phase(node, node::BUILT)
        {
            self.take_out(reuse, node);
        }
    }

    /// Links `node` in `level`; false if there is another node of the key meanwhile, or if this one is being removed.
    fn link_level(&self, key: &[u8], node: u32, level: usize, place: &mut Place) -> bool {
        while !place.is_found {
            if place.link.is_marked() {
                // Nothing is linked behind who is being removed.
                self.clear(key);
                *place = self.place_in(key, level);
                continue;
            }
            if !self.set_link(node, level, self.link_above(place, key)) {
                return false;
            }
            let link = Link::new(node, place.spot.common, |from| key::head(key, from));
            let before = self.link_word(place.spot.node, level);
            // Release: who follows the link (acquire) sees the node's words, and what this thread saw behind it.
            if before.compare_exchange(place.link.0, link.0, Release, Relaxed).is_ok() {
                return true;
            }
            // Whatever was behind the spot, what is there now is to be looked at.
            *place = self.walk(key, level, &Place { link: Link::END, ..*place });
        }
        false
    }

    /// Sets a new node's own link; false if it is marked.
    fn set_link(&self, node: u32, level: usize, link: Link) -> bool {
        let word = self.link_word(node, level);
        // Relaxed, both: nobody comes here before the node is linked in the level.
        if level == 0 || self.reuse.is_none() {
            word.store(link.0, Relaxed);
            return true;
        }
        let seen = word.load(Relaxed);
        !Link(seen).is_marked() && word.compare_exchange(seen, link.0, Relaxed, Relaxed).is_ok()
    }

    /// The link of a new node in `place` to the one behind it.
    fn link_above(&self, place: &Place, key: &[u8]) -> Link {
        let common = self.common_above(place, key);
        if place.above() == 0 || common == place.link.common() {
            return place.link;
        }
        Link::new(place.above(), common, |from| self.head_of(place.above(), from))
    }
}
