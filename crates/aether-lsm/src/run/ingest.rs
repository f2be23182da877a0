//! Bulk loading: sorted rows into a run, past memtable and log.

use super::build::{BuildOptions, RunBuilder};
use super::home::RunHome;
use super::info::RunInfo;
use super::version::{Entry, Kind};
use aether_types::{FileId, Result, Timestamp};

/// Makes a run of `rows`, which come by rising key, each key once; all of them were committed at `timestamp` (0: every snapshot
/// sees them). None, and no file, if there are no rows. Blocks until the run is durable.
///
/// # Errors
/// `InvalidInput` naming the key that is out of order, there twice, or too long; whatever `rows` brings or the disk refuses. Then
/// no file is left.
pub fn ingest<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    home: &RunHome,
    file: FileId,
    options: BuildOptions,
    timestamp: Timestamp,
    rows: impl IntoIterator<Item = Result<(K, V)>>,
) -> Result<Option<RunInfo>> {
    let mut builder = RunBuilder::new(home, file, options)?;
    for row in rows {
        let (key, value) = row?;
        let (key, value) = (key.as_ref(), value.as_ref());
        builder.add(&Entry { key, timestamp, kind: Kind::Value, value })?;
    }
    builder.finish()
}
