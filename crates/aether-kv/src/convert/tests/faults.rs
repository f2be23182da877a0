//! Every call of a conversion with writes in between fails once, and disks fill up: an error of the right kind, the old index or the new one,
//! whole, and where the log is not to blame the conversion goes through when it is called again. After a restart nothing is left over of the
//! other index: no leaves, no files, no pages that nobody refers to.

use super::crash::live;
use super::world::{Case, Dice, History, World};
use crate::catalog::DEFAULT_NAME;
use crate::{IndexKind, Result};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::ErrorKind;

/// How lives with a fault in them ended.
#[derive(Debug, Default)]
struct Tally {
    /// The conversion went through the second time.
    again: u64,
    /// A transaction under way could not be rolled back: the store must be opened again.
    stuck: u64,
    /// The store stopped writing.
    ended: u64,
}

/// A fault that strikes call `nth`, and the error that is to be told.
type Trouble = (fn(u64) -> Fault, ErrorKind);

const TROUBLES: [Trouble; 9] = [
    (|nth| fail(nth, OpKind::Any, Errno::Eio), ErrorKind::Io),
    (|nth| fail(nth, OpKind::Any, Errno::Enospc), ErrorKind::Full),
    (|nth| fail(nth, OpKind::Open, Errno::Eio), ErrorKind::Io),
    (|nth| fail(nth, OpKind::Open, Errno::Emfile), ErrorKind::Io),
    (|nth| fail(nth, OpKind::Open, Errno::Enospc), ErrorKind::Full),
    (|nth| fail(nth, OpKind::List, Errno::Eio), ErrorKind::Io),
    (|nth| Fault::FailRead { nth }, ErrorKind::Io),
    (|nth| Fault::ShortWrite { nth }, ErrorKind::Io),
    (|nth| Fault::FailSyncDropsDirty { nth }, ErrorKind::Io),
];

fn fail(nth: u64, kind: OpKind, error: Errno) -> Fault {
    Fault::FailOp { nth, kind, error, sticky: false }
}

/// A life in which the keyspace is converted, until the fault strikes.
struct Life {
    sim: Sim,
    world: World,
    history: History,
    dice: Dice,
}

impl Life {
    fn begin(machine: &(Sim, History), case: Case) -> Self {
        let (sim, history) = (machine.0.fork(), machine.1.clone());
        let world = World::of(case.open(&sim).unwrap(), case).unwrap();
        Self { sim, world, history, dice: Dice(case.streams as u64 + 21) }
    }

    fn convert(&mut self) -> Result<()> {
        self.world.convert(&mut self.history, &mut self.dice)
    }

    /// The keyspace is whole, and the conversion goes through when it is called again. Where a writer's transaction could not be rolled back,
    /// for the log had no room, it is told so instead.
    fn go_on(&mut self, case: Case, outcome: &Result<()>, tally: &mut Tally) {
        if outcome.is_err() {
            // What has failed has changed nothing.
            self.history.kinds = vec![case.from];
        }
        self.look();
        match self.convert() {
            Ok(()) => tally.again += 1,
            Err(error) if error.kind() == ErrorKind::Poisoned => tally.stuck += 1,
            Err(error) => panic!("again, after {outcome:?}: {error}"),
        }
        self.look();
    }

    fn look(&mut self) {
        self.world.settle().unwrap();
        self.world.judge(&mut self.history).unwrap();
    }

    /// Judges what is there after `outcome`, now and after a restart of either kind.
    fn judge(mut self, case: Case, outcome: &Result<()>, pages_max: u64, tally: &mut Tally) {
        self.sim.heal();
        match self.world.env.0.store.check_healthy() {
            Ok(()) => self.go_on(case, outcome, tally),
            Err(_) => tally.ended += 1,
        }
        for image in [self.sim.kill_image(), self.sim.crash_image(CrashPolicy::LoseAll)] {
            let mut history = self.history.clone();
            live(&image, case, &mut history, 5).unwrap();
            let spare = spare_pages(&image, case);
            assert!(
                spare <= pages_max || case.loses_pages(),
                "{spare} pages are in use that nobody refers to, {pages_max} were, after {outcome:?}"
            );
        }
    }
}

