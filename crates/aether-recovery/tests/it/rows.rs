//! Rows in memory: what the log keeps of them, and what checkpoints and whoever has them agree on.

use crate::world::{HOME, MTR_BYTES, World, config, stream};
use aether_recovery::wal::buffer::page::node::Row;
use aether_recovery::{Advance, Opening, Participant, RowChange, RowOp, RowPart, StripePlace};
use aether_recovery::{first_psn, next_psn, psn_life, stripe_of};
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{ErrorKind, Lsn, Lv, Psn, Result, StreamId};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

const TABLE: u32 = 7;

/// A table: each row with the number of its last change, and from where on the log is needed for it.
struct Table(Mutex<State>);

#[derive(Default)]
struct State {
    rows: BTreeMap<Vec<u8>, (Psn, Vec<u8>)>,
    dirty: Option<(StreamId, Lsn)>,
    /// What is answered when the table is to let log go; all is let go if nothing is said.
    answers: VecDeque<Advance>,
    asked: usize,
}

impl Table {
    fn new(answers: impl IntoIterator<Item = Advance>) -> Arc<Self> {
        let state = State { answers: answers.into_iter().collect(), ..State::default() };
        Arc::new(Self(Mutex::new(Rank::new(900, "test"), state)))
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().rows.get(key).map(|(_, value)| value.clone())
    }
}

impl Participant for Table {
    fn name(&self) -> &'static str {
        "test"
    }

    fn redo(&self, part: &RowPart<'_>) -> Result<bool> {
        let mut state = self.0.lock();
        for op in &part.ops {
            let RowOp::Set { key, row } = op else { continue };
            let known = state.rows.get(*key).map(|(psn, _)| *psn);
            if known < Some(part.place.psn) {
                state.rows.insert(key.to_vec(), (part.place.psn, row.value.to_vec()));
            }
        }
        state.dirty.get_or_insert((part.stream, part.lsn));
        Ok(part.place.table == TABLE)
    }

    fn floor(&self, start: &mut Lv) {
        if let Some((stream, lsn)) = self.0.lock().dirty.filter(|(stream, lsn)| *lsn < start.get(*stream)) {
            start.set(stream, lsn);
        }
    }

    fn advance(&self, _: &Lv) -> Result<Advance> {
        let mut state = self.0.lock();
        state.asked += 1;
        let answer = state.answers.pop_front().unwrap_or(Advance::Reached);
        if answer == Advance::Reached {
            state.dirty = None;
        }
        Ok(answer)
    }

    fn restart_bytes(&self) -> u64 {
        1234
    }
}

struct Change<'t> {
    table: &'t Table,
    place: StripePlace,
    key: &'static [u8],
    value: &'static [u8],
    panics: bool,
}

impl RowChange for Change<'_> {
    fn place(&self) -> StripePlace {
        self.place
    }

    fn lv(&self) -> Lv {
        Lv::ZERO
    }

    fn op(&self) -> RowOp<'_> {
        RowOp::Set { key: self.key, row: Row::bare(self.value) }
    }

    fn mark_dirty(&mut self, stream: StreamId, position: Lsn) {
        self.table.0.lock().dirty.get_or_insert((stream, position));
    }

    fn apply(&mut self, _: &Lv) {
        assert!(!self.panics, "as a table that is wrong");
        let row = (self.place.psn, self.value.to_vec());
        self.table.0.lock().rows.insert(self.key.to_vec(), row);
    }
}

/// Change `count` of a row's stripe.
fn change<'t>(world: &World, table: &'t Table, count: u64, value: &'static [u8]) -> Change<'t> {
    let (key, life) = (b"key", world.store.incarnation());
    let psn = (0..count).fold(first_psn(life), |psn, _| next_psn(psn, life).unwrap());
    let place = StripePlace { table: TABLE, stripe: stripe_of(key), psn };
    Change { table, place, key, value, panics: false }
}

