//! Orders and payments of a wholesaler: a mix like that of TPC-C's new-order and payment, half each, scaled down.
//!
//! A new order reads its warehouse, takes the next number of its district, inserts the order and 5 to 15 lines, and updates
//! the stock of each line's item. A payment updates warehouse, district and customer, and inserts a row of history. Of the
//! lines 1 % come from another warehouse, of the payments 15 %, as in the specification (TPC-C 5.11, clauses 2.4 and 2.5).
//! Not here: items, new-order rows, names, the other three transactions, keying and thinking times.

mod audit;

use super::row::{self, key};
use super::{Business, Client, Done, Kept, write_all};
use crate::draw::Rng;
use crate::engine::{Access, Engine, Intent, Result, Transactions};
use crate::workload::Scale;
use std::sync::atomic::Ordering::Relaxed;

/// Tables, with the meaning of a key's numbers and of a value's, and the bytes of a value.
mod table {
    /// Warehouse: payments so far.
    pub(super) const WAREHOUSE: (u8, usize) = (1, 96);
    /// Warehouse, district: next order, payments so far.
    pub(super) const DISTRICT: (u8, usize) = (2, 96);
    /// Warehouse, district, customer: balance, paid so far, payments.
    pub(super) const CUSTOMER: (u8, usize) = (3, 400);
    /// Warehouse, item: quantity, ordered so far, orders.
    pub(super) const STOCK: (u8, usize) = (4, 300);
    /// Warehouse, district, order: customer, lines.
    pub(super) const ORDER: (u8, usize) = (5, 32);
    /// Warehouse, district, order, line: item, quantity, amount.
    pub(super) const LINE: (u8, usize) = (6, 54);
    /// Warehouse, district, thread, number: amount, customer.
    pub(super) const HISTORY: (u8, usize) = (7, 46);
}

use table::{CUSTOMER, DISTRICT, HISTORY, LINE, ORDER, STOCK, WAREHOUSE};

const DISTRICTS: u32 = 10;
const LINES_MIN: u64 = 5;
const LINES_MAX: u64 = 15;
const KEY_BYTES: usize = size_of::<row::Key>();

/// The wholesaler.
pub(super) struct Orders {
    warehouses: u32,
    items: u32,
    customers: u32,
}

/// An item of an order.
struct Line {
    /// The warehouse whose stock it comes from.
    from: u32,
    item: u32,
    quantity: i64,
}

/// A drawn new order, the same at each attempt.
struct NewOrder {
    warehouse: u32,
    district: u32,
    customer: u32,
    lines: Vec<Line>,
}

/// A drawn payment, the same at each attempt.
struct Payment {
    warehouse: u32,
    district: u32,
    /// Warehouse, district and number of the customer.
    customer: [u32; 3],
    amount: i64,
    /// Thread and number: no other payment has it.
    id: [u32; 2],
}

impl Orders {
    pub(super) fn new(warehouses: u32, scale: &Scale) -> Self {
        let items = (scale.rows / 100).clamp(100, 10_000) as u32;
        Self { warehouses, items, customers: items / 10 }
    }

    /// Another warehouse than `own` if there is one, `percent` times in a hundred.
    fn warehouse(&self, own: u32, percent: u64, rng: &mut Rng) -> u32 {
        if self.warehouses == 1 || rng.below(100) >= percent {
            return own;
        }
        let other = rng.below(u64::from(self.warehouses) - 1) as u32;
        other + u32::from(other >= own)
    }

    /// Lines ascend by stock, so that engines which lock rows meet no deadlock; no item comes twice.
    fn draw_order(&self, rng: &mut Rng) -> NewOrder {
        let warehouse = rng.below(u64::from(self.warehouses)) as u32;
        let count = LINES_MIN + rng.below(LINES_MAX - LINES_MIN + 1);
        let mut line = |_| Line {
            from: self.warehouse(warehouse, 1, rng),
            item: rng.below(u64::from(self.items)) as u32,
            quantity: 1 + rng.below(10) as i64,
        };
        let mut lines: Vec<Line> = (0..count).map(&mut line).collect();
        lines.sort_by_key(|line| (line.from, line.item));
        lines.dedup_by_key(|line| (line.from, line.item));
        let [district, customer] =
            [DISTRICTS, self.customers].map(|bound| rng.below(u64::from(bound)) as u32);
        NewOrder { warehouse, district, customer, lines }
    }

    fn draw_payment(&self, client: &mut Client<'_>) -> Payment {
        let rng = &mut client.rng;
        let warehouse = rng.below(u64::from(self.warehouses)) as u32;
        let of = self.warehouse(warehouse, 15, rng);
        let [district, theirs] = [DISTRICTS; 2].map(|bound| rng.below(u64::from(bound)) as u32);
        let customer = rng.below(u64::from(self.customers)) as u32;
        let district_of = if of == warehouse { district } else { theirs };
        Payment {
            warehouse,
            district,
            customer: [of, district_of, customer],
            amount: 1 + rng.below(5_000) as i64,
            id: [client.thread, client.kept.payments.load(Relaxed) as u32],
        }
    }

