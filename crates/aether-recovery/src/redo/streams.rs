//! The records of all streams, so that a page's changes come in their order.
//!
//! What a record needs of other streams stands in its vector and is read first. So the changes that wait for others are few,
//! however long the log is. They are not none: the first records after the redo start may need what their vectors do not
//! say any more.

use aether_types::{Lv, Result, StreamId};
use aether_wal::{Record, Records, Scan};

struct Stream<'s> {
    id: StreamId,
    records: Records<'s>,
}

/// What is done with a record.
type Each<'e> = dyn FnMut(&Record<'_>) -> Result<()> + 'e;

/// None stands for a stream that is over, or whose next record waits for others.
struct Streams<'s>(Vec<Option<Stream<'s>>>);

/// Calls `each` for every record from `from` to the cut. Blocks.
///
/// # Errors
/// As [`Scan::for_each`].
pub(super) fn for_each(scan: &Scan, from: &Lv, each: &mut Each<'_>) -> Result<()> {
    let stream = |id| Ok(Some(Stream { id, records: scan.records(id, from.get(id))? }));
    let mut streams = Streams(scan.streams().map(stream).collect::<Result<_>>()?);
    while let Some(at) = streams.0.iter().position(Option::is_some) {
        streams.read(at, each)?;
    }
    Ok(())
}

impl Streams<'_> {
    /// Reads a record of a stream, and before it what it needs of others. Goes as deep as there are streams, also if a
    /// hostile log has records that need each other.
    fn read(&mut self, at: usize, each: &mut Each<'_>) -> Result<()> {
        let Some(mut stream) = self.0[at].take() else { return Ok(()) };
        let Some(record) = stream.records.next()? else { return Ok(()) };
        while let Some(behind) = self.behind(&record.lv) {
            self.read(behind, each)?;
        }
        each(&record)?;
        self.0[at] = Some(stream);
        Ok(())
    }

    /// A stream that has not been read up to `needed`.
    fn behind(&self, needed: &Lv) -> Option<usize> {
        let is_behind = |stream: &Stream<'_>| stream.records.position() < needed.get(stream.id);
        self.0.iter().position(|stream| stream.as_ref().is_some_and(is_behind))
    }
}
