//! A queue: every item leaves it once, and those of one producer in their order.
//!
//! A row `item/N` is place N of the queue and names its producer and which of the producer's items it is. Who
//! dequeues moves the first row to `done/N`. So at any time the places done are followed by those in the queue without a
//! gap, and the items of one producer are numbered without a gap.

use super::{Acknowledged, Work, rows};
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use aether_kv::{Error, Keyspace, Result, Snapshot, Txn};
use aether_sync::atomic::{AtomicU64, Ordering::SeqCst};
use aether_sync::thread::yield_now;

/// A queue of some producers, and what was acknowledged to them.
pub(super) struct Queue {
    /// Of each producer, its newest item.
    enqueued: Vec<AtomicU64>,
    /// The newest place that has left the queue.
    dequeued: AtomicU64,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(producers: usize) -> Self {
        Self { enqueued: (0..producers).map(|_| AtomicU64::new(0)).collect(), dequeued: AtomicU64::new(0) }
    }
}

fn place_of(key: &[u8]) -> Result<u64> {
    let digits = str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| Error::corruption("a place without a number"))
}

fn item_key(place: u64) -> Vec<u8> {
    format!("item/{place:08}").into_bytes()
}

fn done_key(place: u64) -> Vec<u8> {
    format!("done/{place:08}").into_bytes()
}

fn encode(producer: usize, number: u64) -> Vec<u8> {
    format!("{producer} {number}").into_bytes()
}

fn decode(value: &[u8]) -> Option<(usize, u64)> {
    let (producer, number) = str::from_utf8(value).ok()?.split_once(' ')?;
    Some((producer.parse().ok()?, number.parse().ok()?))
}

/// The newest row of those with a prefix.
fn newest(txn: &Txn, space: &Keyspace, prefix: &str) -> Result<Option<u64>> {
    let row = txn.prefix(space, prefix.as_bytes())?.next_back().transpose()?;
    row.map(|(key, _)| place_of(&key)).transpose()
}

/// The producer's newest item that the transaction sees.
fn newest_of(producer: usize, txn: &Txn, space: &Keyspace) -> Result<u64> {
    for prefix in ["item/", "done/"] {
        for row in txn.prefix(space, prefix.as_bytes())?.rev() {
            if let Some((_, number)) = decode(&row?.1).filter(|(other, _)| *other == producer) {
                return Ok(number);
            }
        }
    }
    Ok(0)
}

fn enqueue(producer: usize, txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged> {
    let number = newest_of(producer, txn, space)? + 1;
    let last = match newest(txn, space, "item/")? {
        Some(last) => last,
        None => newest(txn, space, "done/")?.unwrap_or(0),
    };
    yield_now();
    txn.put(space, &item_key(last + 1), &encode(producer, number))?;
    Ok(Acknowledged::Enqueued(number))
}

fn dequeue(txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged> {
    let Some((key, value)) = txn.prefix(space, b"item/")?.next().transpose()? else {
        return Ok(Acknowledged::Nothing);
    };
    yield_now();
    let place = place_of(&key)?;
    txn.delete(space, &key)?;
    txn.put(space, &done_key(place), &value)?;
    Ok(Acknowledged::Dequeued(place))
}

impl Work for Queue {
    fn found(&self, _: &mut Txn, _: &Keyspace) -> Result<()> {
        Ok(())
    }

    fn act(&self, client: usize, rng: &mut Rng, txn: &mut Txn, space: &Keyspace) -> Result<Acknowledged> {
        if rng.chance(55) { enqueue(client, txn, space) } else { dequeue(txn, space) }
    }

    fn acknowledge(&self, client: usize, what: Acknowledged) {
        match what {
            Acknowledged::Enqueued(number) => drop(self.enqueued[client].fetch_max(number, SeqCst)),
            Acknowledged::Dequeued(place) => drop(self.dequeued.fetch_max(place, SeqCst)),
            Acknowledged::Nothing => {}
        }
    }

    fn check(&self, take: &dyn Fn() -> Result<Snapshot>, space: &Keyspace) -> Verdict<()> {
        let promised: Vec<u64> = self.enqueued.iter().map(|number| number.load(SeqCst)).collect();
        let gone = self.dequeued.load(SeqCst);
        let snapshot = take().map_err(failed(super::READ_FAILED))?;
        let (done, items) = (rows(&snapshot, space, "done/")?, rows(&snapshot, space, "item/")?);
        if (done.len() as u64) < gone {
            return Err(format!("place {gone} has left the queue, and is back: {} are done", done.len()));
        }
        let mut newest = vec![0; promised.len()];
        for ((key, value), wanted) in done.iter().chain(&items).zip(1u64..) {
            let place = place_of(key).map_err(failed("a place"))?;
            if place != wanted {
                return Err(format!("place {place} stands where {wanted} should"));
            }
            let Some((producer, number)) = decode(value).filter(|(producer, _)| *producer < newest.len())
            else {
                return Err(format!("place {place} holds no item"));
            };
            if number != newest[producer] + 1 {
                return Err(format!(
                    "item {number} of producer {producer} follows item {}",
                    newest[producer]
                ));
            }
            newest[producer] = number;
        }
        let lost = newest.iter().zip(&promised).position(|(newest, promised)| newest < promised);
        match lost {
            Some(producer) => Err(format!(
                "producer {producer} was told that item {} is there; the newest is {}",
                promised[producer], newest[producer]
            )),
            None => Ok(()),
        }
    }
}
