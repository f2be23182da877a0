//! The upper level of the index, in memory while the run is open. A partition is a part of the keys with a filter of its own;
//! several neighbouring ones may share an index block.

use aether_index::txn::recovery::wal::buffer::page::Swip;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_types::PageNo;

/// A partition, described: all its keys are at or above `separator` and below the next one's.
pub(super) struct Partition<K> {
    pub(super) separator: K,
    /// The page of its filter, if it has one.
    pub(super) filter: Option<PageNo>,
    /// Its index block, by its place among them.
    pub(super) leaf: usize,
}

/// A reference to a page whose frame is remembered. The hint is only a hint: a lost or stale one is found out.
#[derive(Debug)]
pub(super) struct Reference(AtomicU64);

impl Reference {
    fn new(page: PageNo) -> Self {
        Self(AtomicU64::new(Swip::new(page).word()))
    }

    #[inline]
    pub(super) fn swip(&self) -> Swip {
        Swip::from_word(self.0.load(Relaxed))
    }

    pub(super) fn remember(&self, swip: Swip) {
        self.0.store(swip.word(), Relaxed);
    }
}

#[derive(Debug)]
struct Known {
    /// Where its separator ends among the keys.
    end: u32,
    leaf: u32,
    filter: Option<Reference>,
}

/// All partitions and index blocks of a run.
#[derive(Debug, Default)]
pub(super) struct Top {
    keys: Vec<u8>,
    /// The first eight bytes of each separator.
    heads: Vec<u64>,
    known: Vec<Known>,
    leaves: Vec<Reference>,
}

impl Top {
    /// None unless separators and leaves ascend, and all pages are among the `blocks` of the run, which begin at 1.
    pub(super) fn new(leaves: Vec<PageNo>, partitions: Vec<Partition<Vec<u8>>>, blocks: u64) -> Option<Self> {
        let is_page = |page: &PageNo| (1..=blocks).contains(&page.get());
        let is_ordered = partitions.is_sorted_by(|one, next| one.separator < next.separator)
            && partitions.is_sorted_by(|one, next| (one.leaf..=one.leaf + 1).contains(&next.leaf))
            && leaves.is_sorted_by(|one, next| one < next);
        let ends =
            (partitions.first().map_or(0, |first| first.leaf), partitions.last().map(|last| last.leaf));
        let is_whole = ends == (0, leaves.len().checked_sub(1)) && leaves.iter().all(is_page);
        let mut this = Self { leaves: leaves.into_iter().map(Reference::new).collect(), ..Self::default() };
        for partition in &partitions {
            this.keys.extend_from_slice(&partition.separator);
            this.heads.push(head(&partition.separator));
            let filter = partition.filter.map(Reference::new);
            let (end, leaf) = (u32::try_from(this.keys.len()).ok()?, u32::try_from(partition.leaf).ok()?);
            this.known.push(Known { end, leaf, filter });
        }
        let filters_are_pages = partitions.iter().all(|partition| partition.filter.iter().all(is_page));
        (is_ordered && is_whole && filters_are_pages).then_some(this)
    }

    fn separator(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.known[before].end as usize);
        &self.keys[start..self.known[at].end as usize]
    }

    /// The partition that `key` belongs to; none in a run without keys.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let wanted = head(key);
        let (mut low, mut high) = (0, self.heads.len());
        while low < high {
            let middle = (low + high) / 2;
            let head = self.heads[middle];
            if head < wanted || (head == wanted && self.separator(middle) <= key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low.saturating_sub(1)).filter(|_| !self.heads.is_empty())
    }

    pub(super) fn filter(&self, partition: usize) -> Option<&Reference> {
        self.known[partition].filter.as_ref()
    }

    pub(super) fn leaf_of(&self, partition: usize) -> usize {
        self.known[partition].leaf as usize
    }

    pub(super) fn leaf(&self, leaf: usize) -> Option<&Reference> {
        self.leaves.get(leaf)
    }

    pub(super) fn leaves(&self) -> impl ExactSizeIterator<Item = PageNo> + '_ {
        self.leaves.iter().map(|leaf| leaf.swip().page())
    }

    pub(super) fn partitions(&self) -> impl ExactSizeIterator<Item = Partition<&[u8]>> + '_ {
        self.known.iter().enumerate().map(|(at, known)| Partition {
            separator: self.separator(at),
            filter: known.filter.as_ref().map(|filter| filter.swip().page()),
            leaf: known.leaf as usize,
        })
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        let each = size_of::<Known>() + size_of::<u64>();
        (self.keys.len() + self.known.len() * each + self.leaves.len() * size_of::<Reference>()) as u64
    }
}

#[inline]
fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(separators: &[&[u8]], leaves: &[usize]) -> Option<Top> {
        let partitions = separators.iter().zip(leaves).map(|(separator, &leaf)| Partition {
            separator: separator.to_vec(),
            filter: Some(PageNo::new(leaf as u64 + 10)),
            leaf,
        });
        Top::new((1..4).map(PageNo::new).collect(), partitions.collect(), 20)
    }

    #[test]
    fn a_key_belongs_to_the_last_separator_at_or_below() {
        let separators: [&[u8]; 5] = [b"", b"b", b"b\0", b"longer than a head", b"longer than a headache"];
        let top = top(&separators, &[0, 0, 1, 1, 2]).unwrap();
        let keys: [(&[u8], usize); 9] = [
            (b"", 0),
            (b"a", 0),
            (b"b", 1),
            (b"b\0", 2),
            (b"b\0\0", 2),
            (b"longer t", 2),
            (b"longer than a head", 3),
            (b"longer than a headacha", 3),
            (b"z", 4),
        ];
        for (key, partition) in keys {
            assert_eq!(top.find(key), Some(partition), "{key:?}");
        }
        assert!(top.bytes() > 40 && top.leaf_of(4) == 2 && top.filter(4).unwrap().swip().page().get() == 12);
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        assert!(top(&[b"", b"b", b"c"], &[0, 1, 2]).is_some());
        assert!(top(&[b"", b"b", b"b"], &[0, 1, 2]).is_none());
        assert!(top(&[b"", b"b", b"c"], &[0, 2, 2]).is_none(), "a leaf is left out");
        assert!(top(&[b"", b"b", b"c"], &[0, 1, 1]).is_none(), "the last leaf is missing");
        assert!(top(&[b"", b"b", b"c"], &[1, 1, 2]).is_none(), "the first leaf is missing");
        assert!(Top::new(vec![PageNo::new(21)], Vec::new(), 20).is_none());
        assert!(Top::new(Vec::new(), Vec::new(), 0).unwrap().find(b"a").is_none());
    }
}
