//! Tables and figures in Markdown.

use std::fmt;

/// A table, a row a line.
pub(super) struct Table(Vec<String>);

impl Table {
    /// A table of words.
    pub(super) fn text(head: &[&str]) -> Self {
        Self::aligned(head, "---|")
    }

    /// A table of figures.
    pub(super) fn figures(head: &[&str]) -> Self {
        Self::aligned(head, "---:|")
    }

    fn aligned(head: &[&str], column: &str) -> Self {
        let mut table = Self(Vec::new());
        table.row(head);
        table.0.push(format!("|---|{}", column.repeat(head.len() - 1)));
        table
    }

    pub(super) fn row(&mut self, cells: &[&str]) {
        self.0.push(format!("| {} |", cells.join(" | ")));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// Three digits.
pub(super) fn digits(figure: f64) -> String {
    match figure {
        figure if figure < 9.995 => format!("{figure:.2}"),
        figure if figure < 99.95 => format!("{figure:.1}"),
        figure => format!("{figure:.0}"),
    }
}

/// Nanoseconds in the unit that fits.
pub(super) fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{} us", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

/// Bytes in MiB.
pub(super) fn bytes(bytes: f64) -> String {
    format!("{} MiB", digits(bytes / f64::from(1 << 20)))
}

/// So many per second, in thousands.
pub(super) fn rate(per_second: f64) -> String {
    format!("{} k", digits(per_second / 1e3))
}

/// A factor.
pub(super) fn ratio(factor: f64) -> String {
    digits(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!([740.2, 1_234.0, 45_670.0, 1.5e9].map(time), ["740 ns", "1.23 us", "45.7 us", "1.50 s"]);
        assert_eq!(bytes(f64::from(3 << 20)), "3.00 MiB");
        assert_eq!(ratio(123.4), "123");
        assert_eq!(rate(45_670.0), "45.7 k");
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::figures(&["", "a"]);
        table.row(&["x", "1"]);
        assert_eq!(table.to_string(), "|  | a |\n|---|---:|\n| x | 1 |\n");
    }
}
