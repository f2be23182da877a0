//! Writes that happen together.

/// Puts and deletes of one keyspace, applied as one transaction by [`crate::Db::write`]. Later ones win.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub(crate) writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> &mut Self {
        self.writes.push((key.to_vec(), Some(value.to_vec())));
        self
    }

    /// Adds a delete.
    pub fn delete(&mut self, key: &[u8]) -> &mut Self {
        self.writes.push((key.to_vec(), None));
        self
    }

    /// Writes in the batch.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// True for an empty batch.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}
