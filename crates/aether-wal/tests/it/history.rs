//! A random script over a store, and the judge of what a scan finds after it was cut short.

use crate::store::{Found, Store, small, stream};
use aether_types::{Error, ErrorKind, Lsn, Lv, Result};
use aether_vfs::Env;
use std::collections::BTreeMap;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}

/// A record that was appended.
#[derive(Clone, Debug)]
struct Entry {
    life: usize,
    stream: u8,
    lsn: u64,
    end: u64,
    lv: Lv,
    body: Vec<u8>,
    /// The record whose vector this one was given.
    needs: Option<u64>,
    acknowledged: bool,
}

/// All lives of a store: what was appended, acknowledged and decided.
#[derive(Clone, Default, Debug)]
pub(crate) struct History {
    entries: Vec<Entry>,
    lives: usize,
    /// For every entry of the lives before the last beginning: whether it was found then.
    decided: BTreeMap<usize, bool>,
}

/// What a life is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) streams: usize,
    pub(crate) steps: u64,
    pub(crate) close: bool,
    /// Up to this large.
    pub(crate) body_bytes: u64,
    /// One step in so many is a checkpoint.
    pub(crate) checkpoints: u64,
}

impl History {
    /// Opens the store, judges what it finds, and lives until the script ends or something fails.
    pub(crate) fn live(&mut self, env: &Env, script: Script) -> Result<()> {
        let store = Store::open(env, &small(script.streams))?;
        let from = crate::store::read_state(env)?.from;
        self.judge(&store.found, &from);
        self.lives += 1;
        if script.steps == 0 {
            return Ok(());
        }
        store.wal.start()?;
        // The incarnation has begun: what was found is kept for ever, what was not is void for ever.
        self.decide(&store.found);
        let mut rng = Rng(script.seed);
        for _ in 0..script.steps {
            self.step(&store, &mut rng, script)?;
        }
        if script.close { store.close() } else { Ok(()) }
    }

    fn step(&mut self, store: &Store, rng: &mut Rng, script: Script) -> Result<()> {
        if rng.below(script.checkpoints) == 0 {
            return store.checkpoint();
        }
        match rng.below(12) {
            0..7 => self.append(store, rng, script),
            7..9 => self.wait(store, rng),
            9..11 => self.wait_own(store, rng),
            _ => {
                store.wal.flush_all()?;
                self.acknowledge(&store.wal.durable(), self.lives);
                Ok(())
            }
        }
    }

    fn append(&mut self, store: &Store, rng: &mut Rng, script: Script) -> Result<()> {
        let id = rng.below(script.streams as u64) as u8;
        let needs = (rng.below(2) == 0).then(|| self.pick(rng)).flatten();
        let deps = needs.map_or(Lv::ZERO, |needs| self.entries[needs as usize].lv);
        let number = self.entries.len() as u64;
        let mut body = number.to_le_bytes().to_vec();
        body.resize(8 + rng.below(script.body_bytes) as usize, number as u8 ^ 0x5a);
        let appended = store.append(id, &deps, &body)?;
        let (lsn, end) = (appended.lsn.get(), appended.end.get());
        let reused = self.entries.iter().find(|other| other.stream == id && other.end > lsn);
        assert!(reused.is_none(), "position {lsn} is used again: {reused:?}");
        let entry = Entry {
            life: self.lives,
            stream: id,
            lsn,
            end,
            lv: appended.lv,
            body,
            needs,
            acknowledged: false,
        };
        self.entries.push(entry);
        Ok(())
    }

    /// A record of this life.
    fn pick(&self, rng: &mut Rng) -> Option<u64> {
        let first = self.entries.iter().position(|entry| entry.life == self.lives)?;
        let count = (self.entries.len() - first) as u64;
        Some(first as u64 + rng.below(count))
    }

    fn wait(&mut self, store: &Store, rng: &mut Rng) -> Result<()> {
        if let Some(picked) = self.pick(rng) {
            store.wal.wait_durable(&self.entries[picked as usize].lv)?;
            self.entries[picked as usize].acknowledged = true;
        }
        Ok(())
    }

    /// Flushes one stream and not what its records need of others: no acknowledgement follows from it.
    fn wait_own(&self, store: &Store, rng: &mut Rng) -> Result<()> {
        let Some(picked) = self.pick(rng) else { return Ok(()) };
        let entry = &self.entries[picked as usize];
        store.wal.wait_durable(&Lv::at(stream(entry.stream), Lsn::new(entry.end)))
    }

    fn acknowledge(&mut self, durable: &Lv, life: usize) {
        let covered = |entry: &&mut Entry| entry.life == life && durable.covers(&entry.lv);
        self.entries.iter_mut().filter(covered).for_each(|entry| entry.acknowledged = true);
    }

    fn decide(&mut self, found: &[Found]) {
        for (index, entry) in self.entries.iter().enumerate() {
            let here = found.iter().any(|record| is(entry, record));
            self.decided.entry(index).or_insert(here);
        }
    }

    /// What a scan from `from` found against what it must and may find.
    pub(crate) fn judge(&self, found: &[Found], from: &Lv) {
        let retained = |entry: &Entry| entry.lsn >= from.get(stream(entry.stream)).get();
        let has = |entry: &Entry| found.iter().any(|record| is(entry, record));
        for record in found {
            assert!(self.entries.iter().any(|entry| is(entry, record)), "never appended: {record:?}");
        }
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| retained(entry)) {
            let here = has(entry);
            assert!(here || !entry.acknowledged, "acknowledged and lost: {entry:?}");
            if let Some(before) = self.decided.get(&index) {
                assert_eq!(here, *before, "decided otherwise before: {entry:?}");
            }
            let needed =
                entry.needs.map(|needs| &self.entries[needs as usize]).filter(|needed| retained(needed));
            assert!(!here || needed.is_none_or(has), "found without what it needs: {entry:?}");
            let mut earlier =
                self.entries[..index].iter().filter(|other| other.life == entry.life && retained(other));
            let hole = earlier.find(|other| other.stream == entry.stream && !has(other));
            assert!(!here || hole.is_none(), "found after a hole: {entry:?}, {hole:?}");
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.entries.iter().filter(|entry| entry.acknowledged).count()
    }
}

fn is(entry: &Entry, (id, lsn, kind, body): &Found) -> bool {
    entry.stream == *id && entry.lsn == *lsn && *kind == 16 && entry.body == *body && entry.end > *lsn
}

/// A life that was cut short ended for that reason and no other.
pub(crate) fn cut_short(outcome: Result<()>) {
    if let Err(error) = outcome {
        expect_no_corruption(&error);
    }
}

fn expect_no_corruption(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Corruption, "{error}");
    assert_ne!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
}
