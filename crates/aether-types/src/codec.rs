//! The little-endian codec. Writing appends to a `Vec<u8>`; reading checks every length (R4).

use crate::{Error, ErrorKind, Result};

/// Appends numbers and byte strings to a buffer.
pub trait Writer {
    /// Appends bytes as they are.
    fn put_bytes(&mut self, bytes: &[u8]);

    /// Appends one byte.
    fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    /// Appends a 16-bit number.
    fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Appends a 32-bit number.
    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Appends a 64-bit number.
    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Appends a variable-length number: seven bits a byte, lowest first, at most ten bytes (LEB128).
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.put_u8(value as u8);
    }

    /// Appends a byte string after its length.
    fn put_string(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put_bytes(bytes);
    }
}

impl Writer for Vec<u8> {
    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Reads what [`Writer`] wrote; a failure is `Corruption` naming the position.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The position of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `Corruption` if fewer are left; so do all the others here.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.remaining() {
            return Err(self.bad(format!("{count} bytes wanted, {} left", self.remaining())));
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(self.bad("1 bytes wanted, 0 left")),
        }
    }

    /// A 16-bit number.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A 64-bit number.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A variable-length number.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad("a number is longer than 64 bits"))
    }

    /// A variable-length number that must be below `end`: a count, an offset, an id.
    pub fn varint_below(&mut self, end: u64) -> Result<u64> {
        let value = self.varint()?;
        if value >= end {
            return Err(self.bad(format!("{value} is not below {end}")));
        }
        Ok(value)
    }

    /// A byte string after its length.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        let count = self.varint()?;
        let count = usize::try_from(count).map_err(|_| self.bad("a length beyond memory"))?;
        self.bytes(count)
    }

    /// Fails unless every byte was read.
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.bad(format!("{left} bytes after the end"))),
        }
    }

    /// A `Corruption` error at the current position.
    pub fn bad(&self, what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corruption, what).at_offset(self.at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            out.put_varint(number);
            out.put_string(&bytes);
            out.put_u64(number);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint().unwrap(), number);
            prop_assert_eq!(reader.string().unwrap(), &bytes[..]);
            prop_assert_eq!(reader.u64().unwrap(), number);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() && reader.string().is_ok() {}
            prop_assert!(reader.position() <= bytes.len());
        }
    }

    #[test]
    fn an_overlong_number_is_refused() {
        assert!(Reader::new(&[0xff; 10]).varint().is_err());
        let mut largest = Vec::new();
        largest.put_varint(u64::MAX);
        assert_eq!(Reader::new(&largest).varint().unwrap(), u64::MAX);
    }
}
