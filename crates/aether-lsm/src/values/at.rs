//! Where a large value is: what the stub of a run's entry holds.

use aether_types::{Error, FileId, Reader, Result, Writer};

/// The form of the bytes; others may follow.
const FORM: u8 = 1;

/// The place of a large value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ValueAt {
    /// The value file.
    pub file: FileId,
    /// Where its first piece begins.
    pub offset: u64,
    /// Bytes of the value.
    pub length: u64,
}

impl ValueAt {
    /// Bytes of a stub.
    pub const BYTES: usize = 21;

    /// The stub.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.put_u8(FORM);
        out.put_u32(self.file.get());
        out.put_u64(self.offset);
        out.put_u64(self.length);
        out
    }

    /// Reads a stub. Whether there is such a value its file says.
    ///
    /// # Errors
    /// `Corruption` unless the bytes are exactly a stub.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let form = reader.u8()?;
        let (file, offset, length) = (reader.u32()?, reader.u64()?, reader.u64()?);
        reader.finish()?;
        if form != FORM || !(1..FileId::END).contains(&file) || offset.checked_add(length).is_none() {
            return Err(Error::corruption("the stub of a large value names no place that can be"));
        }
        Ok(Self { file: FileId::new(file), offset, length })
    }
}
