//! Frame memory: page-aligned words, apart from the frame headers, never unmapped while the pool lives.
//!
//! Anonymous memory in huge pages where the system gives them; from the allocator under loom.
//! The only file of this crate with `unsafe`.

use aether_sync::word::Word;
use aether_types::{PageSize, Result};

#[cfg(not(loom))]
pub(crate) use mapped::FrameMemory;
#[cfg(loom)]
pub(crate) use plain::FrameMemory;

#[cfg(not(loom))]
mod mapped {
    use super::*;
    use aether_types::{Error, ErrorKind};
    use memmap2::{Advice, MmapMut, MmapOptions};

    const HUGE_BYTES: usize = 2 << 20;

    /// The memory of all frames of a pool.
    pub(crate) struct FrameMemory {
        words: *const Word,
        count: usize,
        page_words: usize,
        _map: MmapMut,
    }

    // SAFETY: the memory is reached only as `&[Word]`, whose elements are atomics.
    unsafe impl Send for FrameMemory {}
    // SAFETY: as above.
    unsafe impl Sync for FrameMemory {}

    impl FrameMemory {
        pub(crate) fn new(frames: usize, page_size: PageSize) -> Result<Self> {
            let bytes = frames * page_size.bytes();
            let refused = |source: std::io::Error| {
                Error::new(
                    ErrorKind::OverLimit,
                    format!("the system gives no {bytes} bytes for the pool: {source}"),
                )
            };
            let mut map = MmapOptions::new().len(bytes + HUGE_BYTES).map_anon().map_err(refused)?;
            // Huge pages are a wish: without them the pool is slower, not wrong. Miri knows no advice.
            if !cfg!(miri) {
                let _ = map.advise(Advice::HugePage);
            }
            let base = map.as_mut_ptr();
            let skip = base.align_offset(HUGE_BYTES);
            assert!(skip <= HUGE_BYTES, "a mapping can be aligned by skipping less than one huge page");
            // SAFETY: `skip` bytes further on, `bytes` bytes are still inside the mapping.
            let words = unsafe { base.add(skip) }.cast::<Word>().cast_const();
            Ok(Self { words, count: bytes / 8, page_words: page_size.words(), _map: map })
        }

        #[inline]
        pub(crate) fn page(&self, frame: u32) -> &[Word] {
            let start = frame as usize * self.page_words;
            assert!(start + self.page_words <= self.count, "frame numbers are below the pool's size");
            // SAFETY: the range lies inside the mapping (asserted), is aligned to 8, initialised to zero by the
            // system, lives as long as self, and is only ever accessed through atomic words.
            unsafe { core::slice::from_raw_parts(self.words.add(start), self.page_words) }
        }
    }
}

#[cfg(loom)]
mod plain {
    use super::*;

    /// The memory of all frames of a pool. A page has eight words: a model of a page.
    pub(crate) struct FrameMemory {
        words: Vec<Word>,
        page_words: usize,
    }

    impl FrameMemory {
        pub(crate) fn new(frames: usize, _: PageSize) -> Result<Self> {
            let page_words = 8;
            let words = (0..frames * page_words).map(|_| Word::new(0)).collect();
            Ok(Self { words, page_words })
        }

        pub(crate) fn page(&self, frame: u32) -> &[Word] {
            let start = frame as usize * self.page_words;
            &self.words[start..start + self.page_words]
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use aether_sync::atomic::Ordering::Relaxed;
    use std::thread;

    #[test]
    fn pages_are_zeroed_words_that_threads_share_and_no_two_pages_have_one_of() {
        let memory = FrameMemory::new(3, PageSize::MIN).unwrap();
        let pages = [0, 1, 2].map(|frame| memory.page(frame));
        assert!(pages.iter().all(|page| page.len() == PageSize::MIN.words()));
        assert!(pages.iter().all(|page| page.iter().all(|word| word.load(Relaxed) == 0)));
        thread::scope(|scope| {
            for by in [1, 100] {
                scope.spawn(move || {
                    for (page, number) in pages.iter().zip(1..) {
                        for word in *page {
                            word.fetch_add(by * number, Relaxed);
                        }
                    }
                });
            }
        });
        for (page, number) in pages.iter().zip(1..) {
            assert!(page.iter().all(|word| word.load(Relaxed) == 101 * number));
        }
    }

    #[test]
    #[should_panic(expected = "frame numbers are below the pool's size")]
    fn a_frame_that_is_none_is_refused() {
        FrameMemory::new(2, PageSize::MIN).unwrap().page(2);
    }
}