impl Case {
    /// A flush frees the extents of what it has written to files; a crash before that loses their space, and not that of the conversion.
    fn loses_pages(self) -> bool {
        [self.from, self.to].contains(&IndexKind::LSM)
    }
}

/// A machine with values of many pages beside those that its writers replace.
fn machine(case: Case) -> (Sim, History) {
    let (sim, mut history) = case.machine();
    World::of(case.open(&sim).unwrap(), case).unwrap().put_large(&mut history).unwrap();
    (sim, history)
}

/// Pages in use that are no keyspace's.
fn spare_pages(sim: &Sim, case: Case) -> u64 {
    let env = case.open(sim).unwrap();
    env.0.txns.collect().unwrap();
    let stat = env.stat().unwrap();
    stat.pages - stat.free_pages - env.verify().unwrap().pages
}

/// How many there are where nothing fails: undo pages and maps, and a few that differ from life to life.
fn spare_pages_max(machine: &(Sim, History), case: Case) -> u64 {
    let mut life = Life::begin(machine, case);
    life.convert().unwrap();
    let image = life.sim.kill_image();
    live(&image, case, &mut life.history, 5).unwrap();
    spare_pages(&image, case) + 2
}

fn fail_everywhere(case: Case) {
    let (machine, mut tally) = (machine(case), Tally::default());
    let pages_max = spare_pages_max(&machine, case);
    for (fault, wanted) in TROUBLES {
        for nth in 0.. {
            let mut life = Life::begin(&machine, case);
            life.sim.inject(fault(nth));
            let outcome = life.convert();
            if life.sim.strikes().is_empty() {
                outcome.unwrap();
                break;
            }
            if let Err(failed) = &outcome {
                let known = [wanted, ErrorKind::Poisoned, ErrorKind::InDoubt];
                assert!(known.contains(&failed.kind()), "{:?}: {failed}", fault(nth));
            }
            life.judge(case, &outcome, pages_max, &mut tally);
        }
    }
    assert!(tally.again > 10 && tally.ended > 10 && tally.stuck < 10, "{tally:?}");
}

fn fill_up(case: Case) {
    let (machine, mut tally) = (machine(case), Tally::default());
    let pages_max = spare_pages_max(&machine, case);
    for bytes_left in (0..).step_by(4096) {
        let mut life = Life::begin(&machine, case);
        life.sim.inject(Fault::DiskFull { bytes_left });
        let outcome = life.convert();
        let is_enough = outcome.is_ok();
        if let Err(failed) = &outcome {
            assert_eq!(failed.kind(), ErrorKind::Full, "{failed}");
        }
        life.judge(case, &outcome, pages_max, &mut tally);
        if is_enough {
            break;
        }
    }
    // A log that could not be written takes no more; the rest goes on.
    assert!(tally.again > 2 && tally.stuck == 0, "{tally:?}");
}

fn case(name: &'static str, from: IndexKind, to: IndexKind) -> Case {
    Case { name, streams: 1, from, to, large_bytes: 5000, segment_bytes: 128 << 10 }
}

#[test]
fn every_call_may_fail_while_a_tree_becomes_an_lsm_tree() {
    fail_everywhere(case("rows", IndexKind::BTREE, IndexKind::LSM));
}

#[test]
fn every_call_may_fail_while_an_lsm_tree_becomes_a_skiplist() {
    fail_everywhere(case("rows", IndexKind::LSM, IndexKind::SKIPLIST));
}

#[test]
fn every_call_may_fail_while_a_skiplist_becomes_a_radix_tree() {
    fail_everywhere(case("rows", IndexKind::SKIPLIST, IndexKind::RAX));
}

#[test]
fn every_call_may_fail_while_the_default_keyspace_is_converted() {
    fail_everywhere(case(DEFAULT_NAME, IndexKind::BTREE, IndexKind::RAX));
}

#[test]
fn a_full_disk_is_told_and_the_conversion_goes_through_once_there_is_room() {
    // The files of runs find no room before the log does. Of page-based kinds only the log writes during a conversion.
    fill_up(Case { segment_bytes: 1 << 20, ..case("rows", IndexKind::BTREE, IndexKind::LSM) });
}
