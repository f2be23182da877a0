//! Target `store`: a small store with some of its bytes changed, opened, read and written to.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | which store, modulo their number |
//! | 1 | bit 0: seal what was changed; bit 1: write to the store and open it once more |
//! | the rest | changes: file (1, modulo their number), pieces over its bytes |

use super::checkpoint::{BLOCK_BYTES, seal_block};
use super::disk;
use super::input::Input;
use crate::allocation;
use crate::damage::design::DESIGNS;
use crate::damage::specimen::Specimen;
use crate::model::{Bytes, Rows, State};
use crate::shape::{self, Shape};
use aether_kv::buffer::DOUBLE_WRITE_NAME;
use aether_kv::buffer::page::seal;
use aether_kv::lsm::index::txn::recovery::CONTROL_NAME;
use aether_kv::lsm::index::txn::recovery::fuzzing::seal_control;
use aether_kv::lsm::run::seal_run;
use aether_kv::wal::fuzzing::seal_segment;
use aether_kv::{DbEnv, Error, ErrorKind, Keyspace, Options, Snapshot};
use aether_sync::{Arc, OnceLock};
use aether_types::{FileId, StoreId};
use aether_vfs::Env;

/// The stores, by name.
pub(super) const STORES: [&str; 5] =
    ["plain-closed", "keyspaces-stopped", "streams-stopped", "extents-closed", "kinds-closed"];
/// The seed that they follow from.
pub(super) const SEED: u64 = 3;
/// Rows of a keyspace that are read at the most: a damaged tree may lead a scan far.
const ROWS_MAX: usize = 20_000;
const SEALED: u8 = 1;
const USED: u8 = 2;
/// The offset of the store's id in the page file's header.
const STORE_AT: usize = 56;

/// A store to be changed.
struct Base {
    files: Vec<(String, Arc<[u8]>)>,
    page_bytes: usize,
    id: StoreId,
    /// What it holds, if it was closed: such a store is excused nothing.
    state: Option<Arc<State>>,
}

fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| STORES.map(|name| Base::new(&specimen(name, SEED))).into())
}

/// The specimen of that name.
pub(super) fn specimen(name: &str, seed: u64) -> Specimen {
    let kinds = DESIGNS.iter().flat_map(|design| [(design, true), (design, false)]);
    let (design, closed) =
        kinds.into_iter().find(|(design, closed)| design.store_name(*closed) == name).expect("a known name");
    Specimen::make(design, seed, closed).unwrap_or_else(|what| panic!("{name}: {what}"))
}

impl Base {
    fn new(specimen: &Specimen) -> Self {
        let files: Vec<_> =
            specimen.files.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        let pages = files.iter().find(|(name, _)| name.starts_with("pages-")).expect("a store has pages");
        let mut id = [0; 16];
        id.copy_from_slice(&pages.1[STORE_AT..STORE_AT + 16]);
        Self {
            page_bytes: specimen.page_bytes as usize,
            id: StoreId::new(id),
            state: specimen.closed.then(|| specimen.history[specimen.history.len() - 1].clone()),
            files,
        }
    }

    /// The files in memory, changed as the input says.
    fn lay(&self, input: &mut Input<'_>, sealed: bool) -> Env {
        let mut files: Vec<Vec<u8>> = self.files.iter().map(|(_, bytes)| bytes.to_vec()).collect();
        while !input.is_empty() {
            let which = usize::from(input.byte()) % files.len();
            input.patch(&mut files[which]);
        }
        let env = disk::empty();
        for ((name, before), mut bytes) in self.files.iter().zip(files) {
            if sealed && bytes[..] != before[..] {
                self.seal(name, before, &mut bytes);
            }
            disk::put(&env, name, &bytes);
        }
        env
    }

    fn seal(&self, name: &str, before: &[u8], bytes: &mut [u8]) {
        match name {
            CONTROL_NAME => seal_control(bytes),
            DOUBLE_WRITE_NAME => {
                seal_block(bytes, self.id);
                self.seal_pages(before.get(BLOCK_BYTES..), bytes.get_mut(BLOCK_BYTES..));
            }
            _ if name.starts_with("log-") => seal_segment(bytes),
            _ if name.starts_with("run-") => seal_run(before, bytes, self.id, file_of(name)),
            _ => self.seal_pages(Some(before), Some(bytes)),
        }
    }

