//! What the users of a pool have told, in the words of `tla/frames/Frames.tla`.
//!
//! A thread is a reader, a writer, a loader and an evictor there, all with its number. Frames of pages that take no part do
//! not exist.

use super::{FRAMES, FRAMES_IN_USE};
use crate::step::named;
use crate::{Step, Trace};
use aether_trace::{Event, Log};

pub(crate) fn translate(logs: Vec<Log>) -> Trace {
    let tell = |log: Log| {
        let mut teller = Teller { actor: log.thread, reads: None, loads: (0, 0), steps: Vec::new() };
        log.events.iter().for_each(|event| teller.tell(event));
        teller.steps
    };
    Trace { logs: logs.into_iter().map(tell).collect() }
}

/// Tells what one thread did.
struct Teller {
    actor: u64,
    /// The page that it is reading.
    reads: Option<u64>,
    /// The page that it is loading, and the frame.
    loads: (u64, u64),
    steps: Vec<Step>,
}

impl Teller {
    fn tell(&mut self, event: &Event) {
        let values = &event.values;
        match event.action {
            "Start" => {
                self.reads = Some(values[0]);
                self.step(event, vec![values[0], frame(values[1].saturating_sub(1))]);
            }
            "Peek" | "Stray" | "Compare" | "Validate" if self.reads.is_some() => {
                self.step(event, values.clone())
            }
            "ReadLeft" | "ReadRight" | "Check" | "WriteLeft" | "WriteRight" => {
                self.step(event, values.clone())
            }
            "Repair" => self.step(event, vec![frame(values[1])]),
            "Use" => self.step(event, Vec::new()),
            "Translate" => self.translate(event, values[0], values[1].checked_sub(1).map_or(0, frame)),
            "Take" => {
                self.loads = (values[0], frame(values[1]));
                self.step(event, vec![values[0], frame(values[1])]);
            }
            "Load" => self.step(event, vec![values[1] - 1]),
            "Loaded" => {
                // Who has loaded a page knows where it is.
                let (page, frame) = self.loads;
                self.translate(event, page, frame);
                self.step(event, Vec::new());
            }
            "Latch" if values[1] == 0 => self.forget_find(),
            "Enter" | "GiveUp" | "Unlatch" | "Latch" => self.step(event, Vec::new()),
            "Cool" | "Touch" | "StartWriting" | "EndWriting" | "Seize" | "Evict" | "Spare" | "Free"
                if frame(values[0]) > 0 =>
            {
                self.step(event, vec![frame(values[0])]);
            }
            _ => {}
        }
        if matches!(event.action, "Use") || event.action == "Validate" && values[0] == 0 {
            self.reads = None;
        }
    }

    /// A look into the table: for a reader it is one also if nothing is there, a writer loads the page and then has found it.
    fn translate(&mut self, event: &Event, page: u64, frame: u64) {
        if self.reads.is_some() {
            self.step(&Event { action: named("Translate"), ..event.clone() }, vec![frame]);
        } else if frame > 0 {
            self.step(&Event { action: named("Find"), ..event.clone() }, vec![page, frame]);
        }
    }

    /// A frame that was not even latched was not looked for.
    fn forget_find(&mut self) {
        let find = self.steps.iter().rposition(|step| step.action == named("Find"));
        find.map(|at| self.steps.remove(at));
    }

    fn step(&mut self, event: &Event, values: Vec<u64>) {
        let (action, interval) = (event.action, (event.begin, event.end));
        self.steps.push(Step { action, actor: self.actor, values, interval });
    }
}

/// A frame in the spec; 0 for those that take no part.
fn frame(index: u64) -> u64 {
    (index + 1 + FRAMES_IN_USE).saturating_sub(FRAMES as u64)
}
