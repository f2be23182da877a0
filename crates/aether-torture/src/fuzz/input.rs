//! Inputs as bytes: what a target reads from them, and how a seed is written.
//!
//! Reading never fails: behind the end there are zeros. So every mutation is an input of some meaning.

use aether_types::Writer;

/// Zeros between two pieces of a file below which they are one piece.
const GAP_BYTES: usize = 8;

/// The rest of an input.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The whole input.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// The next `count` bytes, fewer at the end.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// A number of up to 64 bits, as [`Writer::put_varint`] writes it.
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// A number as a size, cut to `max`.
    pub fn size(&mut self, max: usize) -> usize {
        usize::try_from(self.number()).unwrap_or(max).min(max)
    }

    /// A byte string behind its length.
    pub fn string(&mut self) -> &'a [u8] {
        let count = self.size(usize::MAX);
        self.take(count)
    }

    /// Bytes over `base`: pieces, each behind its distance from the one before and its length, up to one of length 0.
    pub fn patch(&mut self, base: &mut [u8]) {
        let mut at = 0usize;
        while !self.is_empty() {
            at = at.saturating_add(self.size(usize::MAX));
            let piece = self.string();
            if piece.is_empty() {
                return;
            }
            let place = base.get_mut(at..).unwrap_or_default();
            let count = piece.len().min(place.len());
            place[..count].copy_from_slice(&piece[..count]);
            at = at.saturating_add(piece.len());
        }
    }

    /// The contents of a file: its size, cut to `max`, and pieces over zeros.
    pub fn file(&mut self, max: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.size(max)];
        self.patch(&mut bytes);
        bytes
    }
}

/// Writes the contents of a file as [`Input::file`] reads them.
pub fn put_file(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_varint(bytes.len() as u64);
    put_patch(out, &vec![0; bytes.len()], bytes);
}

/// Writes what makes `bytes` of `base`, as [`Input::patch`] reads it.
pub fn put_patch(out: &mut Vec<u8>, base: &[u8], bytes: &[u8]) {
    let mut end = 0;
    for (start, piece) in pieces(base, bytes) {
        out.put_varint((start - end) as u64);
        out.put_string(piece);
        end = start + piece.len();
    }
    out.put_bytes(&[0, 0]);
}

/// Where `bytes` differs from `base`; what lies close together is one piece.
fn pieces<'b>(base: &[u8], bytes: &'b [u8]) -> Vec<(usize, &'b [u8])> {
    let differs = |at: &usize| base.get(*at) != Some(&bytes[*at]);
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for at in (0..bytes.len()).filter(differs) {
        match spans.last_mut() {
            Some((_, end)) if at - *end < GAP_BYTES => *end = at + 1,
            _ => spans.push((at, at + 1)),
        }
    }
    spans.into_iter().map(|(start, end)| (start, &bytes[start..end])).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_written() {
        let mut bytes = vec![0; 5000];
        bytes[3..9].fill(7);
        bytes[12] = 1;
        bytes[100..400].fill(9);
        let mut out = Vec::new();
        put_file(&mut out, &bytes);
        assert!(out.len() < 330, "{}", out.len());
        out.put_u8(5);
        let mut input = Input::new(&out);
        assert_eq!(input.file(1 << 20), bytes);
        assert_eq!((input.byte(), input.is_empty()), (5, true));
        assert_eq!(Input::new(&out).file(50), bytes[..50]);
    }

    #[test]
    fn behind_the_end_there_are_zeros() {
        let mut input = Input::new(&[0xff; 3]);
        assert_eq!(input.number(), 0x1f_ffff);
        assert_eq!((input.number(), input.string(), input.file(10)), (0, &[][..], vec![]));
        let mut base = [1; 4];
        Input::new(&[2, 9, 8, 7, 6]).patch(&mut base);
        assert_eq!(base, [1, 1, 8, 7]);
    }
}
