//! Telling the system that a thread's work may wait.

/// This thread's work may wait: when it wakes, it takes the processor from nobody else. It gets its share all the same, so
/// who waits for a lock that it holds does not wait for long, as with a low priority. Linux: `SCHED_BATCH`, see `sched(7)`;
/// elsewhere, and where the system refuses, nothing changes.
#[cfg(all(target_os = "linux", not(any(loom, shuttle, miri))))]
pub(super) fn enter() {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread, and `param` lives for the length of the call, which only reads it.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &param) };
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle, miri)))))]
pub(super) fn enter() {}

#[cfg(all(test, target_os = "linux", not(any(loom, shuttle, miri))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::thread::{spawn, try_spawn_batch};

    /// The scheduling policy of the calling thread.
    fn policy() -> i32 {
        // SAFETY: 0 names the calling thread; nothing is written.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn batch_threads_are_batch_threads_and_no_others() {
        assert_eq!(try_spawn_batch("batch", policy).unwrap().join().unwrap(), libc::SCHED_BATCH);
        assert_eq!(spawn("plain", policy).join().unwrap(), libc::SCHED_OTHER);
    }
}
