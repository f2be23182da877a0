//! Threads.

mod batch;

#[cfg(loom)]
pub use loom::thread::{JoinHandle, yield_now};
#[cfg(shuttle)]
pub use shuttle::thread::{JoinHandle, yield_now};
#[cfg(not(any(loom, shuttle)))]
pub use std::thread::{JoinHandle, yield_now};

#[cfg(loom)]
use loom::thread::Builder;
#[cfg(shuttle)]
use shuttle::thread::Builder;
#[cfg(not(any(loom, shuttle)))]
use std::thread::Builder;

use aether_types::{Error, ErrorKind, Result};
use std::time::Duration;

/// Starts a thread called `name`.
///
/// # Panics
/// If the system refuses another thread.
#[allow(clippy::expect_used)]
pub fn spawn<F, T>(name: &str, body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    try_spawn(name, body).expect("the system starts a thread")
}

/// As [`spawn`], for threads of the engine.
///
/// # Errors
/// `OverLimit` if the system refuses another thread.
pub fn try_spawn<F, T>(name: &str, body: F) -> Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let refused = |source: std::io::Error| {
        let what = format!("the system starts no thread for `{name}`: {source}");
        Error::new(ErrorKind::OverLimit, what)
    };
    Builder::new().name(name.into()).spawn(body).map_err(refused)
}

/// As [`try_spawn`], for background work that may wait: the thread never takes the processor from another when it wakes, but is not
/// starved either. Where the system knows no such thing it is a thread like all others.
///
/// # Errors
/// `OverLimit` if the system refuses another thread.
pub fn try_spawn_batch<F, T>(name: &str, body: F) -> Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    try_spawn(name, move || {
        batch::enter();
        body()
    })
}

/// Processors that this process may use; 1 if the system does not say, and under the schedule checkers.
pub fn parallelism() -> usize {
    #[cfg(any(loom, shuttle))]
    {
        1
    }
    #[cfg(not(any(loom, shuttle)))]
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Blocks for `time`; under the schedule checkers, time stands still and this yields.
pub fn sleep(time: Duration) {
    #[cfg(any(loom, shuttle))]
    {
        let _ = time;
        yield_now();
    }
    #[cfg(not(any(loom, shuttle)))]
    std::thread::sleep(time);
}
