//! What the lock table has told, in the words of `tla/lock_manager/LockManager.tla`.
//!
//! Transactions there have numbers that rise with their age, as the engine's do; resources have any.

use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeSet;

pub(crate) fn translate(logs: &[Log]) -> Trace {
    let requests = || logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Request");
    let names = Names {
        txns: requests().map(|event| event.values[0]).collect(),
        resources: requests().map(|event| event.values[1]).collect(),
    };
    let tell = |log: &Log| log.events.iter().filter_map(|event| names.tell(event)).collect();
    Trace { logs: logs.iter().map(tell).collect() }
}

/// The engine's numbers, in order.
struct Names {
    txns: BTreeSet<u64>,
    resources: BTreeSet<u64>,
}

impl Names {
    fn tell(&self, event: &Event) -> Option<Step> {
        let values = match (event.action, &event.values[..]) {
            ("Request", [_, resource, rest @ ..]) => [&[place(&self.resources, *resource)], rest].concat(),
            ("Release" | "Timeout", [txn, waiting]) if self.txns.contains(txn) => vec![*waiting],
            _ => return None,
        };
        let (action, interval) = (event.action, (event.begin, event.end));
        Some(Step { action, actor: place(&self.txns, event.values[0]), values, interval })
    }
}

/// The how many-th it is.
fn place(all: &BTreeSet<u64>, one: u64) -> u64 {
    all.range(..=one).count() as u64
}
