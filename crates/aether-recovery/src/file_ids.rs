//! Ids for new files (F1): never reused. The control file keeps a floor below which all may have been used; ids are
//! taken out of a share that was made durable before.

use crate::rank;
use crate::store::{PAGES_FILE, Store};
use aether_sync::Mutex;
use aether_types::{Error, ErrorKind, FileId, Result};

/// Ids reserved at once. What a store does not use of them until it is closed is never used.
const RESERVED: u32 = 64;

/// The ids that this open may still give out.
pub(crate) struct FileIds(Mutex<core::ops::Range<u32>>);

impl FileIds {
    /// Nothing is reserved yet.
    pub(crate) fn none() -> Self {
        Self(Mutex::new(rank::FILE_IDS, 0..0))
    }

    /// Those of a store that nobody opens again.
    pub(crate) fn volatile() -> Self {
        Self(Mutex::new(rank::FILE_IDS, PAGES_FILE.get() + 1..FileId::END))
    }
}

impl Store {
    /// An id for a new file. Blocks for the control file once in so many calls.
    ///
    /// # Errors
    /// `OverLimit` once all ids of a store are used; `ReadOnly`; whatever the control file meets, and then no id is given.
    pub fn new_file_id(&self) -> Result<FileId> {
        let mut left = self.file_ids.0.lock();
        if left.is_empty() {
            *left = self.reserve_file_ids()?;
        }
        let id = left.next().ok_or_else(no_more)?;
        Ok(FileId::new(id))
    }

    fn reserve_file_ids(&self) -> Result<core::ops::Range<u32>> {
        let durable = self.durable.as_ref().ok_or_else(no_more)?;
        let mut control = durable.control.lock();
        let floor = control.current().file_floor.get();
        if floor >= FileId::END {
            return Err(no_more());
        }
        let end = floor.saturating_add(RESERVED).min(FileId::END);
        control.update(|control| control.file_floor = FileId::new(end))?;
        Ok(floor..end)
    }
}

fn no_more() -> Error {
    Error::new(ErrorKind::OverLimit, format!("all {} file ids of the store are used", FileId::END))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "the helpers of tests may")]
mod tests {
    use super::*;
    use crate::{Opening, StoreConfig};
    use aether_sim::{CrashPolicy, Fault, Sim};
    use aether_sync::Arc;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn open(sim: &Sim) -> Result<Arc<Store>> {
        let opening = Opening::begin(sim.env(), Path::new("/home"), StoreConfig::default(), true)?;
        Ok(opening.scan()?.redo()?.into_parts().0)
    }

    #[test]
    fn no_id_is_given_twice_whatever_the_power_does() {
        let mut sim = Sim::new(3);
        let mut given = BTreeSet::new();
        for round in 0..8 {
            let store = open(&sim).unwrap();
            for _ in 0..50 * round {
                let id = store.new_file_id().unwrap();
                assert!(id != PAGES_FILE && given.insert(id), "{id} was given before");
            }
            drop(store);
            sim = sim.crash_image(CrashPolicy::all(round)[round as usize % CrashPolicy::all(round).len()]);
        }
        assert!(given.len() == 1400 && *given.last().unwrap() < FileId::new(1400 + 9 * RESERVED));
    }

    #[test]
    fn a_failed_reservation_gives_no_id() {
        let sim = Sim::new(1);
        let store = open(&sim).unwrap();
        sim.inject(Fault::FailSyncDropsDirty { nth: 0 });
        let failed = store.new_file_id();
        let id = store.new_file_id().unwrap();
        assert!(failed.is_err() || failed.unwrap() < id);
        let durable = store.durable.as_ref().unwrap();
        assert!(durable.control.lock().current().file_floor > id);
    }

    #[test]
    fn ids_come_to_an_end() {
        let store = open(&Sim::new(1)).unwrap();
        let near = FileId::new(FileId::END - 2);
        let durable = store.durable.as_ref().unwrap();
        durable.control.lock().update(|control| control.file_floor = near).unwrap();
        assert_eq!(store.new_file_id().unwrap(), near);
        store.new_file_id().unwrap();
        assert_eq!(store.new_file_id().unwrap_err().kind(), ErrorKind::OverLimit);
        let volatile = Store::volatile(StoreConfig::default()).unwrap();
        assert_ne!(volatile.new_file_id().unwrap(), volatile.new_file_id().unwrap());
    }
}
