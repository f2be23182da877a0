//! What the users of a level list have told: the words are those of the spec, and who acts is the thread.

use crate::{Step, Trace};
use aether_trace::{Event, Log};

pub(crate) fn translate(logs: Vec<Log>) -> Trace {
    let tell = |log: Log| log.events.iter().map(|event| step(log.thread, event)).collect();
    Trace { logs: logs.into_iter().map(tell).collect() }
}

fn step(actor: u64, event: &Event) -> Step {
    let Event { action, values, begin, end } = event.clone();
    Step { action, actor, values, interval: (begin, end) }
}
