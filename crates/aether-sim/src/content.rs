//! The bytes of a file as shared chunks: a copy costs a reference per chunk, a write copies what it touches.

use aether_sync::Arc;

/// What a disk writes in one piece.
pub(crate) const SECTOR: u64 = 512;
const CHUNK: usize = 4096;

/// A missing chunk reads as zeroes. Bytes past the size are zero, but for a crash image under construction.
#[derive(Clone, Default)]
pub(crate) struct Content {
    chunks: Vec<Option<Arc<[u8; CHUNK]>>>,
    size: u64,
}

impl Content {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes of disk the file takes.
    pub(crate) fn allocated(&self) -> u64 {
        (self.chunks.iter().flatten().count() * CHUNK) as u64
    }

    /// The same, or 0 where nobody counts.
    pub(crate) fn allocated_if(&self, counts: bool) -> u64 {
        if counts { self.allocated() } else { 0 }
    }

    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let count = self.size.saturating_sub(offset).min(into.len() as u64) as usize;
        self.peek(offset, &mut into[..count]);
        count
    }

    /// Reads without regard to the size.
    fn peek(&self, offset: u64, into: &mut [u8]) {
        for piece in pieces(offset, into.len()) {
            let part = &mut into[piece.at..piece.at + piece.len];
            match self.chunks.get(piece.chunk).and_then(Option::as_ref) {
                Some(chunk) => part.copy_from_slice(&chunk[piece.start..piece.start + piece.len]),
                None => part.fill(0),
            }
        }
    }

    /// Writes and grows.
    pub(crate) fn write(&mut self, offset: u64, from: &[u8]) {
        self.poke(offset, from);
        self.size = self.size.max(offset + from.len() as u64);
    }

    /// Writes and leaves the size.
    pub(crate) fn poke(&mut self, offset: u64, from: &[u8]) {
        for piece in pieces(offset, from.len()) {
            let part = &from[piece.at..piece.at + piece.len];
            self.chunk_mut(piece.chunk)[piece.start..piece.start + piece.len].copy_from_slice(part);
        }
    }

    /// Copies a range of `other`, without regard to the sizes.
    pub(crate) fn copy_range(&mut self, other: &Self, offset: u64, len: u64) {
        let mut bytes = vec![0; len as usize];
        other.peek(offset, &mut bytes);
        self.poke(offset, &bytes);
    }

    /// Forgets every byte from `end` on and leaves the size.
    pub(crate) fn cut(&mut self, end: u64) {
        let count = end.div_ceil(CHUNK as u64);
        if count < self.chunks.len() as u64 {
            self.chunks.truncate(count as usize);
        }
        let start = (end % CHUNK as u64) as usize;
        let partial = self.chunks.get_mut((end / CHUNK as u64) as usize).and_then(Option::as_mut);
        if let Some(chunk) = partial {
            Arc::make_mut(chunk)[start..].fill(0);
        }
    }

    /// Cuts, or extends with zeroes.
    pub(crate) fn set_size(&mut self, size: u64) {
        self.cut(size);
        self.size = size;
    }

    /// The largest part of a write at `offset` that needs at most `space` bytes of new disk.
    pub(crate) fn fitting(&self, offset: u64, len: usize, space: u64) -> usize {
        let mut left = space;
        for piece in pieces(offset, len) {
            let is_new = self.chunks.get(piece.chunk).is_none_or(Option::is_none);
            if is_new && left < CHUNK as u64 {
                return piece.at;
            }
            left -= if is_new { CHUNK as u64 } else { 0 };
        }
        len
    }

    /// Flips one bit if the file has the byte.
    pub(crate) fn flip(&mut self, byte: u64, bit: u8) {
        if byte < self.size {
            let chunk = self.chunk_mut((byte / CHUNK as u64) as usize);
            chunk[(byte % CHUNK as u64) as usize] ^= 1 << (bit % 8);
        }
    }

    fn chunk_mut(&mut self, index: usize) -> &mut [u8; CHUNK] {
        if self.chunks.len() <= index {
            self.chunks.resize(index + 1, None);
        }
        Arc::make_mut(self.chunks[index].get_or_insert_with(|| Arc::new([0; CHUNK])))
    }
}

/// The part of a transfer that lies in one chunk.
struct Piece {
    chunk: usize,
    start: usize,
    /// Where in the caller's bytes.
    at: usize,
    len: usize,
}

fn pieces(offset: u64, len: usize) -> impl Iterator<Item = Piece> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let here = offset + at as u64;
        let start = (here % CHUNK as u64) as usize;
        let piece =
            Piece { chunk: (here / CHUNK as u64) as usize, start, at, len: (len - at).min(CHUNK - start) };
        at += piece.len;
        (piece.len > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_behaves_as_a_vector(steps in proptest::collection::vec((0usize..20_000, 0usize..9000, any::<u8>()), 1..12)) {
            let (mut content, mut model) = (Content::default(), Vec::new());
            for (at, len, byte) in steps {
                if byte < 60 {
                    content.set_size(at as u64);
                    model.resize(at, 0);
                } else if len > 0 {
                    content.write(at as u64, &vec![byte; len]);
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].fill(byte);
                }
                let mut back = vec![1; model.len() + 10];
                prop_assert_eq!(content.read(0, &mut back), model.len());
                prop_assert_eq!(&back[..model.len()], &model[..]);
            }
        }
    }

    #[test]
    fn only_new_chunks_take_space() {
        let mut content = Content::default();
        content.write(0, &[1; 4096]);
        content.set_size(1 << 20);
        assert_eq!(content.allocated(), 4096);
        assert_eq!(content.fitting(100, 8000, 0), 3996);
        assert_eq!(content.fitting(100, 8000, 4096), 8000);
    }
}