    /// Seals the pages that were changed.
    fn seal_pages(&self, before: Option<&[u8]>, bytes: Option<&mut [u8]>) {
        let before = before.unwrap_or_default().chunks(self.page_bytes);
        let pages = bytes.unwrap_or_default().chunks_mut(self.page_bytes).zip(before);
        pages.filter(|(page, before)| *page != *before).for_each(|(page, _)| seal(page, self.id.seed()));
    }
}

/// The id in a file's name.
fn file_of(name: &str) -> FileId {
    let digits = name.rsplit_once('-').map_or("", |(_, digits)| digits);
    FileId::new(u32::from_str_radix(digits, 16).unwrap_or(1))
}

/// Opens a changed store and uses it.
pub fn store(data: &[u8]) {
    let mut input = Input::new(data);
    let base = &bases()[usize::from(input.byte()) % STORES.len()];
    // What the stores themselves take is not the input's.
    allocation::begin();
    let flags = input.byte();
    let sealed = flags & SEALED != 0;
    let env = base.lay(&mut input, sealed);
    match look(&env, flags & USED != 0) {
        Err(error) => expect_refusal(&error),
        Ok(seen) if !sealed => {
            let state = base.state.as_ref();
            let difference = state.and_then(|state| seen.difference(state));
            assert_eq!(difference, None, "wrong content");
        }
        Ok(_) => {}
    }
}

/// What the store holds, read in every way there is; then, if it is to be `used`, written to and opened once more.
fn look(env: &Env, used: bool) -> Result<State, Error> {
    let store = open(env)?;
    let state = contents(&store)?;
    store.verify()?;
    if used {
        write(&store)?;
        store.close()?;
        contents(&open(env)?)?;
    }
    Ok(state)
}

/// Opens the store in the home, or creates it.
pub(super) fn open(env: &Env) -> Result<DbEnv, Error> {
    // Made once: it asks the system how many processors there are.
    static OPTIONS: OnceLock<Options> = OnceLock::new();
    let options = OPTIONS.get_or_init(|| Shape::new(0).options());
    DbEnv::open_in(env.clone(), shape::home(), options.clone())
}

fn contents(store: &DbEnv) -> Result<State, Error> {
    let snapshot = store.snapshot()?;
    let mut state = State::default();
    for name in store.keyspaces()? {
        let space = store.keyspace(&name)?;
        let rows = rows(&snapshot, &space)?;
        if name != "default" || !rows.is_empty() {
            state.add(&name, space.kind(), rows);
        }
    }
    Ok(state)
}

fn rows(snapshot: &Snapshot, space: &Keyspace) -> Result<Rows, Error> {
    let mut rows = Rows::default();
    for row in snapshot.iter(space)?.take(ROWS_MAX) {
        let (key, value) = row?;
        snapshot.get(space, &key)?;
        rows.insert(Bytes::from(key), Bytes::from(value));
    }
    snapshot.iter(space)?.rev().take(ROWS_MAX).try_for_each(|row| row.map(drop))?;
    Ok(rows)
}

/// Puts, replaces and removes rows in every keyspace.
fn write(store: &DbEnv) -> Result<(), Error> {
    for name in store.keyspaces()? {
        let (mut txn, space) = (store.begin()?, store.keyspace(&name)?);
        let known: Vec<_> = store.snapshot()?.iter(&space)?.take(8).collect::<Result<_, _>>()?;
        for (at, (key, _)) in known.iter().enumerate() {
            if at % 2 == 0 {
                txn.delete(&space, key)?;
            } else {
                txn.put(&space, key, &[1; 700])?;
            }
        }
        (0..8u8).try_for_each(|number| txn.put(&space, &[b'k', number], &[number; 900]))?;
        txn.put(&space, b"large", &[9; 9000])?;
        txn.commit()?;
    }
    store.checkpoint()
}

/// Damage, or what follows from it: a handle that will not write any more.
#[track_caller]
fn expect_refusal(error: &Error) {
    use ErrorKind::{Full, InDoubt, NotFound, OverLimit, Poisoned, TxnOver};
    let follows = matches!(error.kind(), Full | InDoubt | NotFound | OverLimit | Poisoned | TxnOver);
    if !follows {
        super::expect_damage("a store", error);
    }
}
