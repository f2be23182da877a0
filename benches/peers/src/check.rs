//! Is an adapter right? The same random script on the engine and on a sorted map; then transactions of two threads at each
//! level, and the books.

mod levels;

use crate::draw::{Rng, key, value};
use crate::engine::{Durability, Engine, Failure, Order, Peer, Result, Setting, Write};
use std::collections::BTreeMap;
use std::path::Path;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const ROUNDS: u64 = 4;
const STEPS: u64 = 300;
const KEYS: u64 = 2_000;

/// Runs the script under each durability, reopening in between; then checks the engine's levels.
///
/// # Errors
/// The first difference between engine and map.
pub fn check(peer: &Peer, dir: &Path) -> Result<()> {
    for durability in [Durability::Each, Durability::EverySecond, Durability::Never] {
        let home = dir.join(format!("{durability:?}"));
        let setting = Setting { durability, cache_bytes: 4 << 20 };
        let (mut model, mut rng) = (Model::new(), Rng::new(1));
        for _ in 0..ROUNDS {
            let engine = (peer.open)(&home, &setting)?;
            compare_all(&*engine, &model)?;
            (0..STEPS).try_for_each(|_| step(&*engine, &mut model, &mut rng))?;
            engine.sync()?;
            compare_all(&*engine, &model)?;
        }
    }
    levels::check(peer, dir)
}

fn step(engine: &dyn Engine, model: &mut Model, rng: &mut Rng) -> Result<()> {
    match rng.below(4) {
        0 => write(engine, model, rng, 1),
        1 => write(engine, model, rng, 40),
        2 => get(engine, model, rng),
        _ => {
            let order = if rng.below(2) == 0 { Order::Forward } else { Order::Reverse };
            scan(engine, model, &key(rng.below(KEYS)), order, rng.below(120))
        }
    }
}

fn write(engine: &dyn Engine, model: &mut Model, rng: &mut Rng, count: u64) -> Result<()> {
    let draw = |_| {
        let number = rng.below(KEYS);
        let row = value(number, rng.next());
        (key(number), (rng.below(3) > 0).then_some(row))
    };
    let rows: Vec<_> = (0..count).map(draw).collect();
    let writes: Vec<Write<'_>> = rows
        .iter()
        .map(|(key, value)| Write { key, value: value.as_ref().map(|value| &value[..]) })
        .collect();
    engine.write(&writes)?;
    for (key, value) in &rows {
        match value {
            Some(value) => _ = model.insert(key.to_vec(), value.to_vec()),
            None => _ = model.remove(&key[..]),
        }
    }
    Ok(())
}

fn get(engine: &dyn Engine, model: &Model, rng: &mut Rng) -> Result<()> {
    let (key, mut found) = (key(rng.below(KEYS)), Vec::new());
    let is_there = engine.get(&key, &mut found)?;
    same("get", is_there.then_some(&found), model.get(&key[..]))
}

fn scan(engine: &dyn Engine, model: &Model, from: &[u8], order: Order, limit: u64) -> Result<()> {
    let mut found = Vec::new();
    engine.scan(from, order, limit, &mut |key, value| found.push((key.to_vec(), value.to_vec())))?;
    let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    let (from, limit) = (from.to_vec(), limit as usize);
    let expected: Vec<_> = match order {
        Order::Forward => model.range(from..).take(limit).map(copy).collect(),
        Order::Reverse => model.range(..=from).rev().take(limit).map(copy).collect(),
    };
    same(&format!("{order:?} scan of {limit}"), found, expected)
}

fn compare_all(engine: &dyn Engine, model: &Model) -> Result<()> {
    scan(engine, model, b"u", Order::Forward, u64::from(u32::MAX))?;
    scan(engine, model, b"v", Order::Reverse, u64::from(u32::MAX))
}

fn same<T: PartialEq>(what: &str, found: T, expected: T) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::from(format!("{what}: the engine differs from the model")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::PEERS;
    use std::sync::Mutex;

    #[test]
    fn every_adapter_is_right() {
        for peer in PEERS {
            let dir = tempfile::tempdir().expect("a directory");
            check(peer, dir.path()).unwrap_or_else(|error| panic!("{}: {error}", peer.name));
        }
    }

    /// A map that forgets deletes: the check must notice.
    struct Forgetful(Mutex<Model>);

    impl Engine for Forgetful {
        fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
            let model = self.0.lock().expect("not poisoned");
            Ok(model.get(key).inspect(|value| out.extend_from_slice(value)).is_some())
        }

        fn write(&self, writes: &[Write<'_>]) -> Result<()> {
            let mut model = self.0.lock().expect("not poisoned");
            let puts = writes.iter().filter_map(|write| Some((write.key.to_vec(), write.value?.to_vec())));
            model.extend(puts);
            Ok(())
        }

        fn scan(&self, from: &[u8], _: Order, limit: u64, see: &mut crate::engine::See<'_>) -> Result<()> {
            let model = self.0.lock().expect("not poisoned");
            model.range(from.to_vec()..).take(limit as usize).for_each(|(key, value)| see(key, value));
            Ok(())
        }

        fn sync(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_wrong_engine_is_found_out() {
        let (engine, mut model, mut rng) = (Forgetful(Mutex::default()), Model::new(), Rng::new(1));
        assert!((0..STEPS).try_for_each(|_| step(&engine, &mut model, &mut rng)).is_err());
    }
}
