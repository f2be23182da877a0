//! What is told of transactional workloads beside their times.

use super::table::{Table, digits, rate};
use super::{Results, compared};
use crate::adapters;
use crate::cell::Figures;
use crate::workload::Workload;

/// The column that is compared with those of other engines, which are serializable too.
pub(super) const OWN: &str = "aether serializable";

pub(super) const NOTE: &str = "Transactions read before they write, and run again when another got in the way; times are per committed \
one, retries included. *Orders* is a mix like that of TPC-C's new-order and payment, half each: a new order reads its warehouse, takes \
its district's next number, inserts the order and up to 15 lines and updates as many rows of stock; a payment updates warehouse, \
district and customer and inserts a row of history. With one warehouse every payment updates the same row, which every new order reads: to be serializable, one of the two \
waits or runs again. *Accounts*, after YCSB-T, \
reads and updates one or two accounts by Zipf's law (0.99). *Synced each second*: as sustained puts; else nothing is synced. After \
each cell the books are checked: no order lost or doubled, sums of payments, stock and balances; a cell whose books are wrong fails.";

/// How the columns keep transactions apart, commits per second, attempts thrown away.
pub(super) fn tables(results: &Results, workloads: &[&Workload]) -> String {
    let per_second = |figures: &Figures| Some(rate(1e9 / figures.wall_ns));
    let thrown_away = |figures: &Figures| Some((figures.attempts? - 1.0) * 100.0);
    let shown = |figures: &Figures| thrown_away(figures).map(digits);
    format!(
        "Committed transactions per second:\n\n{}Attempts thrown away per 100 commits:\n\n{}How transactions are kept \
         apart:\n\n{}\n",
        compared(results, workloads, |figures| Some(figures.wall_ns), per_second),
        compared(results, workloads, thrown_away, shown),
        levels(&results.columns(workloads))
    )
}

fn levels(columns: &[&str]) -> Table {
    let mut table = Table::text(&["", "isolation"]);
    columns.iter().filter_map(|name| adapters::find_level(name).ok()).for_each(|level| {
        table.row(&[level.name, level.isolation]);
    });
    table
}
