//! What an index tells of itself: its shape, what a check finds, what a salvage reads.

use aether_types::{PageNo, Result};

/// An index in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Levels, leaves included; 0 for an index that has none.
    pub height: u32,
    /// Leaves; of an index in memory, those of its image.
    pub leaf_pages: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexCheck {
    /// Pages of the index, without those of large values.
    pub nodes: u64,
    /// Leaves among them.
    pub leaves: u64,
    /// Rows, ghosts not counted.
    pub entries: u64,
    /// Every page of the extents of large values; none twice in a sound store.
    pub value_pages: Vec<PageNo>,
    /// Broken rules, each with its page.
    pub problems: Vec<String>,
}

/// Keys that cannot be read: those from `from` on (none: from the first) and below `to` (none: to the last).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRange {
    /// The page that should hold them, if it is known.
    pub page: Option<PageNo>,
    /// The first key that may be lost.
    pub from: Option<Vec<u8>>,
    /// The first key that is not.
    pub to: Option<Vec<u8>>,
    /// What is wrong.
    pub what: String,
}

/// What a salvage meets, in the order of keys.
#[derive(Debug)]
pub enum Salvaged<'a> {
    /// A row: key and value.
    Row(&'a [u8], &'a [u8]),
    /// Keys that cannot be read.
    Lost(LostRange),
}

/// Takes what was found; an error of its own ends the salvage.
pub type Sink<'s> = dyn FnMut(Salvaged<'_>) -> Result<()> + 's;
