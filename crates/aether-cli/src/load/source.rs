//! What a loader takes its rows from.

use crate::exit::Outcome;

/// A row. Its buffers are used again for the next.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// What a source gives next.
pub(crate) enum Next {
    /// A row.
    Row,
    /// No row, but the beginning of a database, with its name if it has one.
    Database(Option<String>),
    /// The end of the input.
    End,
}

/// Rows, one after another.
pub(crate) trait Source {
    /// Reads on, and fills `row` if a row is next. Blocks on the input.
    fn next(&mut self, row: &mut Row) -> Outcome<Next>;

    /// The place of what was read last, for people.
    fn place(&self) -> String;

    /// Bytes of input behind what was read last.
    fn bytes(&self) -> u64;

    /// Whether the database may hold several values per key, which stand side by side.
    fn may_repeat_keys(&self) -> bool {
        false
    }
}

impl Row {
    /// Replaces the row.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.value.clear();
        self.value.extend_from_slice(value);
    }
}
