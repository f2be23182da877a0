//! Aligned memory (temporary).
/// Aligned buffer.
pub struct AlignedBuf(Vec<u8>);
impl AlignedBuf {
    /// New.
    pub fn new(len: usize) -> Self {
        Self(vec![0; len.next_multiple_of(4096)])
    }
}
impl core::ops::Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
impl core::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