    fn rows(&self) -> impl Iterator<Item = (row::Key, Vec<u8>)> {
        let &Self { warehouses, items, customers } = self;
        let row = |(table, length): (u8, usize), numbers, fields| {
            let mut value = Vec::with_capacity(length);
            row::encode(fields, length, &mut value);
            (key(table, numbers), value)
        };
        let districts = move |warehouse| (0..DISTRICTS).map(move |district| [warehouse, district, 0, 0]);
        let of_district = move |[warehouse, district, ..]: [u32; 4]| {
            (0..customers).map(move |it| [warehouse, district, it, 0])
        };
        let all = move || (0..warehouses).flat_map(districts);
        let stock =
            (0..warehouses).flat_map(move |warehouse| (0..items).map(move |item| [warehouse, item, 0, 0]));
        let warehouses = (0..warehouses).map(|warehouse| [warehouse, 0, 0, 0]);
        warehouses
            .map(move |numbers| row(WAREHOUSE, numbers, [0; 3]))
            .chain(all().map(move |numbers| row(DISTRICT, numbers, [1, 0, 0])))
            .chain(all().flat_map(of_district).map(move |numbers| row(CUSTOMER, numbers, [0; 3])))
            .chain(stock.map(move |numbers| row(STOCK, numbers, [50, 0, 0])))
    }
}

fn insert(
    txn: &mut dyn Access,
    (table, length): (u8, usize),
    numbers: [u32; 4],
    fields: [i64; 3],
    value: &mut Vec<u8>,
) -> Result<()> {
    row::encode(fields, length, value);
    txn.put(&key(table, numbers), value)
}

impl NewOrder {
    fn place(&self, txn: &mut dyn Access, value: &mut Vec<u8>) -> Result<()> {
        let &Self { warehouse, district, customer, .. } = self;
        row::read(txn, &key(WAREHOUSE.0, [warehouse, 0, 0, 0]), Intent::Read, value)?;
        let at = key(DISTRICT.0, [warehouse, district, 0, 0]);
        let [order, ..] = row::update(txn, &at, value, |[next, paid, rest]| [next + 1, paid, rest])?;
        let lines = self.lines.len() as i64;
        let numbers = [warehouse, district, order as u32, 0];
        insert(txn, ORDER, numbers, [i64::from(customer), lines, 0], value)?;
        for (line, number) in self.lines.iter().zip(0..) {
            line.take(txn, value)?;
            let numbers = [warehouse, district, order as u32, number];
            let fields = [i64::from(line.item), line.quantity, line.quantity * 99];
            insert(txn, LINE, numbers, fields, value)?;
        }
        Ok(())
    }

    fn user_bytes(&self) -> u64 {
        let per_line = 2 * KEY_BYTES + STOCK.1 + LINE.1;
        (2 * KEY_BYTES + DISTRICT.1 + ORDER.1 + self.lines.len() * per_line) as u64
    }
}

impl Line {
    /// Takes it from the stock, which is filled up by 91 when it runs low.
    fn take(&self, txn: &mut dyn Access, value: &mut Vec<u8>) -> Result<()> {
        let taken = |[quantity, ordered, orders]: [i64; 3]| {
            let rest = quantity - self.quantity;
            [if rest < 10 { rest + 91 } else { rest }, ordered + self.quantity, orders + 1]
        };
        row::update(txn, &key(STOCK.0, [self.from, self.item, 0, 0]), value, taken).map(drop)
    }
}

impl Payment {
    const USER_BYTES: u64 = (4 * KEY_BYTES + WAREHOUSE.1 + DISTRICT.1 + CUSTOMER.1 + HISTORY.1) as u64;

    fn pay(&self, txn: &mut dyn Access, value: &mut Vec<u8>) -> Result<()> {
        let &Self { warehouse, district, customer: [of, district_of, customer], amount, id } = self;
        let at = key(WAREHOUSE.0, [warehouse, 0, 0, 0]);
        row::update(txn, &at, value, |[paid, more, rest]| [paid + amount, more, rest])?;
        let at = key(DISTRICT.0, [warehouse, district, 0, 0]);
        row::update(txn, &at, value, |[next, paid, rest]| [next, paid + amount, rest])?;
        let at = key(CUSTOMER.0, [of, district_of, customer, 0]);
        let paid = |[balance, paid, payments]: [i64; 3]| [balance - amount, paid + amount, payments + 1];
        row::update(txn, &at, value, paid)?;
        let numbers = [warehouse, district, id[0], id[1]];
        insert(txn, HISTORY, numbers, [amount, i64::from(customer), 0], value)
    }
}

impl Business for Orders {
    fn load(&self, store: &dyn Engine) -> Result<()> {
        write_all(store, self.rows())
    }

    fn step(&self, store: &dyn Transactions, client: &mut Client<'_>) -> Result<Done> {
        if client.rng.below(2) == 0 {
            let order = self.draw_order(&mut client.rng);
            let attempts = store.transact(&mut |txn| order.place(txn, &mut client.value))?;
            client.kept.orders.fetch_add(1, Relaxed);
            Ok(Done { attempts, user_bytes: order.user_bytes() })
        } else {
            let payment = self.draw_payment(client);
            let attempts = store.transact(&mut |txn| payment.pay(txn, &mut client.value))?;
            client.kept.payments.fetch_add(1, Relaxed);
            Ok(Done { attempts, user_bytes: Payment::USER_BYTES })
        }
    }

    fn check(&self, store: &dyn Engine, kept: &[Kept]) -> Result<()> {
        audit::Audit::of(store)?.check(self, kept)
    }
}
