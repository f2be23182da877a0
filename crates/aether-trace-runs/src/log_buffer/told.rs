//! What a run of the log has told, in the words of `tla/log_buffer/LogBuffer.tla`.
//!
//! Units are eight bytes. The spec's positions start at the size of the ring, the log's after one block.

use crate::home::{BLOCK_BYTES, RING_BYTES, Segments};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};
use std::collections::BTreeMap;

const UNIT_BYTES: u64 = 8;

/// A beginning of an incarnation: its ticket, and what the log was cut back to.
type Begun = (u64, u64);

pub(crate) fn translate(logs: Vec<Log>, segments: &Segments) -> Trace {
    let begun = begun(&logs);
    let mut threads: BTreeMap<(u64, usize), Teller<'_>> = BTreeMap::new();
    for (index, log) in logs.into_iter().enumerate() {
        // Writers of the same number live one after the other; those without one may live side by side.
        let key = (log.thread, if log.thread == 0 { index } else { 0 });
        let teller = threads.entry(key).or_insert_with(|| Teller {
            actor: log.thread,
            segments,
            begun: &begun,
            group_end: 0,
            steps: Vec::new(),
        });
        log.events.iter().for_each(|event| teller.tell(event));
    }
    Trace { logs: threads.into_values().map(|teller| teller.steps).collect() }
}

fn begun(logs: &[Log]) -> Vec<Begun> {
    let events = logs.iter().flat_map(|log| &log.events).filter(|event| event.action == "Recover");
    let mut begun: Vec<_> = events.map(|event| (event.begin, event.values[1])).collect();
    begun.sort_unstable();
    begun
}

/// Tells what one thread did.
struct Teller<'a> {
    actor: u64,
    segments: &'a Segments,
    begun: &'a [Begun],
    /// Where the group ends that it flushes.
    group_end: u64,
    steps: Vec<Step>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        match event.action {
            "Credit" => self.step(event, vec![values[1] / UNIT_BYTES]),
            "Reserve" | "Store" | "Fill" | "CopyOut" => {
                self.step(event, vec![unit(values[1]), unit(values[2])]);
            }
            "FlushBegin" => {
                self.group_end = values[2];
                self.step(event, vec![unit(values[1]), unit(values[2]), values[3] / UNIT_BYTES]);
            }
            "WriteOut" | "Sync" => self.disk(event),
            "Publish" => self.step(event, vec![unit(values[1])]),
            "Ack" => self.step(event, vec![unit(values[0])]),
            "Die" | "PowerCut" => self.crash(event),
            "Recover" => self.step(event, vec![unit(values[1]), unit(values[2])]),
            "GoOn" => self.step(event, Vec::new()),
            _ => {}
        }
    }

    /// A group that lies in two files is written when its last part is.
    fn disk(&mut self, event: &Event) {
        let [file, offset, len] = event.values[..] else { return };
        let Some((_, first)) = self.segments.get(&file).filter(|_| offset >= BLOCK_BYTES) else { return };
        let end = first + offset - BLOCK_BYTES + len;
        if end >= self.group_end {
            self.step(event, vec![unit(end)]);
        }
    }

    /// How much a crash has left is known when the log is opened. One in the middle of an opening takes no more away, and
    /// of what the last one has left nobody knows.
    fn crash(&mut self, event: &Event) {
        let crash = self.begun.partition_point(|(ticket, _)| *ticket < event.begin);
        let is_again = |steps: &[Step]| steps.last().is_some_and(|step| step.action == named("Crash"));
        if let Some((_, cut)) = self.begun.get(crash).filter(|_| !is_again(&self.steps)) {
            let crash = Event { action: named("Crash"), ..event.clone() };
            self.step(&crash, vec![unit(*cut)]);
        }
    }

    fn step(&mut self, event: &Event, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor: self.actor, values, interval });
    }
}

/// A position in the spec. A log that is new was cut back to nothing, which is where it begins.
fn unit(position: u64) -> u64 {
    (position.max(BLOCK_BYTES) - BLOCK_BYTES + RING_BYTES) / UNIT_BYTES
}
