//! Walks a map and says whether its rules hold: keys rise in every level, each level is part of the one below, links tell
//! the truth about both their ends, and the count of keys is right.

use super::link::Link;
use super::node::HEAD;
use super::{HEIGHT_MAX, Skiplist};
use aether_sync::atomic::Ordering::*;
use aether_types::{Error, Result};
use core::cmp::Ordering;
use std::collections::BTreeSet;

impl Skiplist {
    /// Checks every rule of the structure, while nobody changes it. Takes time and memory for all keys.
    ///
    /// # Errors
    /// `Corruption` with the first broken rule, and the key where it was found.
    pub fn check(&self) -> Result<()> {
        let mut below: Option<BTreeSet<u32>> = None;
        for level in 0..HEIGHT_MAX {
            let nodes = self.check_level(level)?;
            if let Some(stray) = below.and_then(|below| nodes.difference(&below).next().copied()) {
                return Err(self.broken(stray, "stands in a level, and not in the one below"));
            }
            if level == 0 && nodes.len() as u64 != self.len() {
                return Err(Error::corruption(format!("{} keys, counted as {}", nodes.len(), self.len())));
            }
            below = Some(nodes);
        }
        Ok(())
    }

    fn check_level(&self, level: usize) -> Result<BTreeSet<u32>> {
        let (mut nodes, mut node) = (BTreeSet::new(), HEAD);
        let mut key = Vec::new();
        loop {
            let link = self.link(node, level);
            if link.is_marked() {
                return Err(self.broken(node, "is being removed"));
            }
            if link.to() == 0 {
                debug_assert!(link == Link::END, "the end has one form");
                return Ok(nodes);
            }
            self.copy_key(node, &mut key);
            self.check_link(node, &key, link)?;
            node = link.to();
            if level >= self.shape(node).height || level >= self.height.load(Relaxed) as usize {
                return Err(self.broken(node, "stands in a level where it does not belong"));
            }
            nodes.insert(node);
        }
    }

    fn check_link(&self, node: u32, key: &[u8], link: Link) -> Result<()> {
        let to = link.to();
        let (order, common) = self.compare(to, key, 0);
        let common = if node == HEAD { 0 } else { common };
        if order != Ordering::Greater && node != HEAD {
            return Err(self.broken(to, "does not lie above the key before it"));
        }
        let right = Link::new(to, common, |from| self.head_of(to, from));
        if right != link {
            return Err(self.broken(to, "is not what the link to it tells"));
        }
        Ok(())
    }

    fn broken(&self, node: u32, what: &str) -> Error {
        let mut key = Vec::new();
        self.copy_key(node, &mut key);
        Error::corruption(format!("skiplist: a key {what}")).at_key(&key)
    }
}
