//! Where a cursor stands: between two keys.

use core::cmp::Ordering;

/// Which way it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To higher keys.
    Up,
    /// To lower keys.
    Down,
}

/// On which side of a key it stands, or of all keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edge {
    /// Before all keys.
    First,
    /// Before the key.
    Before,
    /// Behind the key.
    Behind,
    /// Behind all keys.
    Last,
}

/// A place between two keys.
#[derive(Debug)]
pub struct Position {
    pub(crate) edge: Edge,
    /// Of no account at both ends.
    pub(crate) key: Vec<u8>,
}

impl Position {
    pub(crate) fn set(&mut self, edge: Edge, key: &[u8]) {
        self.edge = edge;
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// Passes `key`.
    pub(crate) fn pass(&mut self, key: &[u8], way: Way) {
        self.set(if way == Way::Up { Edge::Behind } else { Edge::Before }, key);
    }

    /// How `key` lies to somebody who goes `way` from here: ahead (greater), behind (less), or just passed (equal).
    #[inline]
    pub(crate) fn compare(&self, key: &[u8], way: Way) -> Ordering {
        let order = match self.edge {
            Edge::First => Ordering::Greater,
            Edge::Last => Ordering::Less,
            Edge::Before | Edge::Behind => key.cmp(&self.key),
        };
        match (order, self.edge, way) {
            (Ordering::Equal, Edge::Before, Way::Up) | (Ordering::Equal, Edge::Behind, Way::Down) => {
                Ordering::Greater
            }
            (order, _, Way::Up) => order,
            (order, _, Way::Down) => order.reverse(),
        }
    }
}
