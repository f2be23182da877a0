//! What others can see of a transaction, and the table in which they look it up.

use crate::lock::LockOwner;
use crate::rank;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, OnceLock, RwLock};
use aether_types::{Lv, Timestamp, TxnId};
use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;

/// A transaction as others see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Running.
    Active,
    /// Its commit is being published; its timestamp will be above this bound.
    Committing(Timestamp),
    /// Committed at this timestamp.
    Committed(Timestamp),
    /// Rolling back, or rolled back.
    Aborted,
}

const TAG_SHIFT: u32 = 62;
const ACTIVE: u64 = 0;
const COMMITTING: u64 = 1;
const COMMITTED: u64 = 2;
const ABORTED: u64 = 3;

/// The state word of a transaction: tag in the upper two bits, timestamp or bound below.
#[derive(Debug)]
pub struct TxnState {
    pub(crate) id: TxnId,
    word: AtomicU64,
    /// Set before `Committed` is published.
    lv: OnceLock<Lv>,
    lock_owner: LockOwner,
}

impl TxnState {
    /// Running.
    pub fn new(id: TxnId) -> Arc<Self> {
        let word = AtomicU64::new(ACTIVE << TAG_SHIFT);
        Arc::new(Self { id, word, lv: OnceLock::new(), lock_owner: LockOwner::new() })
    }

    /// The transaction's id.
    pub fn id(&self) -> TxnId {
        self.id
    }

    /// The transaction as the lock table knows it.
    pub fn lock_owner(&self) -> &LockOwner {
        &self.lock_owner
    }

    /// As others see it now.
    pub fn outcome(&self) -> Outcome {
        let word = self.word.load(Acquire);
        let low = Timestamp::new(word & ((1 << TAG_SHIFT) - 1));
        match word >> TAG_SHIFT {
            ACTIVE => Outcome::Active,
            COMMITTING => Outcome::Committing(low),
            COMMITTED => Outcome::Committed(low),
            _ => Outcome::Aborted,
        }
    }

    fn publish(&self, tag: u64, low: u64) {
        self.word.store(tag << TAG_SHIFT | low, Release);
    }

    pub(crate) fn publish_committing(&self, bound: Timestamp) {
        self.publish(COMMITTING, bound.get());
    }

    /// Committed at `at`; durable with everything up to `lv`.
    pub fn publish_committed(&self, at: Timestamp, lv: Lv) {
        let _ = self.lv.set(lv);
        self.publish(COMMITTED, at.get());
    }

    pub(crate) fn publish_aborted(&self) {
        self.publish(ABORTED, 0);
    }

    /// The commit vector, once committed.
    pub fn lv(&self) -> Lv {
        self.lv.get().copied().unwrap_or(Lv::ZERO)
    }
}

const SHARDS: usize = 16;

/// Who has changed rows and is not yet forgotten.
pub(crate) struct TxnTable {
    /// Whoever has a lower id ended in an earlier open.
    first: TxnId,
    shards: [RwLock<Shard>; SHARDS],
}

type Shard = HashMap<TxnId, Arc<TxnState>, BuildHasherDefault<IdHasher>>;

/// Ids count up: one multiplication spreads them (Knuth, "The Art of Computer Programming", 6.4).
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl TxnTable {
    /// An empty table for ids from `first` on.
    pub(crate) fn new(first: TxnId) -> Self {
        Self { first, shards: core::array::from_fn(|_| RwLock::new(rank::TABLE, Shard::default())) }
    }

    fn shard(&self, id: TxnId) -> &RwLock<Shard> {
        &self.shards[id.get() as usize % SHARDS]
    }

    pub(crate) fn insert(&self, state: Arc<TxnState>) {
        self.shard(state.id).write().insert(state.id, state);
    }

    pub(crate) fn remove(&self, id: TxnId) {
        self.shard(id).write().remove(&id);
    }

    /// Those of an earlier open are told without a look at what is shared.
    #[inline]
    pub(crate) fn get(&self, id: TxnId) -> Option<Arc<TxnState>> {
        if id < self.first {
            return None;
        }
        self.shard(id).read().get(&id).cloned()
    }

    /// Those that have not ended.
    pub(crate) fn running(&self) -> Vec<Arc<TxnState>> {
        let running = |state: &&Arc<TxnState>| !state.lock_owner.is_ended();
        let of_shard =
            |shard: &RwLock<Shard>| -> Vec<_> { shard.read().values().filter(running).cloned().collect() };
        self.shards.iter().flat_map(of_shard).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}
