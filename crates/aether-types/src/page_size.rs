//! Page sizes: powers of two from 4 to 64 KiB, fixed when a file is created.

use crate::{Error, ErrorKind, Result};

/// The size of a page in bytes: 4, 8, 16, 32 or 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct PageSize(u32);

impl Default for PageSize {
    fn default() -> Self {
        Self::MIN
    }
}

impl PageSize {
    /// 4 KiB, the default.
    pub const MIN: PageSize = PageSize(4096);
    /// 64 KiB.
    pub const MAX: PageSize = PageSize(65536);

    /// A page size of `bytes`.
    ///
    /// # Errors
    /// `InvalidInput` unless `bytes` is 4096, 8192, 16384, 32768 or 65536.
    pub fn new(bytes: usize) -> Result<Self> {
        let fits = bytes.is_power_of_two() && (4096..=65536).contains(&bytes);
        if !fits {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("page size {bytes} is not one of 4096, 8192, 16384, 32768, 65536"),
            ));
        }
        Ok(Self(bytes as u32))
    }

    /// Bytes in a page.
    #[inline]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// Eight-byte words in a page.
    #[inline]
    pub const fn words(self) -> usize {
        self.0 as usize / 8
    }
}
