//! Gets and scans.

use super::hammer::Done;
use super::{Bench, Tally, is_right};
use crate::draw::{Rng, Zipf, is_value_of, key, row_key};
use crate::engine::{Order, Result};
use crate::workload::Draw;
use std::hint::black_box;
use std::time::Duration;

/// Of so many rows one at least begins on another page.
const ROWS_OF_A_PAGE_MIN: usize = 8;

impl Bench<'_> {
    pub(super) fn gets(&self, draw: Draw, time: Duration) -> Result<Tally> {
        let zipf = Zipf::new(if draw == Draw::Zipf { self.scale.rows } else { 1 });
        self.hammer(time, |thread| {
            let (mut rng, mut found, zipf) = (Rng::new(thread), Vec::new(), &zipf);
            move || {
                let row = match draw {
                    Draw::Zipf => zipf.scattered(&mut rng),
                    Draw::Uniform | Draw::Miss => rng.below(self.scale.rows),
                };
                self.get(row, draw != Draw::Miss, &mut found).map(|()| Done::READ)
            }
        })
    }

    /// Gets a row of every page.
    pub(super) fn touch_rows(&self) -> Result<()> {
        let mut found = Vec::new();
        (0..self.scale.rows).step_by(ROWS_OF_A_PAGE_MIN).try_for_each(|row| self.get(row, true, &mut found))
    }

    fn get(&self, row: u64, is_there: bool, found: &mut Vec<u8>) -> Result<()> {
        found.clear();
        if is_there {
            is_right(self.engine.get(&row_key(row), found)? && is_value_of(found, row))
        } else {
            is_right(!self.engine.get(&key(row * 2 + 1), found)?)
        }
    }

    pub(super) fn scans(&self, rows: Option<u64>, order: Order, time: Duration) -> Result<Tally> {
        self.hammer(time, |thread| {
            let mut rng = Rng::new(thread);
            move || self.one_scan(rows, order, &mut rng)
        })
    }

    fn one_scan(&self, rows: Option<u64>, order: Order, rng: &mut Rng) -> Result<Done> {
        let length = rows.unwrap_or(self.scale.rows);
        let start = rng.below(self.scale.rows - length + 1);
        let first = if order == Order::Forward { start } else { start + length - 1 };
        let mut seen = 0;
        self.engine.scan(&row_key(first), order, length, &mut |key, value| {
            black_box((key, value));
            seen += 1;
        })?;
        is_right(seen == length)?;
        Ok(Done { operations: seen, ..Done::READ })
    }
}
