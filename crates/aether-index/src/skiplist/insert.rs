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
        if let Some(node) = self.trace(key, path) {
            return Ok(Err(node));
        }
        let height = path.len();
        let node = self.make_node(key, height, payload)?;
        if let Err(found) = self.link_node(key, node, 0, path) {
            self.arena.unclaim(node, node::words(height, key.len()));
            return Ok(Err(found));
        }
        self.len.fetch_add(1, Release);
        if height > self.height.load(Relaxed) as usize {
            self.height.fetch_max(height as u64, Relaxed);
        }
        for level in 1..height {
            if self.link_node(key, node, level, path).is_err() {
                break;
            }
        }
        Ok(Ok(node))
    }

    /// Links `node` in `level`; the node of the same key as an error, if there is one meanwhile.
    fn link_node(&self, key: &[u8], node: u32, level: usize, path: &mut [Place]) -> Result<(), u32> {
        loop {
            let place = path[level];
            // Relaxed: nobody comes here before the exchange below.
            self.link_word(node, level).store(self.link_above(&place, key).0, Relaxed);
            let link = Link::new(node, place.spot.common, |from| key::head(key, from));
            let before = self.link_word(place.spot.node, level);
            // Release: who follows the link (acquire) sees the node's words, and what this thread saw behind it.
            if before.compare_exchange(place.link.0, link.0, Release, Relaxed).is_ok() {
                return Ok(());
            }
            // Whatever was behind the spot, what is there now is to be looked at.
            path[level] = self.walk(key, level, &Place { link: Link::END, ..place });
            if path[level].is_found {
                return Err(path[level].above());
            }
        }
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
