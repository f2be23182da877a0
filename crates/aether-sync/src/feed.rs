//! A bounded queue between two threads.
//!
//! Both ends end with whoever holds them, also when that thread panics: who sends learns that nobody takes any more, who
//! takes gets what is left and then learns that nothing comes.

use crate::{Arc, Condvar, Mutex, Rank};
use std::collections::VecDeque;

struct Queue<T> {
    items: VecDeque<T>,
    /// Items that may wait.
    queued_max: usize,
    /// One of the ends is gone.
    ended: bool,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn end(&self) {
        self.queue.lock().ended = true;
        self.changed.notify_all();
    }
}

/// The end that items are put in at.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The end that items are taken out at, in the order they were put in.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// A queue in which at most `queued_max` items wait, at least one.
pub(crate) fn feed<T>(rank: Rank, queued_max: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Queue { items: VecDeque::new(), queued_max: queued_max.max(1), ended: false };
    let shared = Arc::new(Shared { queue: Mutex::new(rank, queue), changed: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts an item in; blocks while the queue is full. False if nobody will take it.
    pub(crate) fn send(&self, item: T) -> bool {
        let mut queue = self.0.queue.lock();
        while queue.items.len() >= queue.queued_max && !queue.ended {
            queue = self.0.changed.wait(queue);
        }
        if queue.ended {
            return false;
        }
        queue.items.push_back(item);
        self.0.changed.notify_all();
        true
    }
}

impl<T> Receiver<T> {
    /// Takes the next item; blocks while there is none. None once the sender is gone and all is taken.
    pub(crate) fn next(&self) -> Option<T> {
        let mut queue = self.0.queue.lock();
        while queue.items.is_empty() && !queue.ended {
            queue = self.0.changed.wait(queue);
        }
        let item = queue.items.pop_front();
        self.0.changed.notify_all();
        item
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}
