//! Where runs and value files live: names, and what a crash has left.

use aether_index::txn::recovery::Store;
use aether_index::txn::recovery::wal::buffer::Pool;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{ErrorKind, FileId, PageSize, Result, StoreId};
use aether_vfs::Env;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The home of a store's runs, and the pool that their blocks are read through. Cheap to clone.
#[derive(Clone)]
pub struct RunHome {
    /// Files.
    pub env: Env,
    /// The directory; all runs lie in it.
    pub dir: PathBuf,
    /// The store; foreign runs are refused.
    pub store: StoreId,
    /// The pool, whose budget runs are charged to.
    pub pool: Arc<Pool>,
}

impl RunHome {
    /// That of a store. A volatile one keeps its runs in memory, in its own environment.
    pub fn of(store: &Store) -> Self {
        let dir = store.home().unwrap_or(Path::new("/")).to_path_buf();
        Self { env: store.env().clone(), dir, store: store.id(), pool: store.pool().clone() }
    }

    /// The path of a run's file.
    pub fn path(&self, file: FileId) -> PathBuf {
        self.dir.join(run_name(file))
    }

    /// The path of a value file.
    pub fn values_path(&self, file: FileId) -> PathBuf {
        self.dir.join(values_name(file))
    }

    pub(crate) fn page_size(&self) -> PageSize {
        self.pool.config().page_size
    }

    /// The runs and value files that are there and not among `known`: what builds and removals that a crash cut short have left.
    /// Whoever asks knows of every such file, and no build is under way.
    pub fn leftovers(&self, known: &BTreeSet<FileId>) -> Result<Vec<FileId>> {
        let entries = self.env.vfs.list(&self.dir)?;
        let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| file_of(&entry.name));
        Ok(files.filter(|file| !known.contains(file)).collect())
    }

    /// Removes a run or value file that nobody refers to any more, or never did. After a crash it may be there again.
    pub fn remove(&self, file: FileId) -> Result<()> {
        match self.env.vfs.remove(&self.path(file)) {
            // An id is that of one file only.
            Err(error) if error.kind() == ErrorKind::NotFound => self.env.vfs.remove(&self.values_path(file)),
            done => done,
        }
    }
}

/// The name of a run's file.
pub fn run_name(file: FileId) -> String {
    format!("run-{:08x}", file.get())
}

/// The name of a value file.
pub fn values_name(file: FileId) -> String {
    format!("values-{:08x}", file.get())
}

/// The id in the name of a run or value file.
fn file_of(name: &str) -> Option<FileId> {
    let digits = name.strip_prefix("run-").or_else(|| name.strip_prefix("values-"))?;
    let digits = Some(digits).filter(|digits| digits.len() == 8)?;
    let id = u32::from_str_radix(digits, 16).ok().filter(|id| (1..FileId::END).contains(id))?;
    let file = FileId::new(id);
    // Not what `from_str_radix` takes as well: signs and capitals.
    [run_name(file), values_name(file)].iter().any(|own| own == name).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_ids_and_lead_back() {
        for id in [1, 0xabcdef, FileId::END - 1] {
            assert_eq!(file_of(&run_name(FileId::new(id))), Some(FileId::new(id)));
            assert_eq!(file_of(&values_name(FileId::new(id))), Some(FileId::new(id)));
        }
        for name in [
            "run-",
            "run-1",
            "run-00ABCDEF",
            "run-+0000001",
            "run-00000000",
            "run-ffffffff",
            "values-0000000A",
            "values-1",
            "pages-00000001",
        ] {
            assert_eq!(file_of(name), None, "{name}");
        }
    }
}
