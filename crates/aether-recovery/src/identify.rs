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

/// The id and page size of the store in `home`, from its control file or, if that is damaged, the header of its page file.
///
/// # Errors
/// That of the control file, if neither can be read.
pub fn identify(env: &Env, home: &Path) -> Result<(StoreId, PageSize)> {
    match ControlFile::open(env, home, false) {
        Ok(control) => Ok((control.current().store, control.current().page_size)),
        Err(error) => PageFile::identify(&*env.vfs, &pages_path(home), PAGES_FILE).map_err(|_| error),
    }
}
