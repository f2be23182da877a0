//! From an opening of the store to the crash after it, and what each crash has left.

use aether_trace::{Event, Log};

/// One life.
pub(super) struct Life {
    /// The ticket of its beginning.
    opened: u64,
    /// The crash, and what came of it.
    pub(super) end: Option<End>,
}

/// A crash, and the opening after it.
pub(super) struct End {
    pub(super) crash: (u64, u64),
    pub(super) restart: (u64, u64),
    /// Where the log was cut.
    pub(super) cut: u64,
}

/// All lives of a run, oldest first.
pub(super) struct Lives(pub(super) Vec<Life>);

impl Lives {
    pub(super) fn new(logs: &[Log]) -> Self {
        let crashes = sorted(logs, &["Crash", "PowerCut", "Die"]);
        let openings = sorted(logs, &["Recover"]);
        let cuts = sorted(logs, &["CutBack"]);
        let mut lives = vec![Life { opened: 0, end: None }];
        while let Some(life) = lives.last_mut() {
            let Some(crash) = crashes.iter().find(|crash| crash.begin > life.opened) else { break };
            let Some(opening) = openings.iter().find(|opening| opening.begin > crash.begin) else {
                // Nobody has seen what it left.
                let (crash, never) = ((crash.begin, crash.end), (u64::MAX, u64::MAX));
                life.end = Some(End { crash, restart: never, cut: 0 });
                break;
            };
            let (crash, restart) = ((crash.begin, crash.end), (opening.begin, opening.end));
            // An opening that was cut short before may have cut the log back already, and begun above that.
            let between = cuts.iter().filter(|cut| crash.0 < cut.begin && cut.begin < opening.begin);
            let cut = between.map(|cut| cut.values[2]).fold(opening.values[1], u64::min);
            life.end = Some(End { crash, restart, cut });
            lives.push(Life { opened: opening.begin, end: None });
        }
        Self(lives)
    }

    /// The life in which something began; none if that was in the middle of a crash.
    pub(super) fn of(&self, ticket: u64) -> Option<usize> {
        let index = self.0.iter().rposition(|life| life.opened <= ticket)?;
        self.0[index].end.as_ref().is_none_or(|end| ticket < end.crash.0).then_some(index)
    }

    /// Was a record that ends at `end`, appended in a life that is over, left by the crash?
    pub(super) fn is_left(&self, ticket: u64, end: u64) -> bool {
        let life = self.of(ticket).map(|index| &self.0[index]);
        life.is_some_and(|life| life.end.as_ref().is_none_or(|crash| end <= crash.cut))
    }
}

fn sorted<'a>(logs: &'a [Log], actions: &[&str]) -> Vec<&'a Event> {
    let events = logs.iter().flat_map(|log| &log.events);
    let mut found: Vec<_> = events.filter(|event| actions.contains(&event.action)).collect();
    found.sort_by_key(|event| event.begin);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &'static str, values: &[u64], begin: u64) -> Event {
        Event { action, values: values.to_vec(), begin, end: begin + 1 }
    }

    #[test]
    fn a_life_ends_at_the_first_crash_and_begins_with_what_it_left() {
        let events = vec![
            event("Recover", &[0, 10, 20], 1),
            event("Crash", &[], 30),
            event("CutBack", &[0, 180, 150], 35),
            event("PowerCut", &[], 40),
            event("Recover", &[0, 190, 200], 50),
            event("Die", &[], 90),
        ];
        let lives = Lives::new(&[Log { thread: 0, events }]);
        let ends: Vec<_> =
            lives.0.iter().map(|life| life.end.as_ref().map(|end| (end.crash, end.cut))).collect();
        assert_eq!(ends, [Some(((30, 31), 150)), Some(((90, 91), 0))]);
        assert_eq!([20, 35, 60, 95].map(|ticket| lives.of(ticket)), [Some(0), None, Some(1), None]);
        assert!(lives.is_left(20, 150) && !lives.is_left(20, 151) && !lives.is_left(60, 170));
    }
}
