//! The versions of a row that a flush hands over.

use super::cell::Cell;
use super::flush::Leaver;
use super::write_out::is_settled;
use crate::rows::{Stop, long_row_before, with_record};
use crate::skiplist::{Entry, Guard};
use aether_page::UndoPtr;
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ChainWalk, Outcome, TxnManager, UndoKind};
use aether_types::{Psn, Timestamp, TxnId};

/// The versions of a row, the newest first, down to the one that the oldest snapshot sees; or the number of its newest change, if
/// that is not settled.
pub(super) fn versions(
    manager: &Arc<TxnManager>,
    pin: &Guard<'_>,
    entry: &Entry<'_>,
    key: &[u8],
) -> Result<Result<Vec<Leaver>, Psn>, Stop> {
    let payload = entry.payload();
    let Some(cell) = Cell::of(pin, payload) else { return Ok(Ok(Vec::new())) };
    let Some(newest) = cell.to_row() else { return Ok(Ok(Vec::new())) };
    let mut found = Vec::new();
    if let Some(version) = newest.version {
        if !is_settled(manager, version.0) {
            return if entry.payload() == payload { Ok(Err(cell.psn())) } else { Err(Stop::Restart) };
        }
        let at = committed_at(manager, version.0)?;
        found.push(Leaver::new(key, at, newest));
        // Asked after the row was found to be settled: whoever takes a snapshot from then on sees it.
        let oldest = if at.get() == 0 { at } else { manager.oldest_snapshot() };
        older(manager, key, version, oldest, &mut found)?;
    } else {
        found.push(Leaver::new(key, Timestamp::new(0), newest));
    }
    // Whoever is rolled back has changed the row before it is forgotten.
    if entry.payload() == payload { Ok(Ok(found)) } else { Err(Stop::Restart) }
}

/// 0 for a writer that is forgotten.
fn committed_at(manager: &TxnManager, writer: TxnId) -> Result<Timestamp, Stop> {
    match manager.outcome(writer) {
        None => Ok(Timestamp::new(0)),
        Some(Outcome::Committed(at)) => Ok(at),
        Some(_) => Err(Stop::Restart),
    }
}

/// Adds what stood before a version, down to what the snapshot `oldest` sees.
fn older(
    manager: &TxnManager,
    key: &[u8],
    mut version: (TxnId, UndoPtr),
    oldest: Timestamp,
    found: &mut Vec<Leaver>,
) -> Result<(), Stop> {
    let mut walk = ChainWalk::default();
    while found.last().is_some_and(|last| last.at > oldest) {
        let (writer, undo) = version;
        walk.visit(undo)?;
        let bytes = manager.read_undo(undo)?;
        let before = with_record(bytes, key, writer, |record| {
            if record.kind == UndoKind::Insert {
                return Ok(None);
            }
            // Of what one transaction wrote, only its last is a version.
            let at = match record.version {
                Some((before, _)) if before == writer => None,
                Some((before, _)) => Some(committed_at(manager, before)?),
                None => Some(Timestamp::new(0)),
            };
            if let Some(at) = at {
                let row = long_row_before(manager, record)?.ok_or(Stop::Restart)?;
                found.push(Leaver::new(key, at, row));
            }
            Ok(record.version)
        })?;
        let Some(before) = before else { break };
        version = before;
    }
    Ok(())
}
