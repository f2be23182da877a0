//! Inner nodes, in four sizes: up to 4, 16, 48 and 256 children.
//!
//! The smaller two list the bytes of their children, the larger two have a bit for each of the 256 bytes. In all but the
//! largest, children stand close together, in the order of their bytes: the place of one is the number of those below.

use super::Ref;
use super::bytes::Bytes;

/// What every inner node begins with.
#[derive(Clone, Default)]
pub(super) struct Head {
    /// What all keys below have in common behind the byte that leads here.
    pub(super) path: Bytes,
    /// The leaf of the key that ends here, if there is one.
    pub(super) own: Ref,
    /// Children.
    pub(super) count: u16,
}

/// An inner node with its children.
pub(super) trait Inner {
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
    /// The child behind `byte`; none if there is none.
    fn child(&self, byte: u8) -> Ref;
    /// Replaces the child behind `byte`, which is there.
    fn replace(&mut self, byte: u8, child: Ref);
    /// Adds a child behind `byte`, where none is. There is room.
    fn add(&mut self, byte: u8, child: Ref);
    /// Removes the child behind `byte`, which is there.
    fn remove(&mut self, byte: u8);
    /// The first child whose byte is no less than `from`.
    fn at_or_above(&self, from: usize) -> Option<(u8, Ref)>;
    /// The last child whose byte is less than `to`.
    fn below(&self, to: usize) -> Option<(u8, Ref)>;
    /// Children at the most.
    fn room(&self) -> usize;
}

/// Up to `N` children, their bytes listed.
#[derive(Clone)]
pub(super) struct Small<const N: usize> {
    head: Head,
    bytes: [u8; N],
    children: [Ref; N],
}

impl<const N: usize> Small<N> {
    pub(super) fn new(head: Head) -> Self {
        Self { head: Head { count: 0, ..head }, bytes: [0; N], children: [Ref::NONE; N] }
    }

    fn used(&self) -> &[u8] {
        &self.bytes[..usize::from(self.head.count).min(N)]
    }

    /// Children below `byte`.
    #[inline(always)]
    fn rank(&self, byte: usize) -> usize {
        self.used().iter().map(|other| usize::from(usize::from(*other) < byte)).sum()
    }

    fn nth(&self, index: usize) -> (u8, Ref) {
        (self.bytes[index], self.children[index])
    }
}

impl<const N: usize> Inner for Small<N> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    #[inline(always)]
    fn child(&self, byte: u8) -> Ref {
        // All bytes at once, those behind the last child included, where there are no children.
        let found = (0..N).fold(0u32, |found, index| found | u32::from(self.bytes[index] == byte) << index);
        let index = (found & ((1 << self.head.count) - 1)).trailing_zeros() as usize;
        if index < N { self.children[index] } else { Ref::NONE }
    }

    fn replace(&mut self, byte: u8, child: Ref) {
        let index = self.rank(byte.into());
        self.children[index] = child;
    }

    fn add(&mut self, byte: u8, child: Ref) {
        let (index, count) = (self.rank(byte.into()), usize::from(self.head.count));
        self.bytes.copy_within(index..count, index + 1);
        self.children.copy_within(index..count, index + 1);
        (self.bytes[index], self.children[index]) = (byte, child);
        self.head.count += 1;
    }

    fn remove(&mut self, byte: u8) {
        let (index, count) = (self.rank(byte.into()), usize::from(self.head.count));
        self.bytes.copy_within(index + 1..count, index);
        self.children.copy_within(index + 1..count, index);
        self.head.count -= 1;
    }

    fn at_or_above(&self, from: usize) -> Option<(u8, Ref)> {
        let index = self.rank(from);
        (index < self.used().len()).then(|| self.nth(index))
    }

    fn below(&self, to: usize) -> Option<(u8, Ref)> {
        self.rank(to).checked_sub(1).map(|index| self.nth(index))
    }

    fn room(&self) -> usize {
        N
    }
}

/// A bit for each byte.
#[derive(Clone, Default)]
struct Present([u64; 4]);

