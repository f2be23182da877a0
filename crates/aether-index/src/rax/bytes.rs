//! A short string of bytes: inside its node up to 22 bytes, on the heap beyond.

const INLINE_MAX: usize = 22;

/// Bytes of a path, or of what is left of a key at a leaf.
#[derive(Clone)]
pub(super) enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

impl Bytes {
    pub(super) fn new(from: &[u8]) -> Self {
        Self::joined(&[from])
    }

    /// The parts, one behind the other.
    pub(super) fn joined(parts: &[&[u8]]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        if len > INLINE_MAX {
            return Self::Heap(parts.concat().into());
        }
        let (mut bytes, mut end) = ([0; INLINE_MAX], 0);
        for part in parts {
            bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        Self::Inline { len: len as u8, bytes }
    }

    #[inline(always)]
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE_MAX)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// What follows these bytes in `key`; none if it does not begin with them.
    #[inline(always)]
    pub(super) fn strip_from<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let bytes = self.as_slice();
        // Most paths are empty: no call for those.
        if bytes.is_empty() { Some(key) } else { key.strip_prefix(bytes) }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Inline { len: 0, bytes: [0; INLINE_MAX] }
    }
}

/// How many bytes `a` and `b` have in common.
#[inline]
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_both_places() {
        for len in [0, 1, INLINE_MAX, INLINE_MAX + 1, 1000] {
            let bytes: Vec<_> = (0..len).map(|byte| byte as u8).collect();
            let (left, right) = bytes.split_at(len / 3);
            assert_eq!(Bytes::new(&bytes).as_slice(), bytes);
            assert_eq!(Bytes::joined(&[left, right]).as_slice(), bytes);
            assert_eq!(Bytes::new(&bytes).heap_bytes(), if len > INLINE_MAX { len } else { 0 });
        }
        assert_eq!(size_of::<Option<Bytes>>(), 24, "no word is spent on telling the two apart");
    }
}
