//! The page provider: a thread that keeps frames free, so that whoever loads a page finds one.

use crate::pool::Pool;
use crate::rank;
use aether_sync::{Arc, Condvar, Mutex, Weak, thread};
use aether_types::Result;
use std::time::Duration;

#[derive(Default, Clone, Copy)]
struct Orders {
    work: bool,
    stop: bool,
}

/// Wakes and stops the provider thread.
pub(crate) struct Provider {
    orders: Mutex<Orders>,
    order: Condvar,
}

impl Provider {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { orders: Mutex::new(rank::PROVIDER, Orders::default()), order: Condvar::new() })
    }

    /// Starts the thread, if the pool is to have it.
    pub(crate) fn start(self: &Arc<Self>, pool: &Arc<Pool>) -> Result<()> {
        if pool.config().enable_page_provider {
            let (this, pool) = (self.clone(), Arc::downgrade(pool));
            thread::try_spawn_batch("aether-pages", move || this.run(&pool))?;
        }
        Ok(())
    }

    /// Never blocks for long: the lock is held for a few instructions.
    pub(crate) fn wake(&self) {
        if let Some(mut orders) = self.orders.try_lock() {
            orders.work = true;
            self.order.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.orders.lock().stop = true;
        self.order.notify_all();
    }

    fn run(&self, pool: &Weak<Pool>) {
        while self.wait() {
            let Some(pool) = pool.upgrade() else { return };
            pool.provide();
        }
    }

    /// Sleeps until there is work; false to stop.
    fn wait(&self) -> bool {
        let mut orders = self.orders.lock();
        if !orders.work && !orders.stop {
            (orders, _) = self.order.wait_for(orders, Duration::from_millis(100));
        }
        orders.work = false;
        !orders.stop
    }
}

impl Pool {
    /// Frees frames up to the wanted share; gives up when a full turn brings nothing.
    fn provide(&self) {
        let turn = self.config.num_frames.div_ceil(crate::clock::STEP);
        let mut idle = 0;
        while self.free.count() < self.free_wanted() && idle <= 2 * turn {
            let step = self.clock_step();
            let wrote = if step.dirty > 0 { self.write_back_cool().unwrap_or(0) } else { 0 };
            idle = if step.evicted + wrote == 0 { idle + 1 } else { 0 };
        }
    }
}
