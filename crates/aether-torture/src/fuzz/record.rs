//! Target `record`: what the log and undo pages hold. The input is each kind of body at once.

use super::stays;
use aether_kv::Error;
use aether_kv::buffer::page::overflow::{ExtentList, Stub};
use aether_kv::lsm::index::txn::UndoRecord;
use aether_kv::lsm::index::txn::recovery::fuzzing::{checkpoint_again, group_again, rows_group_again};
use aether_kv::wal::fuzzing::vector_again;
use aether_types::PageSize;

/// Reads the input as the body of every record there is; what decodes stays the same.
pub fn record(data: &[u8]) {
    for size in [PageSize::MIN, PageSize::MAX] {
        stays("a group", |bytes| group_again(bytes, size), data);
        stays("a group with rows", |bytes| rows_group_again(bytes, size), data);
    }
    stays("a checkpoint", checkpoint_again, data);
    stays("a vector", vector_again, data);
    stays("an undo record", undo_again, data);
    stays("a stub", stub_again, data);
    stays("a list of extents", extents_again, data);
}

fn undo_again(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let record = UndoRecord::decode(bytes)?;
    let written = record.encode();
    assert_eq!(UndoRecord::decode(&written).ok(), Some(record), "an undo record");
    Ok(written)
}

fn stub_again(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let stub = Stub::decode(bytes)?;
    let mut written = Vec::new();
    stub.encode(&mut written);
    assert!(written == bytes && written.len() == Stub::len_bytes(stub.extents.len()), "{stub:?}");
    Ok(written)
}

fn extents_again(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let extents = ExtentList::decode(bytes, (bytes.len() / 16) as u32)?;
    let mut written = Vec::new();
    ExtentList::encode(&extents, &mut written);
    assert!(written == bytes, "{extents:?}");
    Ok(written)
}
