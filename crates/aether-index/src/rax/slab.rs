//! Items of one size, named by their index; the slots of removed ones are used again.

/// Items of one size.
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Takes an item in and gives it an index.
    ///
    /// # Panics
    /// At 536,870,912 items: an index has 29 bits.
    pub(super) fn add(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(item);
            return index;
        }
        let index = self.slots.len();
        assert!(index < 1 << 29, "a radix tree has 536,870,912 nodes of a kind at the most");
        self.slots.push(Some(item));
        index as u32
    }

    pub(super) fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        self.slots[index as usize].take().expect("a reference leads to an item")
    }

    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> &T {
        self.slots[index as usize].as_ref().expect("a reference leads to an item")
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, index: u32) -> &mut T {
        self.slots[index as usize].as_mut().expect("a reference leads to an item")
    }

    /// Items in use.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes taken from the system, spare slots included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<T>>() + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again() {
        let mut slab = Slab::new();
        let [a, b] = ["a", "b"].map(|item| slab.add(item));
        assert_eq!((slab.take(a), slab.len()), ("a", 1));
        let c = slab.add("c");
        assert_eq!((c, *slab.get(c), *slab.get(b)), (a, "c", "b"));
        *slab.get_mut(b) = "d";
        assert_eq!((*slab.get(b), slab.len()), ("d", 2));
    }
}
