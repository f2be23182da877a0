//! What every engine's file needs: the table that is meant, failures that name the path, and the way of rows to
//! the loader.

use crate::arguments::{Common, Import};
use crate::exit::{Exit, Failure, Outcome};
use crate::home;
use crate::load::{self, Destination, Next, Progress, Row, Rules, Source};
use crate::output::Output;
use std::path::Path;

/// Tables that a failure names at the most.
const NAMED_TABLES_MAX: usize = 20;

/// An import that is to be done.
pub(super) struct Job<'a> {
    common: &'a Common,
    pub(super) arguments: &'a Import,
}

impl<'a> Job<'a> {
    /// The job of the arguments; the path must be there.
    pub(super) fn new(common: &'a Common, arguments: &'a Import) -> Outcome<Self> {
        let job = Self { common, arguments };
        match arguments.path.try_exists() {
            Ok(true) => Ok(job),
            Ok(false) => Err(job.failure(Exit::BadInput, "there is nothing")),
            Err(error) => Err(job.failure(Exit::System, &error.to_string())),
        }
    }

    /// The path of the source.
    pub(super) fn path(&self) -> &Path {
        &self.arguments.path
    }

    /// A failure that names the source.
    pub(super) fn failure(&self, exit: Exit, what: &str) -> Failure {
        Failure::new(exit, format!("{}: {what}", self.path().display()))
    }

    /// The table that is meant: the one that `--table` names, or the only one.
    pub(super) fn choose(&self, what: &str, mut tables: Vec<String>) -> Outcome<String> {
        tables.sort();
        match &self.arguments.table {
            Some(wanted) if tables.contains(wanted) => Ok(wanted.clone()),
            Some(wanted) => {
                let told = format!("there is no {what} \"{wanted}\"; {}", listed(&tables));
                Err(self.failure(Exit::BadInput, &told))
            }
            None if tables.len() == 1 => Ok(tables.remove(0)),
            None => {
                let told = format!("which {what}? --table chooses; {}", listed(&tables));
                Err(self.failure(Exit::BadInput, &told))
            }
        }
    }

    /// Loads the rows, of which there may be so many, into the keyspace. Blocks.
    pub(super) fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        rows: impl Iterator<Item = Outcome<(K, V)>>,
        rows_total: Option<u64>,
    ) -> Outcome {
        let env = home::open_for_load(&home::path(self.common))?;
        let rules = Rules::new(&self.arguments.batches);
        let progress = Progress::of_rows(rows_total);
        let to = Destination { env, keyspace: &self.arguments.keyspace.keyspace, rules, progress };
        let done = to.fill(&mut Rows { rows, count: 0, bytes: 0 }, self.arguments.batches.acknowledge);
        let name = self.path().display().to_string();
        let (report, elapsed) = done.map_err(|failure| failure.within(&name, ""))?;
        load::tell(&report, elapsed, &mut Output::new(self.common.format))?;
        Ok(Exit::Done)
    }
}

fn listed(tables: &[String]) -> String {
    let named = &tables[..tables.len().min(NAMED_TABLES_MAX)];
    let more = match tables.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if named.is_empty() { "there is none".into() } else { format!("there are: {}{more}", named.join(", ")) }
}

/// An iterator as a source.
struct Rows<I> {
    rows: I,
    count: u64,
    bytes: u64,
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>, I: Iterator<Item = Outcome<(K, V)>>> Source for Rows<I> {
    fn next(&mut self, row: &mut Row) -> Outcome<Next> {
        self.count += 1;
        let Some(next) = self.rows.next() else { return Ok(Next::End) };
        let (key, value) = next?;
        row.set(key.as_ref(), value.as_ref());
        self.bytes += (row.key.len() + row.value.len()) as u64;
        Ok(Next::Row)
    }

    fn place(&self) -> String {
        format!("row {}", self.count)
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Only some engines have such tables; in the others no key is there twice.
    fn may_repeat_keys(&self) -> bool {
        true
    }
}
