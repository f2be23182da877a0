//! A door for fuzz targets, which no program needs: each decoder with its encoder, and the seal of the control file.

use crate::control::{HEAD_BYTES, SLOT_BYTES, SLOTS, frame, parse};
use crate::group;
use crate::rows::RowOp;
use aether_types::{PageNo, PageSize, Reader, Result, Writer, checksum};

/// Bytes of a control file.
pub const CONTROL_BYTES: usize = SLOTS * SLOT_BYTES;

/// Bytes of a slot of it.
pub const CONTROL_SLOT_BYTES: usize = SLOT_BYTES;

/// Offset of the checksum in a slot of the control file.
const SUM_AT: usize = 24;

/// Reads the body of a group, and writes it again.
///
/// # Errors
/// `Corruption`.
pub fn group_again(body: &[u8], page_size: PageSize) -> Result<Vec<u8>> {
    any_group_again(body, group::GROUP, page_size)
}

/// The same of a group with rows.
///
/// # Errors
/// `Corruption`.
pub fn rows_group_again(body: &[u8], page_size: PageSize) -> Result<Vec<u8>> {
    any_group_again(body, group::ROWS_GROUP, page_size)
}

fn any_group_again(body: &[u8], kind: u8, page_size: PageSize) -> Result<Vec<u8>> {
    let mut reader = Reader::new(body);
    let mut out = Vec::new();
    let (txn, pages) = group::read_head(&mut reader)?;
    group::put_head(&mut out, txn, pages as usize);
    for _ in 0..pages {
        let part = group::read_page(&mut reader, page_size)?;
        group::put_page(&mut out, part.file, part.page, part.psn, part.ops.len());
        part.ops.iter().for_each(|op| op.encode(&mut out));
    }
    let stripes = group::read_stripes(&mut reader, kind)?;
    if kind == group::ROWS_GROUP {
        out.put_varint(stripes);
    }
    for _ in 0..stripes {
        let (place, count) = group::read_stripe_head(&mut reader)?;
        group::put_stripe(&mut out, place, count as usize);
        (0..count).try_for_each(|_| RowOp::decode(&mut reader, page_size).map(|op| op.encode(&mut out)))?;
    }
    reader.finish()?;
    Ok(out)
}

/// Reads the body of a checkpoint record, and writes it again.
///
/// # Errors
/// `Corruption`.
pub fn checkpoint_again(body: &[u8]) -> Result<Vec<u8>> {
    group::read_checkpoint(body).map(|active| group::checkpoint(&active))
}

/// Reads a slot of the control file, and writes it again.
///
/// # Errors
/// `Corruption`; `Unsupported` for another version; `OverLimit` for what a slot does not hold.
pub fn control_again(slot: &[u8]) -> Result<Vec<u8>> {
    let control = parse(slot)?;
    let body = control.encode()?;
    Ok(frame(&body, control.features)[..HEAD_BYTES + body.len()].to_vec())
}

/// Stamps the checksums of the slots of a control file.
pub fn seal_control(file: &mut [u8]) {
    file.chunks_mut(SLOT_BYTES).for_each(seal_slot);
}

fn seal_slot(slot: &mut [u8]) {
    let Some((head, body)) = slot.split_at_mut_checked(HEAD_BYTES) else { return };
    let length = u32::from_le_bytes([head[20], head[21], head[22], head[23]]) as usize;
    let Some(body) = body.get(..length) else { return };
    let sum = checksum(0, &[&head[..SUM_AT], body].concat());
    head[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
}

/// The operations that the body of a group has for each page, as bytes.
///
/// # Errors
/// `Corruption`.
pub fn page_ops(body: &[u8], page_size: PageSize) -> Result<Vec<(PageNo, Vec<u8>)>> {
    let mut reader = Reader::new(body);
    let (_, pages) = group::read_head(&mut reader)?;
    let mut part = || {
        let part = group::read_page(&mut reader, page_size)?;
        let mut ops = Vec::new();
        part.ops.iter().for_each(|op| op.encode(&mut ops));
        Ok((part.page, ops))
    };
    (0..pages).map(|_| part()).collect()
}

/// Whether the body of a record of this kind is a group without rows.
pub fn is_group(kind: u8) -> bool {
    kind == group::GROUP
}
