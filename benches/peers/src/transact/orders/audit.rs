//! What must hold of the wholesaler's rows (after TPC-C 5.11, clause 3.3.2).

use super::super::{Kept, holds, row, sum};
use super::table::{CUSTOMER, DISTRICT, HISTORY, LINE, ORDER, STOCK, WAREHOUSE};
use super::{DISTRICTS, Orders};
use crate::engine::{Engine, Failure, Order, Result};
use std::collections::BTreeMap;

/// A district as its own row and those of others tell of it.
#[derive(Default)]
struct District {
    next_order: i64,
    paid: i64,
    orders: i64,
    last_order: i64,
    lines_of_orders: i64,
    lines: i64,
    history: i64,
}

/// All rows, added up in one scan.
#[derive(Default)]
pub(super) struct Audit {
    warehouses: BTreeMap<u32, i64>,
    districts: BTreeMap<[u32; 2], District>,
    customers: u64,
    stock: u64,
    payments: u64,
    balance: i64,
    paid_by_customers: i64,
    payments_of_customers: i64,
    ordered_of_stock: i64,
    ordered_by_lines: i64,
    orders_of_stock: i64,
}

impl Audit {
    pub(super) fn of(store: &dyn Engine) -> Result<Self> {
        let (mut audit, mut failed) = (Self::default(), None);
        store.scan(&[WAREHOUSE.0], Order::Forward, u64::from(u32::MAX), &mut |key, value| {
            if let Err(error) = audit.see(key, value) {
                failed = Some(error);
            }
        })?;
        failed.map_or(Ok(audit), Err)
    }

    fn see(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (table, [warehouse, number, third, _]) = row::parts(key)?;
        let [first, second, last] = row::fields(value)?;
        let district = self.districts.entry([warehouse, number]);
        match table {
            table if table == WAREHOUSE.0 => _ = self.warehouses.insert(warehouse, first),
            table if table == DISTRICT.0 => {
                let district = district.or_default();
                (district.next_order, district.paid) = (first, second);
            }
            table if table == CUSTOMER.0 => {
                self.customers += 1;
                self.balance += first;
                self.paid_by_customers += second;
                self.payments_of_customers += last;
            }
            table if table == STOCK.0 => {
                self.stock += 1;
                self.ordered_of_stock += second;
                self.orders_of_stock += last;
            }
            table if table == ORDER.0 => {
                let district = district.or_default();
                district.orders += 1;
                district.last_order = district.last_order.max(i64::from(third));
                district.lines_of_orders += second;
            }
            table if table == LINE.0 => {
                district.or_default().lines += 1;
                self.ordered_by_lines += second;
            }
            table if table == HISTORY.0 => {
                self.payments += 1;
                district.or_default().history += first;
            }
            _ => return Err(Failure::from(format!("a row of no table: {key:?}"))),
        }
        Ok(())
    }

    pub(super) fn check(&self, orders: &Orders, kept: &[Kept]) -> Result<()> {
        self.check_counts(orders, kept)?;
        self.districts.iter().try_for_each(|(at, district)| district.check(at))?;
        self.check_sums()
    }

    /// Nothing acknowledged is missing, and nothing is there twice.
    fn check_counts(&self, orders: &Orders, kept: &[Kept]) -> Result<()> {
        let districts = u64::from(orders.warehouses * DISTRICTS);
        let expected = [
            ("warehouses", u64::from(orders.warehouses), self.warehouses.len() as u64),
            ("districts", districts, self.districts.len() as u64),
            ("customers", districts * u64::from(orders.customers), self.customers),
            ("rows of stock", u64::from(orders.warehouses * orders.items), self.stock),
            ("orders", sum(kept, |kept| &kept.orders), self.add_up(|district| district.orders) as u64),
            ("rows of history", sum(kept, |kept| &kept.payments), self.payments),
        ];
        expected.iter().try_for_each(|(what, expected, found)| {
            holds(expected == found, || format!("{found} {what} instead of {expected}"))
        })
    }

    fn add_up(&self, of: impl Fn(&District) -> i64) -> i64 {
        self.districts.values().map(of).sum()
    }

    fn check_sums(&self) -> Result<()> {
        for (warehouse, paid) in &self.warehouses {
            let own = self.districts.range([*warehouse, 0]..[*warehouse + 1, 0]);
            let of_districts: i64 = own.map(|(_, district)| district.paid).sum();
            holds(*paid == of_districts, || {
                format!("warehouse {warehouse} was paid {paid}, its districts {of_districts}")
            })?;
        }
        let history = self.add_up(|district| district.history);
        let equal = [
            ("paid by customers", self.paid_by_customers, history),
            ("owed by customers", self.balance, -history),
            ("payments of customers", self.payments_of_customers, self.payments as i64),
            ("taken from stock", self.ordered_of_stock, self.ordered_by_lines),
            ("orders of stock", self.orders_of_stock, self.add_up(|district| district.lines)),
        ];
        equal.iter().try_for_each(|(what, found, expected)| {
            holds(found == expected, || format!("{what}: {found} instead of {expected}"))
        })
    }
}

impl District {
    fn check(&self, at: &[u32; 2]) -> Result<()> {
        let Self { next_order, orders, last_order, lines_of_orders, lines, paid, history } = self;
        holds(next_order - 1 == *orders && orders == last_order, || {
            format!("district {at:?}: next order {next_order}, {orders} orders, the last is {last_order}")
        })?;
        holds(lines_of_orders == lines, || {
            format!("district {at:?}: {lines} lines, its orders speak of {lines_of_orders}")
        })?;
        holds(paid == history, || format!("district {at:?}: {paid} paid, {history} by its history"))
    }
}
