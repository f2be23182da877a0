//! Runs of one log stream, for `tla/log_buffer`: writers append records and wait for some of them; the power goes, or
//! the process dies, and the log goes on.

mod told;

use crate::home::{Home, Segments};
use crate::{Dice, Trace, stage};
use aether_sync::Arc;
use aether_trace::{act, take};
use aether_types::{Lv, Result, StreamId};
use aether_wal::{FIRST_KIND, Wal};

const STREAM: StreamId = StreamId::new(0);

struct Life<'a> {
    home: &'a Home,
    seed: u64,
    writers: u64,
    commits: u64,
}

/// A run and what it told.
pub fn trace(seed: u64) -> Trace {
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let mut home = Home::create(seed);
    let (writers, lives) = (1 + dice.below(4), 1 + dice.below(4));
    let mut segments = Segments::new();
    for number in 0..lives {
        let most = if dice.once_in(3) { 40 } else { 12 };
        let commits = 2 + dice.below(most);
        let life = Life { home: &home, seed: dice.next(), writers, commits };
        // An open that a power cut has ended counts too.
        let _ = life.live(number == 0);
        segments.extend(home.segments());
        home.crash(&mut dice);
    }
    told::translate(take(), &segments)
}

impl Life<'_> {
    fn live(&self, is_first: bool) -> Result<()> {
        let mut dice = Dice::new(self.seed, 1);
        let cut = self.home.sim.op_count() + 1 + dice.below(self.commits * self.writers + 12);
        if !is_first {
            self.home.sim.cut_power_at(cut);
        }
        let wal = self.home.open(1, self.seed.is_multiple_of(2))?.1;
        wal.start()?;
        if is_first && !dice.once_in(3) {
            self.home
                .sim
                .cut_power_at(self.home.sim.op_count() + dice.below(self.commits * self.writers + 1));
        }
        self.work(&wal);
        if dice.once_in(4) {
            let ends = wal.close()?;
            self.home.state.lock().clean_end = Some(ends);
        }
        Ok(())
    }

    fn work(&self, wal: &Arc<Wal>) {
        let threads = (1..=self.writers).map(|number| {
            let (wal, dice, commits) = (wal.clone(), Dice::new(self.seed, 10 + number), self.commits);
            stage::worker(number, move || {
                // The power cut ends it.
                let _ = write(&wal, dice, commits);
            })
        });
        stage::join(threads);
    }
}

/// Appends records, of which it waits for some.
fn write(wal: &Wal, mut dice: Dice, commits: u64) -> Result<()> {
    // Of some, hardly anyone waits: then the ring runs full.
    let (waits, large) = if dice.once_in(4) { (40, 2) } else { (2, 8) };
    for _ in 0..commits {
        let most = if dice.once_in(large) { 8000 } else { 200 };
        let body = vec![1; dice.below(most) as usize];
        let credit = wal.reserve(STREAM, body.len())?;
        let appended = wal.append(credit, FIRST_KIND, &Lv::ZERO, &body);
        if dice.once_in(waits) {
            wal.wait_durable(&appended.lv)?;
        } else {
            act("GoOn", || (), |()| []);
        }
    }
    Ok(())
}
