//! Target `checkpoint`: what says where recovery starts. The first byte of the input tells which.
//!
//! | value, modulo 3 | the rest of the input |
//! |---|---|
//! | 0 | the body of a checkpoint record |
//! | 1 | seal (1), and a control file |
//! | 2 | seal (1), a double-write area, and a page file |

use super::input::Input;
use super::{disk, expect_damage, stays};
use crate::shape;
use aether_kv::buffer::page::PageFile;
use aether_kv::buffer::{BATCH_PAGES, DOUBLE_WRITE_NAME, DoubleWrite};
use aether_kv::lsm::index::txn::recovery::PAGES_FILE;
use aether_kv::lsm::index::txn::recovery::fuzzing::{
    CONTROL_BYTES, CONTROL_SLOT_BYTES, checkpoint_again, control_again, seal_control,
};
use aether_sync::Arc;
use aether_types::{PageSize, StoreId, checksum};
use aether_vfs::Env;

/// Bytes of a header block of the double-write area.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Bytes of a file at the most.
const FILE_BYTES_MAX: usize = 128 << 10;
/// The offset of the store's id in a double-write area.
const STORE_AT: usize = 16;

/// Reads what says where recovery starts.
pub fn checkpoint(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => stays("a checkpoint", checkpoint_again, input.rest()),
        1 => control(&mut input),
        _ => double_write(&mut input),
    }
}

fn control(input: &mut Input<'_>) {
    let sealed = input.byte() % 2 == 1;
    let mut file = input.file(CONTROL_BYTES);
    if sealed {
        seal_control(&mut file);
    }
    file.chunks(CONTROL_SLOT_BYTES).for_each(|slot| stays("a slot of the control file", control_again, slot));
}

fn double_write(input: &mut Input<'_>) {
    let sealed = input.byte() % 2 == 1;
    let (mut area, pages) = (input.file(FILE_BYTES_MAX), input.file(FILE_BYTES_MAX));
    let store = store_of(&area);
    if sealed {
        seal_block(&mut area, store);
    }
    let env = disk::empty();
    disk::put(&env, DOUBLE_WRITE_NAME, &area);
    disk::put(&env, "pages", &pages);
    if let Err(error) = repair(&env, store, &area) {
        expect_damage("a double-write area", &error);
    }
}

/// Restores what the area has; a second time there is nothing left to restore.
fn repair(env: &Env, store: StoreId, area: &[u8]) -> Result<(), aether_kv::Error> {
    let before = DoubleWrite::open(env, shape::home(), store, PageSize::MIN)?;
    let path = shape::home().join("pages");
    let file = Arc::new(PageFile::open(&*env.vfs, &path, store, PAGES_FILE, PageSize::MIN)?);
    let find = |id| (id == PAGES_FILE).then(|| file.clone());
    let restored = before.repair(&find)?;
    assert!(restored <= BATCH_PAGES && restored <= area.len() / BLOCK_BYTES, "{restored} pages restored");
    let again = DoubleWrite::open(env, shape::home(), store, PageSize::MIN)?;
    assert_eq!(again.log_durable(), before.log_durable());
    assert_eq!(again.repair(&find)?, 0, "after {restored} pages");
    Ok(())
}

fn store_of(area: &[u8]) -> StoreId {
    let told = area.get(STORE_AT..).and_then(|rest| rest.first_chunk());
    StoreId::new(*told.unwrap_or(&[0; 16]))
}

/// Stamps the checksum of the header of a double-write area.
pub(super) fn seal_block(area: &mut [u8], store: StoreId) {
    let Some(block) = area.first_chunk_mut::<BLOCK_BYTES>() else { return };
    let (body, sum) = block.split_at_mut(BLOCK_BYTES - 8);
    sum.copy_from_slice(&checksum(store.seed(), body).to_le_bytes());
}
