//! Locks without poisoning, ranked: see [`Rank`].

use crate::rank::{self, Rank};
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::time::Duration;

#[cfg(loom)]
use loom::sync as imp;
#[cfg(not(any(loom, shuttle)))]
use parking_lot as imp;
#[cfg(shuttle)]
use shuttle::sync as imp;

#[cfg(any(loom, shuttle))]
fn sound<T>(result: Result<T, std::sync::PoisonError<T>>) -> T {
    result.unwrap_or_else(std::sync::PoisonError::into_inner)
}
#[cfg(not(any(loom, shuttle)))]
#[inline(always)]
fn sound<T>(guard: T) -> T {
    guard
}

struct Held(Rank);

impl Held {
    fn new(rank: Rank) -> Self {
        rank::enter(rank);
        Self(rank)
    }

    /// Of a lock that was free: nobody waited for it, whatever else is held.
    fn tried(rank: Rank) -> Self {
        rank::enter_untimely(rank);
        Self(rank)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        rank::leave(self.0);
    }
}

/// A mutual-exclusion lock.
pub struct Mutex<T> {
    rank: Rank,
    inner: imp::Mutex<T>,
}

/// Holds a [`Mutex`] until dropped.
pub struct MutexGuard<'a, T> {
    inner: imp::MutexGuard<'a, T>,
    held: Held,
}

impl<T> Mutex<T> {
    /// A lock of `rank` around `value`.
    pub fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: imp::Mutex::new(value) }
    }

    /// Takes the lock; blocks.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let held = Held::new(self.rank);
        MutexGuard { inner: sound(self.inner.lock()), held }
    }

    /// Takes the lock if it is free. Never blocks, hence is free of the rank order.
    #[cfg(not(any(loom, shuttle)))]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        Some(MutexGuard { inner, held: Held::tried(self.rank) })
    }

    /// Takes the lock if it is free.
    #[cfg(any(loom, shuttle))]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock().ok()?;
        Some(MutexGuard { inner, held: Held::tried(self.rank) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex({:?})", self.rank)
    }
}

/// Waits for an event under a [`Mutex`]. May wake without cause: wait in a loop.
#[derive(Debug)]
pub struct Condvar(imp::Condvar);

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self(imp::Condvar::new())
    }

    /// Releases the lock, blocks until woken, takes the lock again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let MutexGuard { inner, held } = guard;
        #[cfg(any(loom, shuttle))]
        let inner = sound(self.0.wait(inner));
        #[cfg(not(any(loom, shuttle)))]
        let inner = {
            let mut inner = inner;
            self.0.wait(&mut inner);
            inner
        };
        MutexGuard { inner, held }
    }

    /// As [`Condvar::wait`], for at most `time`; true if woken. Under the schedule checkers, which know no time,
    /// it yields and reports a timeout.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, time: Duration) -> (MutexGuard<'a, T>, bool) {
        let MutexGuard { inner, held } = guard;
        #[cfg(any(loom, shuttle))]
        let (inner, woken) = {
            let _ = time;
            crate::thread::yield_now();
            (inner, false)
        };
        #[cfg(not(any(loom, shuttle)))]
        let (inner, woken) = {
            let mut inner = inner;
            let woken = !self.0.wait_for(&mut inner, time).timed_out();
            (inner, woken)
        };
        (MutexGuard { inner, held }, woken)
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock with shared and exclusive holders.
pub struct RwLock<T> {
    rank: Rank,
    inner: imp::RwLock<T>,
}

/// Holds an [`RwLock`] shared until dropped.
pub struct RwLockReadGuard<'a, T> {
    inner: imp::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// Holds an [`RwLock`] exclusively until dropped.
pub struct RwLockWriteGuard<'a, T> {
    inner: imp::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RwLock<T> {
    /// A lock of `rank` around `value`.
    pub fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: imp::RwLock::new(value) }
    }

    /// Takes the lock shared; blocks.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = Held::new(self.rank);
        RwLockReadGuard { inner: sound(self.inner.read()), _held: held }
    }

    /// Takes the lock shared unless somebody has it, or waits for it, exclusively. Never blocks.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        #[cfg(any(loom, shuttle))]
        let inner = self.inner.try_read().ok()?;
        #[cfg(not(any(loom, shuttle)))]
        let inner = self.inner.try_read()?;
        Some(RwLockReadGuard { inner, _held: Held::new(self.rank) })
    }

    /// Takes the lock exclusively; blocks.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = Held::new(self.rank);
        RwLockWriteGuard { inner: sound(self.inner.write()), _held: held }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RwLock({:?})", self.rank)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const LOW: Rank = Rank::new(1, "low");
    const HIGH: Rank = Rank::new(2, "high");

    #[test]
    fn rising_ranks_pass() {
        let (low, high) = (Mutex::new(LOW, 1), Mutex::new(HIGH, 2));
        let (a, b) = (low.lock(), high.lock());
        assert_eq!(*a + *b, 3);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "lock order")]
    fn falling_ranks_panic() {
        let (low, high) = (Mutex::new(LOW, 1), Mutex::new(HIGH, 2));
        let _b = high.lock();
        let _a = low.lock();
    }
}
