//! Keys that must come in ascending order.

use aether_types::{Error, Result};

/// Remembers the last key.
#[derive(Debug, Default)]
pub(super) struct Ascending {
    last: Option<Vec<u8>>,
}

impl Ascending {
    /// True if `key` is new, false if it is the last one again.
    ///
    /// # Errors
    /// `InvalidInput` if `key` is below the last one.
    pub(super) fn admit(&mut self, key: &[u8]) -> Result<bool> {
        let Some(last) = &mut self.last else {
            self.last = Some(key.to_vec());
            return Ok(true);
        };
        match key.cmp(last) {
            core::cmp::Ordering::Less => Err(Error::invalid("keys of a filter must ascend").at_key(key)),
            core::cmp::Ordering::Equal => Ok(false),
            core::cmp::Ordering::Greater => {
                last.clear();
                last.extend_from_slice(key);
                Ok(true)
            }
        }
    }
}
