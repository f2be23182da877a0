//! Transactions on which ways to serializability are compared: one row, a few rows read for one written, and orders and
//! payments like those of TPC-C.

use aether_kv::{Error, Result};
use engine_benches::Rng;

/// A transaction, whoever keeps it apart from others.
pub(crate) trait Rows {
    /// Replaces what `out` holds by the value of `key`, which must be there.
    fn get(&mut self, key: &[u8], for_update: bool, out: &mut Vec<u8>) -> Result<()>;

    /// Inserts or replaces.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mix {
    /// So many rows are read, and one more is read and updated.
    Rows {
        /// Rows to draw from.
        of: u32,
        reads: u32,
    },
    /// New orders and payments, half each.
    Orders { warehouses: u32 },
}

type Key = [u8; 17];

const VALUE_BYTES: usize = 100;
const DISTRICTS: u32 = 10;
const CUSTOMERS: u32 = 100;
const ITEMS: u32 = 1_000;

const ROW: u8 = 1;
const WAREHOUSE: u8 = 2;
const DISTRICT: u8 = 3;
const CUSTOMER: u8 = 4;
const STOCK: u8 = 5;
const ORDER: u8 = 6;
const LINE: u8 = 7;
const HISTORY: u8 = 8;

fn key(table: u8, numbers: [u32; 4]) -> Key {
    let mut key = [table; 17];
    key[1..]
        .chunks_mut(4)
        .zip(numbers)
        .for_each(|(part, number)| part.copy_from_slice(&number.to_be_bytes()));
    key
}

/// The number that a value begins with.
pub(crate) fn number(value: &[u8]) -> i64 {
    value.iter().take(8).rev().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// A thread's chance, buffer, and how often its updates were committed.
pub(crate) struct Client {
    rng: Rng,
    value: Vec<u8>,
    thread: u32,
    commits: u32,
}

/// A drawn transaction, the same at each attempt.
pub(crate) enum Deed {
    Rows { reads: Vec<u32>, updated: u32 },
    Order { warehouse: u32, district: u32, items: Vec<u32> },
    Payment { warehouse: u32, district: u32, customer: u32, id: [u32; 2] },
}

impl Client {
    /// `seed` tells rounds apart, also in the keys that are inserted.
    pub(crate) fn new(thread: u64, seed: u64) -> Self {
        let thread = (seed * 16 + thread) as u32;
        Self { rng: Rng::new(u64::from(thread) + 1), value: Vec::new(), thread, commits: 0 }
    }

    /// The next transaction.
    pub(crate) fn draw(&mut self, mix: Mix) -> Deed {
        self.commits += 1;
        let mut below = |bound: u32| self.rng.below(u64::from(bound)) as u32;
        match mix {
            Mix::Rows { of, reads } => {
                Deed::Rows { reads: ascending((0..reads).map(|_| below(of))), updated: of + below(of) }
            }
            Mix::Orders { warehouses } => {
                let [warehouse, district] = [warehouses, DISTRICTS].map(&mut below);
                if below(2) == 0 {
                    let lines = 5 + below(11);
                    Deed::Order { warehouse, district, items: ascending((0..lines).map(|_| below(ITEMS))) }
                } else {
                    let (customer, id) = (below(CUSTOMERS), [self.thread, self.commits]);
                    Deed::Payment { warehouse, district, customer, id }
                }
            }
        }
    }

    /// Runs `deed`.
    pub(crate) fn run(&mut self, deed: &Deed, rows: &mut dyn Rows) -> Result<()> {
        let value = &mut self.value;
        match deed {
            Deed::Rows { reads, updated } => {
                let mut read = |row: &u32| rows.get(&key(ROW, [*row, 0, 0, 0]), false, value);
                reads.iter().try_for_each(&mut read)?;
                add(rows, ROW, [*updated, 0, 0, 0], value).map(drop)
            }
            Deed::Order { warehouse, district, items } => order(rows, [*warehouse, *district], items, value),
            &Deed::Payment { warehouse, district, customer, id } => {
                add(rows, WAREHOUSE, [warehouse, 0, 0, 0], value)?;
                add(rows, DISTRICT, [warehouse, district, 1, 0], value)?;
                add(rows, CUSTOMER, [warehouse, district, customer, 0], value)?;
                rows.put(&key(HISTORY, [warehouse, district, id[0], id[1]]), &[1; VALUE_BYTES / 2])
            }
        }
    }
}

/// Rows are locked in one order, and none twice.
fn ascending(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Adds one to the number of a row; the number from before.
fn add(rows: &mut dyn Rows, table: u8, numbers: [u32; 4], value: &mut Vec<u8>) -> Result<i64> {
    let key = key(table, numbers);
    rows.get(&key, true, value)?;
    let before = number(value);
    value[..8].copy_from_slice(&(before + 1).to_le_bytes());
    rows.put(&key, value).map(|()| before)
}

fn order(
    rows: &mut dyn Rows,
    [warehouse, district]: [u32; 2],
    items: &[u32],
    value: &mut Vec<u8>,
) -> Result<()> {
    rows.get(&key(WAREHOUSE, [warehouse, 0, 0, 0]), false, value)?;
    let order = add(rows, DISTRICT, [warehouse, district, 0, 0], value)? as u32;
    rows.put(&key(ORDER, [warehouse, district, order, 0]), &[2; 32])?;
    items.iter().zip(0..).try_for_each(|(item, line)| {
        add(rows, STOCK, [warehouse, *item, 0, 0], value)?;
        rows.put(&key(LINE, [warehouse, district, order, line]), &[3; VALUE_BYTES / 2])
    })
}

impl Mix {
    /// The rows to begin with.
    pub(crate) fn rows(self) -> Vec<(Key, [u8; VALUE_BYTES])> {
        let row = |key| (key, [0; VALUE_BYTES]);
        match self {
            // The lower half is read, the upper half is updated.
            Self::Rows { of, .. } => (0..of * 2).map(|number| row(key(ROW, [number, 0, 0, 0]))).collect(),
            Self::Orders { warehouses } => (0..warehouses).flat_map(of_warehouse).map(row).collect(),
        }
    }

    /// The numbers that grew by one with each committed transaction: first and last key, inclusive.
    pub(crate) fn counted(self) -> [Key; 2] {
        let table = match self {
            Self::Rows { .. } => ROW,
            // Third number 0: orders; 1: payments.
            Self::Orders { .. } => DISTRICT,
        };
        [key(table, [0; 4]), key(table, [u32::MAX; 4])]
    }
}

/// A district has a row for orders and one for payments.
fn of_warehouse(warehouse: u32) -> impl Iterator<Item = Key> {
    let districts =
        (0..DISTRICTS).flat_map(move |district| [0, 1].map(|of| key(DISTRICT, [warehouse, district, of, 0])));
    let customers = (0..DISTRICTS * CUSTOMERS)
        .map(move |number| key(CUSTOMER, [warehouse, number / CUSTOMERS, number % CUSTOMERS, 0]));
    let stock = (0..ITEMS).map(move |item| key(STOCK, [warehouse, item, 0, 0]));
    [key(WAREHOUSE, [warehouse, 0, 0, 0])].into_iter().chain(districts).chain(customers).chain(stock)
}

/// What the numbers in `values` add up to.
pub(crate) fn total(values: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>>) -> Result<i64> {
    values.map(|row| row.map(|(_, value)| number(&value))).sum()
}

/// A row that should be there is not.
pub(crate) fn missing(key: &[u8]) -> Error {
    Error::invalid("a row is missing").at_key(key)
}