impl Present {
    #[inline(always)]
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn flip(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] ^= 1 << (byte & 63);
    }

    /// Bits below `byte`.
    #[inline(always)]
    fn rank(&self, byte: u8) -> usize {
        let word = usize::from(byte >> 6);
        let whole: u32 = self.0[..word].iter().map(|word| word.count_ones()).sum();
        (whole + (self.0[word] & ((1 << (byte & 63)) - 1)).count_ones()) as usize
    }

    fn at_or_above(&self, from: usize) -> Option<u8> {
        let masked = |word: usize| match from.saturating_sub(word * 64) {
            64.. => 0,
            skipped => self.0[word] >> skipped << skipped,
        };
        let word = (0..4).find(|word| masked(*word) != 0)?;
        Some((word * 64) as u8 + masked(word).trailing_zeros() as u8)
    }

    fn below(&self, to: usize) -> Option<u8> {
        let masked = |word: usize| match to.saturating_sub(word * 64) {
            64.. => self.0[word],
            kept => self.0[word] & ((1 << kept) - 1),
        };
        let word = (0..4).rev().find(|word| masked(*word) != 0)?;
        Some((word * 64) as u8 + 63 - masked(word).leading_zeros() as u8)
    }
}

/// Up to 48 children, close together.
#[derive(Clone)]
pub(super) struct Sparse {
    head: Head,
    present: Present,
    children: [Ref; 48],
}

impl Sparse {
    pub(super) fn new(head: Head) -> Self {
        Self { head: Head { count: 0, ..head }, present: Present::default(), children: [Ref::NONE; 48] }
    }
}

impl Inner for Sparse {
    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    #[inline(always)]
    fn child(&self, byte: u8) -> Ref {
        if self.present.has(byte) { self.children[self.present.rank(byte)] } else { Ref::NONE }
    }

    fn replace(&mut self, byte: u8, child: Ref) {
        self.children[self.present.rank(byte)] = child;
    }

    fn add(&mut self, byte: u8, child: Ref) {
        let (index, count) = (self.present.rank(byte), usize::from(self.head.count));
        self.children.copy_within(index..count, index + 1);
        self.children[index] = child;
        self.present.flip(byte);
        self.head.count += 1;
    }

    fn remove(&mut self, byte: u8) {
        let (index, count) = (self.present.rank(byte), usize::from(self.head.count));
        self.children.copy_within(index + 1..count, index);
        self.present.flip(byte);
        self.head.count -= 1;
    }

    fn at_or_above(&self, from: usize) -> Option<(u8, Ref)> {
        self.present.at_or_above(from).map(|byte| (byte, self.children[self.present.rank(byte)]))
    }

    fn below(&self, to: usize) -> Option<(u8, Ref)> {
        self.present.below(to).map(|byte| (byte, self.children[self.present.rank(byte)]))
    }

    fn room(&self) -> usize {
        48
    }
}

/// A place for each byte.
#[derive(Clone)]
pub(super) struct Full {
    head: Head,
    present: Present,
    children: [Ref; 256],
}

impl Full {
    pub(super) fn new(head: Head) -> Self {
        Self { head: Head { count: 0, ..head }, present: Present::default(), children: [Ref::NONE; 256] }
    }
}

impl Inner for Full {
    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    #[inline(always)]
    fn child(&self, byte: u8) -> Ref {
        self.children[usize::from(byte)]
    }

    fn replace(&mut self, byte: u8, child: Ref) {
        self.children[usize::from(byte)] = child;
    }

    fn add(&mut self, byte: u8, child: Ref) {
        self.children[usize::from(byte)] = child;
        self.present.flip(byte);
        self.head.count += 1;
    }

    fn remove(&mut self, byte: u8) {
        self.children[usize::from(byte)] = Ref::NONE;
        self.present.flip(byte);
        self.head.count -= 1;
    }

    fn at_or_above(&self, from: usize) -> Option<(u8, Ref)> {
        self.present.at_or_above(from).map(|byte| (byte, self.child(byte)))
    }

    fn below(&self, to: usize) -> Option<(u8, Ref)> {
        self.present.below(to).map(|byte| (byte, self.child(byte)))
    }

    fn room(&self) -> usize {
        256
    }
}

/// Gives `to`, which is empty, the children of `from`.
pub(super) fn move_children(from: &impl Inner, to: &mut impl Inner) {
    let mut next = 0;
    while let Some((byte, child)) = from.at_or_above(next) {
        to.add(byte, child);
        next = usize::from(byte) + 1;
    }
}
