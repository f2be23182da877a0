//! A door for fuzz targets: what they make up is sealed here, so that a checksum does not stop every mutation before the code behind it.

use super::head::{FOOTER_BYTES, HEADER_BYTES, Seed, seal_footer, seal_header};
use super::layout::{Footer, Tail, seal_block, seal_tail};
use super::locate::Places;
use aether_types::{FileId, PageNo, StoreId};

/// Stamps the checksums of `bytes`, which were the run `before` of `store`: of the header, of blocks that differ, of tail and footer.
/// Blocks lie where `before` has them. Nothing is stamped of a `before` that is no run.
pub fn seal_run(before: &[u8], bytes: &mut [u8], store: StoreId, file: FileId) {
    let seed = Seed::new(store, file);
    let Some(places) = places(before, seed, file).filter(|_| bytes.len() == before.len()) else { return };
    seal_header(bytes, store, file);
    for page in (1..places.end()).map(PageNo::new) {
        let place = places.of(page).map(|place| place.start as usize..place.end as usize);
        let Some(place) = place.filter(|place| bytes[place.clone()] != before[place.clone()]) else {
            continue;
        };
        seal_block(seed, page, &mut bytes[place]);
    }
    seal_tail(seed, bytes);
    seal_footer(seed, bytes);
}

/// Where the blocks of a sound run lie.
fn places(run: &[u8], seed: Seed, file: FileId) -> Option<Places> {
    run.len().checked_sub(FOOTER_BYTES)?;
    let footer = Footer::decode(seed, run, run.len() as u64).ok()?;
    let tail = &run[footer.tail_at as usize..(footer.tail_at + footer.tail_bytes) as usize];
    let block_bytes = footer.tail_at - HEADER_BYTES as u64;
    let tail = Tail::decode(tail, file, run.len() as u64, block_bytes).ok()?;
    Some(Places::new(tail.lengths))
}
