//! What a store is, when it cannot be opened.

use crate::control::ControlFile;
use crate::create::pages_name;
use crate::store::PAGES_FILE;
use aether_page::PageFile;
use aether_types::{PageSize, Result, StoreId};
use aether_vfs::Env;
use aether_wal::buffer::page as aether_page;
use std::path::{Path, PathBuf};

/// The path of the page file in `home`.
pub fn pages_path(home: &Path) -> PathBuf {
    home.join(pages_name(PAGES_FILE))
}

/// What is known of a store without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub store: StoreId,
    /// The size of its pages.
    pub page_size: PageSize,
    /// It was closed cleanly: no transaction is under way. False also if nobody knows.
    pub is_clean: bool,
}

/// What the store in `home` is, from its control file or, if that is damaged, the header of its page file.
///
/// # Errors
/// That of the control file, if neither can be read.
pub fn identify(env: &Env, home: &Path) -> Result<Identity> {
    match ControlFile::open(env, home, false) {
        Ok(control) => {
            let current = control.current();
            let is_clean = current.clean_end.is_some();
            Ok(Identity { store: current.store, page_size: current.page_size, is_clean })
        }
        Err(error) => PageFile::identify(&*env.vfs, &pages_path(home), PAGES_FILE)
            .map(|(store, page_size)| Identity { store, page_size, is_clean: false })
            .map_err(|_| error),
    }
}
