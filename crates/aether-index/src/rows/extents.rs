//! The extents behind a stub: named in the stub itself, or, of a very large value, in a list that is stored like a value.

use super::FILE;
use aether_page::overflow::{self, ExtentList, Stub};
use aether_page::{PageType, Swip, header};
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Error, PageNo, Result};

/// First page and page count.
pub(crate) type Extent = (PageNo, u64);

/// Where a large value lies.
pub(crate) struct Extents {
    /// Those of the value's bytes, in order.
    pub(crate) data: Vec<Extent>,
    /// Those of the list that names them; none if the stub does.
    pub(crate) list: Vec<Extent>,
}

impl Extents {
    /// Reads the list if there is one; blocks for it.
    ///
    /// # Errors
    /// `Corruption` naming the page if the list is damaged or not what the stub says.
    pub(crate) fn of(store: &Store, stub: &Stub) -> Result<Self> {
        if stub.listed == 0 {
            return Ok(Self { data: stub.extents.clone(), list: Vec::new() });
        }
        let mut bytes = Vec::new();
        for (first, pages) in &stub.extents {
            for index in 0..*pages {
                read_page(store, *first, index, &mut bytes)?;
            }
        }
        let data = ExtentList::decode(&bytes, stub.listed).map_err(|error| error.at_file(FILE))?;
        Ok(Self { data, list: stub.extents.clone() })
    }

    /// All of them, in rising order.
    pub(crate) fn sorted(self) -> Vec<Extent> {
        let mut all = self.data;
        all.extend(self.list);
        all.sort_unstable();
        all
    }
}

/// Appends the bytes in page `index` of the extent that begins at `first`; returns how many. Blocks for the page.
pub(crate) fn read_page(store: &Store, first: PageNo, index: u64, out: &mut Vec<u8>) -> Result<usize> {
    let page = first.offset(index);
    store.check_page(page)?;
    let guard = store.pool().shared(FILE, Swip::new(page))?;
    let view = guard.view();
    let is_ours = header::is_type(view, PageType::Overflow)
        && overflow::first(view) == first
        && u64::from(overflow::index(view)) == index;
    if !is_ours {
        let what = "the page is not part of the value that refers to it";
        return Err(Error::corruption(what).at_file(FILE).at_page(page));
    }
    let start = out.len();
    overflow::bytes_into(view, out);
    Ok(out.len() - start)
}
