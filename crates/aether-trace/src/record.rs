//! The logs of all threads.

#[cfg(aether_trace)]
use super::Event;
use super::Log;
#[cfg(aether_trace)]
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// What a schedule checker, or whoever wants many schedules, puts around events.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Tells threads apart that share one of the system's; `None`: they share none.
    pub identity: Option<fn() -> u64>,
    /// Called before and after each ticket is drawn.
    pub perturb: fn(),
}

/// Puts `hooks` around the events of this process; the first call counts.
pub fn install(hooks: Hooks) {
    #[cfg(aether_trace)]
    {
        let _ = HOOKS.set(hooks);
    }
    #[cfg(not(aether_trace))]
    {
        let _ = hooks;
    }
}

/// Gives the log of the calling thread a number. Threads with the same number one after the other are one to a spec.
pub fn name_thread(number: u64) {
    #[cfg(aether_trace)]
    {
        sound(&own()).thread = number;
    }
    #[cfg(not(aether_trace))]
    {
        let _ = number;
    }
}

/// Takes the logs of all threads, those that began earlier first; empty ones are left out. Threads that go on begin anew.
pub fn take() -> Vec<Log> {
    #[cfg(aether_trace)]
    {
        let mut all = sound(&LOGS);
        // Under a schedule checker the next schedule uses the same identities.
        sound(&SHARED).clear();
        let taken = all.iter().map(|log| {
            let mut log = sound(log);
            Log { thread: log.thread, events: std::mem::take(&mut log.events) }
        });
        let taken = taken.filter(|log| !log.events.is_empty()).collect();
        all.retain(|log| Arc::strong_count(log) > 1);
        taken
    }
    #[cfg(not(aether_trace))]
    {
        Vec::new()
    }
}

#[cfg(aether_trace)]
static TICKETS: AtomicU64 = AtomicU64::new(1);
#[cfg(aether_trace)]
static HOOKS: OnceLock<Hooks> = OnceLock::new();
/// Every log, in the order in which they began.
#[cfg(aether_trace)]
static LOGS: Mutex<Vec<Arc<Mutex<Log>>>> = Mutex::new(Vec::new());
/// The logs of threads that share one of the system's.
#[cfg(aether_trace)]
static SHARED: Mutex<BTreeMap<u64, Arc<Mutex<Log>>>> = Mutex::new(BTreeMap::new());

#[cfg(aether_trace)]
thread_local! {
    static OWN: RefCell<Option<Arc<Mutex<Log>>>> = const { RefCell::new(None) };
}

#[cfg(aether_trace)]
pub(crate) fn ticket() -> u64 {
    let hooks = HOOKS.get();
    if let Some(hooks) = hooks {
        (hooks.perturb)();
    }
    let ticket = TICKETS.fetch_add(1, Ordering::SeqCst);
    if let Some(hooks) = hooks {
        (hooks.perturb)();
    }
    ticket
}

#[cfg(aether_trace)]
pub(crate) fn push(event: Event) {
    sound(&own()).events.push(event);
}

/// The calling thread's.
#[cfg(aether_trace)]
fn own() -> Arc<Mutex<Log>> {
    match HOOKS.get().and_then(|hooks| hooks.identity) {
        Some(identity) => sound(&SHARED).entry(identity()).or_insert_with(new).clone(),
        None => OWN.with(|own| own.borrow_mut().get_or_insert_with(new).clone()),
    }
}

#[cfg(aether_trace)]
fn new() -> Arc<Mutex<Log>> {
    let log = Arc::new(Mutex::new(Log { thread: 0, events: Vec::new() }));
    sound(&LOGS).push(log.clone());
    log
}

/// A thread that panicked left whole events behind.
#[cfg(aether_trace)]
fn sound<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
