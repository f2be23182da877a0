//! What every page of a file was last written with, in a file of its own: it finds writes that a device lost (P3).
//!
//! A page whose write was lost is an older version of itself, with a right checksum. While the file is open the
//! translation array remembers what was written; this table remembers it from one open to the next. A load whose
//! page has another PSN than the table says is refused.
//!
//! Rule: before the redo start moves, the table is durable for every page write that was synced when the new start was
//! computed. So a page that the log from there on does not tell of has on disk the PSN that the table says. A page that it does tell
//! of is brought up to date, and needs no table; entries may therefore be newer than the redo start, and the table
//! needs no log of its own.
//!
//! ```text
//! blocks of 4096 bytes: checksum of the entries (8; seed: store seed, then FileId and block number as pieces),
//!                       2044 entries (2 each): 0 unknown, else 1 + PSN modulo 65535
//! the entry of page p is entry p % 2044 of block p / 2044; a block of zeros was never written
//! ```
//!
//! A block that is damaged, or torn by a crash, says nothing; the next write of one of its entries makes it whole.
//!
//! The idea is Oracle's lost-write protection, which asks a standby for the same number.

use crate::rank;
use aether_sync::{Arc, Mutex};
use aether_types::{FileId, Hasher, PageNo, Psn, Result, StoreId};
use aether_vfs::{Create, Env, File, OpenOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BLOCK_BYTES: usize = 4096;
const ENTRIES: u64 = ((BLOCK_BYTES - 8) / 2) as u64;
/// Page writes gathered before they go to the table.
const PENDING_MAX: usize = 4096;

/// The name of the table of a page file inside a home.
pub fn psn_table_name(file: FileId) -> String {
    format!("psns-{:08x}", file.get())
}

/// What the table keeps of a PSN; never 0.
pub(crate) fn mark(psn: Psn) -> u16 {
    (psn.get() % 65535) as u16 + 1
}

/// The table of one page file.
pub struct PsnTable {
    file: Arc<dyn File>,
    id: FileId,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Synced page writes that are not in the file yet.
    pending: BTreeMap<PageNo, Psn>,
    /// Blocks that were read by [`PsnTable::learn`].
    learnt: BTreeSet<u64>,
    /// Something was written since the last sync.
    is_unsynced: bool,
}

/// The entries of a block.
type Entries = [u8; BLOCK_BYTES - 8];

impl PsnTable {
    /// Memory that a table may take, in bytes.
    pub(crate) const MEMORY_BYTES: u64 = (PENDING_MAX * 32) as u64;

    /// Opens the table of `file` in `home`, or creates an empty one, which knows nothing. The caller syncs the
    /// directory before the first page is written.
    ///
    /// # Errors
    /// Of the file.
    pub fn open(env: &Env, home: &Path, store: StoreId, file: FileId) -> Result<Self> {
        let options = OpenOptions::write(Create::IfMissing);
        let table = env.vfs.open(&home.join(psn_table_name(file)), options)?;
        Ok(Self {
            file: table,
            id: file,
            seed: store.seed(),
            state: Mutex::new(rank::PSN_TABLE, State::default()),
        })
    }

    /// Takes note of page writes that were synced; now and then writes what it has noted. Not durable yet.
    pub(crate) fn note(&self, pages: impl Iterator<Item = (PageNo, Psn)>) -> Result<()> {
        let mut state = self.state.lock();
        state.pending.extend(pages);
        if state.pending.len() >= PENDING_MAX { self.write_pending(&mut state) } else { Ok(()) }
    }

    /// Makes everything noted durable; blocks.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut state = self.state.lock();
        self.write_pending(&mut state)?;
        if state.is_unsynced {
            self.file.sync()?;
            state.is_unsynced = false;
        }
        Ok(())
    }

    /// Tells `see` what is known of the pages near `page`, once per block and open.
    pub(crate) fn learn(&self, page: PageNo, mut see: impl FnMut(PageNo, u16) -> Result<()>) -> Result<()> {
        let block = page.get() / ENTRIES;
        let mut state = self.state.lock();
        if state.learnt.contains(&block) {
            return Ok(());
        }
        let entries = self.read(block)?.unwrap_or([0; _]);
        for (entry, page) in entries.chunks_exact(2).zip(block * ENTRIES..) {
            match u16::from_le_bytes([entry[0], entry[1]]) {
                0 => {}
                known => see(PageNo::new(page), known)?,
            }
        }
        state.learnt.insert(block);
        Ok(())
    }

    fn write_pending(&self, state: &mut State) -> Result<()> {
        let pending = std::mem::take(&mut state.pending);
        let mut rest = pending.into_iter().peekable();
        while let Some((page, _)) = rest.peek() {
            let block = page.get() / ENTRIES;
            let mut entries = self.read(block)?.unwrap_or([0; _]);
            while let Some((page, psn)) = rest.next_if(|(page, _)| page.get() / ENTRIES == block) {
                let at = 2 * (page.get() % ENTRIES) as usize;
                entries[at..at + 2].copy_from_slice(&mark(psn).to_le_bytes());
            }
            state.is_unsynced = true;
            let sum = self.checksum(block, &entries).to_le_bytes();
            self.file.write_at(block * BLOCK_BYTES as u64, &[&sum[..], &entries[..]].concat())?;
        }
        Ok(())
    }

    /// The entries of a block; zeros if it was never written, none if it is damaged.
    fn read(&self, block: u64) -> Result<Option<Entries>> {
        let mut bytes = [0; BLOCK_BYTES];
        self.file.read_at(block * BLOCK_BYTES as u64, &mut bytes)?;
        let (sum, entries) = bytes.split_at(8);
        let entries: Entries = entries.try_into().expect("the rest of a block");
        let is_whole = sum == self.checksum(block, &entries).to_le_bytes();
        let is_fresh = bytes.iter().all(|byte| *byte == 0);
        Ok((is_whole || is_fresh).then_some(entries))
    }

    fn checksum(&self, block: u64, entries: &Entries) -> u64 {
        Hasher::new(self.seed).number(u64::from(self.id.get())).number(block).update(entries).finish()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "the helpers of tests may")]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId::new([4; 16]);
    const FILE: FileId = FileId::new(1);

    fn table(env: &Env) -> PsnTable {
        PsnTable::open(env, Path::new("home"), STORE, FILE).unwrap()
    }

    fn env() -> Env {
        let env = Env::memory();
        env.vfs.create_dir(Path::new("home")).unwrap();
        env
    }

    /// The blocks that are damaged.
    fn damaged_blocks(table: &PsnTable) -> Vec<u64> {
        let blocks = table.file.size().unwrap().div_ceil(BLOCK_BYTES as u64);
        (0..blocks).filter(|block| table.read(*block).unwrap().is_none()).collect()
    }

    fn known(table: &PsnTable, near: u64) -> Vec<(u64, u16)> {
        let mut found = Vec::new();
        let see = |page: PageNo, mark| {
            found.push((page.get(), mark));
            Ok(())
        };
        table.learn(PageNo::new(near), see).unwrap();
        found
    }

    #[test]
    fn what_was_noted_is_known_after_a_reopen_in_every_block() {
        let env = env();
        let (first, last, next) = (PageNo::new(0), PageNo::new(ENTRIES - 1), PageNo::new(ENTRIES));
        let written = table(&env);
        let notes = [(first, Psn::new(1)), (last, Psn::new(70_000)), (next, Psn::new(65_535))];
        written.note(notes.into_iter()).unwrap();
        written.note([(first, Psn::new(2))].into_iter()).unwrap();
        written.settle().unwrap();
        let again = table(&env);
        assert_eq!(known(&again, 5), [(0, mark(Psn::new(2))), (ENTRIES - 1, mark(Psn::new(70_000)))]);
        assert_eq!(known(&again, 6), [], "a block is learnt once");
        assert_eq!(known(&again, ENTRIES + 9), [(ENTRIES, mark(Psn::new(65_535)))]);
        assert_eq!(known(&again, 100 * ENTRIES), []);
        assert_ne!(mark(Psn::new(65_535)), 0);
        assert_eq!(damaged_blocks(&again), []);
    }

    #[test]
    fn many_notes_go_to_the_file_before_they_are_settled() {
        let env = env();
        let written = table(&env);
        written.note((0..PENDING_MAX as u64).map(|page| (PageNo::new(page), Psn::new(3)))).unwrap();
        assert!(written.state.lock().pending.is_empty());
        assert_eq!(known(&table(&env), 0).len(), ENTRIES as usize);
    }

    #[test]
    fn a_damaged_block_says_nothing_and_the_next_write_heals_it() {
        let env = env();
        let written = table(&env);
        written.note([(PageNo::new(1), Psn::new(1)), (PageNo::new(2), Psn::new(1))].into_iter()).unwrap();
        written.settle().unwrap();
        let path = Path::new("home").join(psn_table_name(FILE));
        let raw = env.vfs.open(&path, OpenOptions::write(Create::No)).unwrap();
        for bit in [0, 8 * 8 + 3, 8 * 4095 + 7] {
            let mut byte = [0];
            raw.read_at(bit / 8, &mut byte).unwrap();
            raw.write_at(bit / 8, &[byte[0] ^ 1 << (bit % 8)]).unwrap();
            assert_eq!(damaged_blocks(&table(&env)), [0], "bit {bit}");
            assert_eq!(known(&table(&env), 0), []);
            raw.write_at(bit / 8, &byte).unwrap();
        }
        raw.write_at(9, &[77]).unwrap();
        let healing = table(&env);
        healing.note([(PageNo::new(2), Psn::new(9))].into_iter()).unwrap();
        healing.settle().unwrap();
        assert_eq!(known(&table(&env), 0), [(2, mark(Psn::new(9)))]);
        assert_eq!(damaged_blocks(&table(&env)), []);
    }
}
