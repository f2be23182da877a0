//! Loading, and opening what a killed loader has left.

use super::{Bench, Tally, is_right};
use crate::draw::{ROW_BYTES, Rng, is_value_of, row_key, value};
use crate::engine::{Engine, Order, Result, Write};
use crate::meter::Meter;
use std::time::Instant;

/// Writes `rows` rows, `batch` to a transaction.
pub(super) fn fill(engine: &dyn Engine, rows: u64, is_random: bool, batch: u64) -> Result<()> {
    let order = is_random.then(|| Rng::new(rows).permutation(rows));
    let nth = |at: u64| order.as_ref().map_or(at, |order| u64::from(order[at as usize]));
    let mut part = Vec::new();
    for start in (0..rows).step_by(batch as usize) {
        part.clear();
        part.extend((start..rows.min(start + batch)).map(nth).map(|row| (row_key(row), value(row, 0))));
        let writes: Vec<Write<'_>> =
            part.iter().map(|(key, value)| Write { key, value: Some(value) }).collect();
        engine.write(&writes)?;
    }
    Ok(())
}

impl Bench<'_> {
    pub(super) fn load(&self, is_random: bool, batch: u64, meter: &Meter) -> Result<Tally> {
        let rows = self.scale.load_rows;
        fill(self.engine, rows, is_random, batch)?;
        let spent = meter.spent();
        Ok(Tally { operations: rows, user_bytes: rows * ROW_BYTES, spent, ..Tally::default() })
    }

    /// Rows one by one, each timed, while all is made durable every second.
    pub(super) fn long_load(&self, meter: &Meter) -> Result<Tally> {
        let rows = self.scale.long_rows;
        let order = Rng::new(rows).permutation(rows);
        self.synced_every_second(|| {
            let mut tally = Tally { operations: rows, user_bytes: rows * ROW_BYTES, ..Tally::default() };
            let began = Instant::now();
            let mut before = began;
            for row in order {
                let row = u64::from(row);
                self.engine.write(&[Write { key: &row_key(row), value: Some(&value(row, 0)) }])?;
                let now = Instant::now();
                tally.latency.add(now - before);
                let second = (now - began).as_secs() as usize;
                tally.each_second.resize(tally.each_second.len().max(second + 1), 0);
                tally.each_second[second] += 1;
                before = now;
            }
            tally.spent = meter.spent();
            Ok(tally)
        })
    }

    /// The time to the first answer is taken; then everything that was synced must be there.
    pub(super) fn reopened(&self, opening: &Meter) -> Result<Tally> {
        let mut found = Vec::new();
        is_right(self.engine.get(&row_key(0), &mut found)? && is_value_of(&found, 0))?;
        let spent = opening.spent();
        is_right(self.count_rows()? == self.scale.load_rows)?;
        Ok(Tally { operations: 1, spent, ..Tally::default() })
    }

    pub(super) fn count_rows(&self) -> Result<u64> {
        let mut rows = 0;
        self.engine.scan(b"u", Order::Forward, u64::from(u32::MAX), &mut |_, _| rows += 1)?;
        Ok(rows)
    }
}
