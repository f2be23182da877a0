//! loom: commits are published and become durable while others ask how far that has come. Run by `cargo xtask loom -p aether-txn`.
#![cfg(loom)]

use aether_sync::Arc;
use aether_txn::Outcome;
use aether_txn::publication::{Publication, TxnState};
use aether_txn::recovery::wal::buffer::Budget;
use aether_types::{Lsn, Lv, StreamId, Timestamp, TxnId};
use loom::sync::atomic::{AtomicU64, Ordering::*};
use loom::thread;

const COMMITS: usize = 2;

struct World {
    publication: Publication,
    states: [Arc<TxnState>; COMMITS],
    /// The log: positions claimed and positions durable.
    claimed: AtomicU64,
    durable: AtomicU64,
}

fn world() -> Arc<World> {
    Arc::new(World {
        publication: Publication::new(Timestamp::new(10), Budget::unlimited().account("validation")),
        states: core::array::from_fn(|number| TxnState::new(TxnId::new(number as u64 + 1))),
        claimed: AtomicU64::new(0),
        durable: AtomicU64::new(0),
    })
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn vector(position: u64) -> Lv {
    Lv::at(StreamId::new(0), Lsn::new(position))
}

impl World {
    fn commit(&self, number: usize) {
        let at = self.publication.draw(&self.states[number]);
        let position = self.claimed.fetch_add(1, AcqRel) + 1;
        self.states[number].publish_committed(at, vector(position));
    }

    fn flush(&self) {
        self.durable.fetch_max(self.claimed.load(Acquire), AcqRel);
    }

    fn advance(&self) -> Timestamp {
        let durable = vector(self.durable.load(Acquire));
        self.publication.advance(|lv| durable.covers(lv));
        self.publication.known_durable()
    }

    /// Nothing at or below `at` may be lost in a crash now, and nothing may still come to lie there (T3).
    fn holds_at(&self, at: Timestamp) {
        for state in &self.states {
            match state.outcome() {
                Outcome::Committed(committed) if committed <= at => {
                    assert!(
                        vector(self.durable.load(Acquire)).covers(&state.lv()),
                        "shown before it is durable"
                    );
                }
                Outcome::Committing(bound) => assert!(bound >= at, "a commit may still slip below"),
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_at_or_below_durable_ts_is_durable() {
    check(|| {
        let world = world();
        let committers: Vec<_> = (0..COMMITS)
            .map(|number| {
                let world = world.clone();
                thread::spawn(move || {
                    world.commit(number);
                    if number == 0 {
                        world.flush();
                    }
                })
            })
            .collect();
        let first = world.advance();
        world.holds_at(first);
        let second = world.advance();
        assert!(second >= first, "durable_ts went back");
        world.holds_at(second);
        committers.into_iter().for_each(|committer| committer.join().unwrap());
        world.flush();
        assert_eq!(world.advance(), Timestamp::new(10 + COMMITS as u64), "all is durable");
    });
}
