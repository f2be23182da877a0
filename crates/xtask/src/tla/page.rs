//! The tables of `docs/verification.md` that commands write, told to do so by `--record`.
//!
//! ```text
//! <!-- table NAME: COMMAND -->
//! | heading | .. |
//! |---|---|
//! | a row | .. |
//! <!-- end -->
//! ```
//!
//! A new row takes the place of the one with the same first cells; rows stand in the order of those cells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The page.
const PAGE: &str = "docs/verification.md";

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct Rows {
    table: &'static str,
    /// How many cells tell a row from the others.
    keys: usize,
    rows: BTreeMap<Vec<String>, String>,
}

impl Rows {
    pub(crate) fn new(table: &'static str, keys: usize) -> Self {
        Self { table, keys, rows: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, cells: &[String]) {
        // A bar would end a cell.
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "/")).collect();
        self.take(&format!("| {} |", cells.join(" | ")));
    }

    fn take(&mut self, line: &str) {
        let key = line.split(" | ").take(self.keys).map(str::to_string).collect();
        self.rows.insert(key, line.to_string());
    }

    /// Writes them down.
    ///
    /// # Errors
    /// The page cannot be read or written, or has no such table.
    pub(crate) fn write(&self, root: &Path) -> Result<(), String> {
        let path = root.join(PAGE);
        let wrong = |error: std::io::Error| format!("{PAGE}: {error}");
        let text = fs::read_to_string(&path).map_err(wrong)?;
        fs::write(&path, self.merged(&text)?).map_err(wrong)
    }

    fn merged(&self, text: &str) -> Result<String, String> {
        let mark = format!("<!-- table {}:", self.table);
        let lines: Vec<_> = text.lines().collect();
        let start = lines.iter().position(|line| line.starts_with(&mark));
        let start = start.ok_or_else(|| format!("{PAGE} has no line {mark} .. -->"))?;
        let length = lines[start..].iter().position(|line| *line == "<!-- end -->");
        let end = start + length.ok_or_else(|| format!("{PAGE}: table {} has no end", self.table))?;
        let head = (start + 3).min(end);
        let mut all = Self::new(self.table, self.keys);
        lines[head..end].iter().for_each(|line| all.take(line));
        all.rows.extend(self.rows.clone());
        let rows: Vec<_> = all.rows.values().map(String::as_str).collect();
        Ok([&lines[..head], &rows, &lines[end..]].concat().join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a\n<!-- table t: command -->\n| x | y |\n|---|---|\n| `a` | 1 |\n| `c` | 3 |\n<!-- end -->\nb\n";

    #[test]
    fn a_row_takes_the_place_of_its_like() {
        let mut rows = Rows::new("t", 1);
        rows.add(&["`c`".into(), "4 | 5".into()]);
        rows.add(&["`b`".into(), "2".into()]);
        let expected = TEXT.replace("| `c` | 3 |", "| `b` | 2 |\n| `c` | 4 / 5 |");
        assert_eq!(rows.merged(TEXT).unwrap(), expected);
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        assert!(Rows::new("u", 1).merged(TEXT).unwrap_err().contains("no line <!-- table u:"));
        assert!(Rows::new("t", 1).merged("<!-- table t: x -->\n").unwrap_err().contains("no end"));
    }
}
