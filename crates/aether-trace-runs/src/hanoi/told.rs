//! What a schedule has told, in the words of the spec: there each level is paid on its own, also those that need nothing, and what is saved
//! is spent unit by unit.

use super::LEVELS;
use crate::{Step, Trace};
use aether_trace::{Event, Log};

pub(super) fn translate(logs: Vec<Log>) -> Trace {
    let tell = |log: Log| log.events.iter().flat_map(|event| steps(log.thread, event)).collect();
    Trace { logs: logs.into_iter().map(tell).collect() }
}

fn steps(actor: u64, event: &Event) -> Vec<Step> {
    let Event { action, ref values, begin, end } = *event;
    let step = |action, values| Step { action, actor, values, interval: (begin, end) };
    match (action, &values[..]) {
        ("Flush" | "Start" | "Arrive", values) => vec![step(action, values.to_vec())],
        ("Round", &[is_bought, idle, before, after]) => {
            let levels = (0..LEVELS as u64).filter(|level| idle >> level & 1 == 1);
            let saving = after.saturating_sub(before) as usize;
            let pays = levels.enumerate().map(|(at, level)| {
                let saves = u64::from(at < saving);
                step("Pay", vec![level, saves, 0])
            });
            [step(action, vec![before, is_bought])].into_iter().chain(pays).collect()
        }
        ("Pay", &[level, bytes]) => vec![step(action, vec![level, 0, bytes])],
        ("Spend", &[level, bytes]) => (0..bytes).map(|_| step(action, vec![level])).collect(),
        // The level list's own, of which another spec knows.
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(action: &'static str, values: &[u64]) -> Vec<(&'static str, Vec<u64>)> {
        let event = Event { action, values: values.to_vec(), begin: 1, end: 2 };
        steps(1, &event).into_iter().map(|step| (step.action, step.values)).collect()
    }

    #[test]
    fn a_round_pays_the_levels_that_need_nothing() {
        let wanted = [("Round", vec![2, 1]), ("Pay", vec![1, 1, 0]), ("Pay", vec![3, 0, 0])];
        assert_eq!(told("Round", &[1, 0b01010, 2, 3]), wanted);
        assert_eq!(told("Spend", &[4, 2]), [("Spend", vec![4]), ("Spend", vec![4])]);
        assert_eq!(told("LoadWord", &[4]), []);
    }
}