fn set(world: &World, table: &Table, count: u64, value: &'static [u8]) {
    world.store.log().unwrap().start().unwrap();
    let mut change = change(world, table, count, value);
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    mtr.change_row(&mut change);
    assert!(!mtr.is_empty());
    mtr.commit();
}

fn open(of: &World, table: &Arc<Table>) -> World {
    World::open_with(&of.sim.kill_image(), config(1, 1), vec![table.clone()]).unwrap()
}

#[test]
fn rows_are_redone_and_only_by_who_has_the_table() {
    let table = Table::new([]);
    let world = World::open_with(&aether_sim::Sim::new(1), config(1, 1), vec![table.clone()]).unwrap();
    set(&world, &table, 1, b"one");
    set(&world, &table, 2, b"two");
    world.sync();
    let other = Table::new([]);
    let again = open(&world, &other);
    assert_eq!(other.value(b"key").unwrap(), b"two");
    assert_eq!((again.report.rows_redone, again.report.groups), (2, 2));
    assert_eq!(psn_life(other.0.lock().rows[&b"key"[..]].0), world.store.incarnation());
    let nobody = Opening::begin(world.sim.kill_image().env(), Path::new(HOME), config(1, 1), true).unwrap();
    let error = nobody.scan().unwrap().redo().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
}

/// Both `checkpoint` and `close` have the table let go of the log, however often it must be asked.
#[test]
fn a_checkpoint_has_the_table_let_log_go() {
    use Advance::*;
    let table = Table::new([Again, Busy, Again, Reached]);
    let world = World::open_with(&aether_sim::Sim::new(1), config(1, 1), vec![table.clone()]).unwrap();
    set(&world, &table, 1, b"one");
    world.store.checkpoint().unwrap();
    assert_eq!(table.0.lock().asked, 4);
    let stats = world.store.checkpoint_stats();
    assert!(stats.log_bytes <= 4096 && stats.held_back == 0 && stats.image_bytes == 1234, "{stats:?}");
    assert_eq!(open(&world, &Table::new([])).report.rows_redone, 0);
    set(&world, &table, 2, b"two");
    world.store.close().unwrap();
    assert_eq!(table.0.lock().asked, 5);
    let again = open(&world, &Table::new([]));
    assert_eq!((again.report.rows_redone, again.report.clean), (0, true));
}

#[test]
fn log_that_a_table_cannot_let_go_is_kept() {
    let table = Table::new([Advance::Cannot; 2]);
    let world = World::open_with(&aether_sim::Sim::new(1), config(1, 1), vec![table.clone()]).unwrap();
    set(&world, &table, 1, b"one");
    world.store.checkpoint().unwrap();
    assert_eq!(world.store.checkpoint_stats().held_back, 1);
    let again = Table::new([]);
    open(&world, &again);
    assert_eq!(again.value(b"key").unwrap(), b"one");
    world.store.close().unwrap();
    let again = Table::new([]);
    let reopened = open(&world, &again);
    assert_eq!((again.value(b"key").unwrap(), reopened.report.clean), (b"one".to_vec(), false));
}

/// The log has the change, and the rows have it in part: nobody may go on with them.
#[test]
fn a_panic_while_a_group_is_applied_ends_writing() {
    let table = Table::new([]);
    let world = World::open_with(&aether_sim::Sim::new(1), config(1, 1), vec![table.clone()]).unwrap();
    set(&world, &table, 1, b"one");
    let attempt = std::panic::AssertUnwindSafe(|| {
        let mut change = Change { panics: true, ..change(&world, &table, 2, b"two") };
        let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
        mtr.change_row(&mut change);
        mtr.commit();
    });
    assert!(std::panic::catch_unwind(attempt).is_err());
    assert_eq!(world.store.check_healthy().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(world.store.mtr(stream(0), MTR_BYTES).map(drop).unwrap_err().kind(), ErrorKind::Poisoned);
}
