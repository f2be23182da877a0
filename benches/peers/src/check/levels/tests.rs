use super::*;
use crate::engine::{Body, Engine, Order, See, Write};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// One put of a transaction is missing.
    LosesPut,
    /// A transaction that was committed is missing.
    LosesCommit,
    /// A transaction is applied, then run again.
    RunsTwice,
    /// A transaction reads what was there some transactions ago: its updates overwrite theirs.
    ReadsOld,
    /// A transaction does not see its own puts.
    IsBlind,
    /// What a failed transaction has put stays.
    KeepsFailed,
}

struct State {
    rows: Arc<Map>,
    /// As they were some transactions ago.
    old: Arc<Map>,
    transactions: u64,
}

struct Flawed {
    flaw: Flaw,
    state: Mutex<State>,
}

struct Open {
    seen: Arc<Map>,
    puts: Vec<(Vec<u8>, Vec<u8>)>,
    is_blind: bool,
}

impl Flawed {
    fn new(flaw: Flaw) -> Self {
        let state = State { rows: Arc::default(), old: Arc::default(), transactions: 0 };
        Self { flaw, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Engine for Flawed {
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Ok(self.state().rows.get(key).inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let puts = writes.iter().filter_map(|write| Some((write.key.to_vec(), write.value?.to_vec())));
        Arc::make_mut(&mut self.state().rows).extend(puts);
        Ok(())
    }

    fn scan(&self, from: &[u8], _: Order, limit: u64, see: &mut See<'_>) -> Result<()> {
        let state = self.state();
        state.rows.range(from.to_vec()..).take(limit as usize).for_each(|(key, value)| see(key, value));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

impl Access for Open {
    fn get(&mut self, key: &[u8], _: Intent, out: &mut Vec<u8>) -> Result<bool> {
        let own = self.puts.iter().rev().find(|(put, _)| put == key && !self.is_blind);
        let found = own.map(|(_, value)| value).or_else(|| self.seen.get(key));
        Ok(found.inspect(|value| out.extend_from_slice(value)).is_some())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.puts.push((key.to_vec(), value.to_vec()));
        Ok(())
    }
}

impl Transactions for Flawed {
    fn transact(&self, body: &mut Body<'_>) -> Result<u64> {
        let mut state = self.state();
        state.transactions += 1;
        // Rarely: the flaws of good engines are not everywhere. The first few transactions are without.
        let phase = state.transactions % 97;
        let is_due = |flaw| self.flaw == flaw && phase == 96;
        if phase == 64 {
            state.old = state.rows.clone();
        }
        let seen = if is_due(Flaw::ReadsOld) { &state.old } else { &state.rows };
        let mut open = Open { seen: seen.clone(), puts: Vec::new(), is_blind: self.flaw == Flaw::IsBlind };
        let outcome = body(&mut open);
        if outcome.is_err() && self.flaw != Flaw::KeepsFailed {
            return outcome.map(|()| 1);
        }
        if is_due(Flaw::LosesPut) {
            open.puts.pop();
        }
        if is_due(Flaw::LosesCommit) {
            open.puts.clear();
        }
        let (is_twice, Open { seen, puts, .. }) = (is_due(Flaw::RunsTwice), open);
        drop(seen);
        Arc::make_mut(&mut state.rows).extend(puts);
        drop(state);
        if is_twice { self.transact(body) } else { outcome.map(|()| 1) }
    }
}

fn judge(flaw: Flaw, trade: Trade) -> Result<()> {
    let (store, business) = (Flawed::new(flaw), business(trade, &SCALE));
    inside(&Flawed::new(flaw))?;
    business.load(&store)?;
    let kept = work(&store, &*business)?;
    business.check(&store, &kept)
}

#[test]
fn a_sound_store_passes() {
    for trade in TRADES {
        judge(Flaw::None, trade).expect("sound");
    }
}

#[test]
fn every_flaw_is_found_by_every_trade() {
    let flaws = [
        Flaw::LosesPut,
        Flaw::LosesCommit,
        Flaw::RunsTwice,
        Flaw::ReadsOld,
        Flaw::IsBlind,
        Flaw::KeepsFailed,
    ];
    for (flaw, trade) in flaws.into_iter().flat_map(|flaw| TRADES.map(|trade| (flaw, trade))) {
        assert!(judge(flaw, trade).is_err(), "{flaw:?} passes with {trade:?}");
    }
}
