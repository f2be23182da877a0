//! A global allocator that counts, per thread, what is allocated at once.
//!
//! A program that wants the counts installs it: `#[global_allocator] static COUNTED: Counted = Counted;`. Without it the
//! peak is 0.

#![allow(unsafe_code)]

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, with counts.
pub struct Counted;

thread_local! {
    // Constant and without a destructor: reading them never allocates.
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// Forgets what this thread has allocated so far.
pub fn begin() {
    LIVE.with(|live| live.set(0));
    PEAK.with(|peak| peak.set(0));
}

/// The most bytes that this thread had at once beyond what it had at [`begin`].
pub fn peak() -> u64 {
    PEAK.with(|peak| peak.get().max(0) as u64)
}

fn count(bytes: i64) {
    LIVE.with(|live| {
        live.set(live.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it is; counting touches constant thread-local cells alone.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_at_once_is_counted_and_the_memory_is_whole() {
        let (small, large) = (Layout::from_size_align(100, 8), Layout::from_size_align(300, 8));
        let (Ok(small), Ok(large)) = (small, large) else { unreachable!("these are layouts") };
        begin();
        // SAFETY: sizes are not zero; each block is written to and freed within the layout that it has at that time.
        unsafe {
            let first = Counted.alloc(small);
            first.write_bytes(7, 100);
            let second = Counted.alloc_zeroed(small);
            assert_eq!((0..100).map(|at| u64::from(*second.add(at))).sum::<u64>(), 0);
            assert_eq!(peak(), 200);
            let grown = Counted.realloc(first, small, 300);
            assert_eq!((0..100).map(|at| u64::from(*grown.add(at))).sum::<u64>(), 700);
            Counted.dealloc(second, small);
            Counted.dealloc(grown, large);
        }
        assert_eq!(peak(), 400);
        begin();
        assert_eq!(peak(), 0);
    }
}
