//! Extents of large values that were replaced: listed in the catalog by the transaction that replaced them, until nobody can see them and they
//! are free. So a crash before that does not lose their space: the next open goes on with the list.

#[cfg(test)]
mod tests;

use crate::buffer::page::UndoPtr;
use crate::buffer::page::overflow::Stub;
use crate::catalog::Catalog;
use crate::env::Inner;
use crate::lsm::index::KindsUndo;
use crate::lsm::index::rows::{Listed, extents_by_group};
use crate::lsm::index::txn::recovery::ActiveTxn;
use crate::lsm::index::txn::{ReadView, Txn, TxnManager, UndoHandler, UndoRecord};
use aether_sync::Arc;
use aether_types::{Error, ErrorKind, PageNo, Reader, Result, Writer};

/// Undo in a home.
pub(crate) struct ListingUndo(pub(crate) KindsUndo);

impl UndoHandler for ListingUndo {
    fn undo(
        &self,
        manager: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        self.0.undo(manager, txn, pointer, record)
    }

    fn list_retired(&self, txn: &mut Txn, stub: &[u8]) -> Result<()> {
        match extents_by_group(txn.store(), stub) {
            // A damaged value can be replaced; where its extents are nobody knows.
            Err(error) if error.kind() == ErrorKind::Corruption => Ok(()),
            groups => Catalog::new(txn.manager()).put_retired(txn, groups?),
        }
    }

    fn free_extents(&self, manager: &Arc<TxnManager>, stubs: &[Vec<u8>]) -> Result<()> {
        let (mut rows, mut failed) = (Vec::with_capacity(stubs.len()), Ok(()));
        for stub in stubs {
            match extents_by_group(manager.store(), stub) {
                Ok(groups) => rows.extend(groups.into_iter().map(listed)),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        rows.sort_unstable();
        let (catalog, mut left) = (Catalog::new(manager), &rows[..]);
        while let Some(first) = left.first() {
            // Should something be wrong with one of several, each goes by itself.
            let several = catalog.tree().remove_with_extents(left);
            let done = several.or_else(|_| catalog.tree().remove_with_extents(core::slice::from_ref(first)));
            left = &left[*done.as_ref().unwrap_or(&1)..];
            failed = failed.and(done.map(drop));
        }
        failed
    }
}

impl Inner {
    /// Goes on with what the last open has listed.
    pub(crate) fn find_retired(&self) -> Result<()> {
        self.txns.resume_retired(self.catalog.retired(&self.txns.view())?);
        Ok(())
    }
}

/// A row of the list: extents that are freed in one group, by the first page of the first.
fn listed(extents: Vec<(PageNo, u64)>) -> Listed {
    let first = extents.first().map_or(0, |(first, _)| first.get());
    Listed { key: [&b"r"[..], &first.to_be_bytes()].concat(), extents }
}

/// The value of a row: per extent its page count, and between them what lies between two, in pages.
fn encode(extents: &[(PageNo, u64)]) -> Vec<u8> {
    let (mut out, mut end) = (Vec::new(), None);
    for (first, pages) in extents {
        if let Some(end) = end {
            out.put_varint(first.get() - end);
        }
        out.put_varint(*pages);
        end = Some(first.get() + pages);
    }
    out
}

/// The extents of a row, as the stub of a value.
fn decode(key: &[u8], row: &[u8]) -> Result<Vec<u8>> {
    let wrong = || Error::corruption("a damaged list of extents to be freed").at_key(key);
    let mut reader = Reader::new(row);
    let (mut first, mut extents) = (u64::from_be_bytes(key.try_into().map_err(|_| wrong())?), Vec::new());
    loop {
        let pages = reader.varint()?;
        extents.push((PageNo::new(first), pages));
        let end = first.checked_add(pages).ok_or_else(wrong)?;
        if reader.remaining() == 0 {
            break;
        }
        first = end.checked_add(reader.varint()?).ok_or_else(wrong)?;
    }
    let mut stub = Vec::with_capacity(Stub::len_bytes(extents.len()));
    Stub { len: 0, checksum: 0, listed: 0, extents }.encode(&mut stub);
    Stub::decode(&stub).map(|_| stub)
}

impl Catalog {
    fn put_retired(&self, txn: &mut Txn, groups: Vec<Vec<(PageNo, u64)>>) -> Result<()> {
        groups
            .into_iter()
            .map(listed)
            .try_for_each(|row| self.tree().put(txn, &row.key, &encode(&row.extents)))
    }

    /// Extents that are listed, each row as the stub of a value.
    pub(crate) fn retired(&self, view: &ReadView) -> Result<Vec<Vec<u8>>> {
        self.with_prefix(view, b'r', decode)
    }
}
