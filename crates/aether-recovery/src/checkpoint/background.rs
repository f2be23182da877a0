//! The thread that writes back and takes checkpoints, so that those who write need not wait for the device.
//!
//! It does the slices that are due. Who writes does them himself only where the thread falls behind, where it has failed (and is told why), and
//! where there is none.

use crate::rank;
use crate::store::Store;
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_sync::thread::{self, JoinHandle};
use aether_sync::{Arc, Condvar, Mutex, Weak};
use aether_types::Result;

/// The thread, if there is one.
pub(super) struct Background {
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Bell {
    asked: Mutex<Asked>,
    rung: Condvar,
    /// Somebody has asked, and the thread has not begun.
    is_rung: AtomicBool,
    runs: AtomicBool,
    /// It could not do what was due, and nobody has since.
    has_failed: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    work: bool,
    stop: bool,
}

impl Background {
    /// No thread yet.
    pub(super) fn none() -> Self {
        let asked = Mutex::new(rank::CHECKPOINT_BELL, Asked::default());
        let [is_rung, runs, has_failed] = core::array::from_fn(|_| AtomicBool::new(false));
        let bell = Arc::new(Bell { asked, rung: Condvar::new(), is_rung, runs, has_failed });
        Self { bell, thread: Mutex::new(rank::CHECKPOINT_BELL, None) }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// `OverLimit` if the system refuses one.
    pub(super) fn start(&self, store: Weak<Store>) -> Result<()> {
        let bell = self.bell.clone();
        let handle = thread::try_spawn_batch("aether-checkpts", move || bell.serve(&store))?;
        *self.thread.lock() = Some(handle);
        self.bell.runs.store(true, Relaxed);
        Ok(())
    }

    /// Ends the thread; blocks for the slice in hand.
    pub(super) fn stop(&self) {
        self.dismiss();
        let handle = self.thread.lock().take();
        if let Some(handle) = handle {
            // A panic has been reported where it happened.
            let _ = handle.join();
        }
    }

    fn dismiss(&self) {
        self.bell.runs.store(false, Relaxed);
        self.bell.ask(|asked| asked.stop = true);
    }

    /// True if there is a thread.
    pub(super) fn runs(&self) -> bool {
        self.bell.runs.load(Relaxed)
    }

    /// True if the thread does what is due. Asks it to.
    pub(super) fn takes_over(&self) -> bool {
        let takes_over = self.runs() && !self.bell.has_failed.load(Relaxed);
        if takes_over && !self.bell.is_rung.swap(true, Relaxed) {
            self.bell.ask(|asked| asked.work = true);
        }
        takes_over
    }

    /// Another has done what was due: the thread can, too.
    pub(super) fn try_again(&self) {
        self.bell.has_failed.store(false, Relaxed);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Not waited for: the thread itself may be the last one to know the store.
        self.dismiss();
    }
}

impl Bell {
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock());
        self.rung.notify_all();
    }

    fn serve(&self, store: &Weak<Store>) {
        while self.wait() {
            self.is_rung.store(false, Relaxed);
            let Some(store) = store.upgrade() else { return };
            if store.pay_what_is_due().is_err() {
                // Who writes pays now, meets the error, and can say so.
                self.has_failed.store(true, Relaxed);
            }
        }
    }

    /// Sleeps until there is work; false to stop.
    fn wait(&self) -> bool {
        let mut asked = self.asked.lock();
        while !asked.work && !asked.stop {
            asked = self.rung.wait(asked);
        }
        asked.work = false;
        !asked.stop
    }
}
