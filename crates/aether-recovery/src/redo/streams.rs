//! The records of all streams, so that a page's changes come nearly in their order.
//!
//! Whoever needs what another stream holds says so in its vector: that stream is read on before anything else. So the
//! changes that wait for others are few, however long the log is. They are not none: the first records after the redo start may
//! need what their vectors do not say any more.

use aether_types::{Lv, Result, StreamId};
use aether_wal::{Record, Records, Scan};

struct Stream<'s> {
    id: StreamId,
    records: Records<'s>,
    over: bool,
}

/// Calls `each` for every record from `from` to the cut. Blocks.
///
/// # Errors
/// As [`Scan::for_each`].
pub(super) fn for_each(
    scan: &Scan,
    from: &Lv,
    each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
) -> Result<()> {
    let stream = |id| Ok(Stream { id, records: scan.records(id, from.get(id))?, over: false });
    let mut streams = scan.streams().map(stream).collect::<Result<Vec<_>>>()?;
    let mut at = 0;
    while let Some(stream) = streams.get_mut(at) {
        match stream.records.next()? {
            Some(record) => {
                each(&record)?;
                let needed = record.lv;
                at = behind(&streams, &needed).unwrap_or(at);
            }
            None => {
                stream.over = true;
                at = streams.iter().position(|stream| !stream.over).unwrap_or(streams.len());
            }
        }
    }
    Ok(())
}

/// A stream that has not been read up to `needed`.
fn behind(streams: &[Stream<'_>], needed: &Lv) -> Option<usize> {
    streams.iter().position(|stream| !stream.over && stream.records.position() < needed.get(stream.id))
}
