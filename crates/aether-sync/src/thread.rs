//! Threads.

#[cfg(loom)]
pub use loom::thread::{JoinHandle, yield_now};
#[cfg(shuttle)]
pub use shuttle::thread::{JoinHandle, yield_now};
#[cfg(not(any(loom, shuttle)))]
pub use std::thread::{JoinHandle, yield_now};

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
    #[cfg(loom)]
    return loom::thread::Builder::new().name(name.into()).spawn(body).expect("a modelled thread starts");
    #[cfg(shuttle)]
    return shuttle::thread::Builder::new().name(name.into()).spawn(body).expect("a modelled thread starts");
    #[cfg(not(any(loom, shuttle)))]
    return std::thread::Builder::new().name(name.into()).spawn(body).expect("the system starts a thread");
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
