//! Salvage of a store that cannot be opened: from the leaves in its page file alone, as they were written last.
//!
//! Without the log nobody knows which transactions were committed: of a row that was being changed the newest version
//! is taken, and counted as doubtful.

use super::{Catalog, Lost, SalvageReport, Salvaged, Sink};
use crate::catalog::CATALOG_ID;
use crate::lsm::index::txn::recovery::{Identity, PAGES_FILE, identify, pages_path};
use crate::lsm::index::{Coverage, Fit};
use aether_sync::Arc;
use aether_sync::word::Word;
use aether_types::{Error, ErrorKind, PageNo, PageSize, Result, StoreId, checksum};
use aether_vfs::{AlignedBuf, Env, File, OpenOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::buffer::page::node::Node;
use crate::buffer::page::overflow::{self, ExtentList, Stub};
use crate::buffer::page::space_map::{self, PageState};
use crate::buffer::page::{PageType, View, check_page, header, is_never_written, load_words, verify};

/// The pages of a store, read one by one past everything else.
struct Pages {
    file: Arc<dyn File>,
    store: StoreId,
    page_size: PageSize,
    /// No transaction was under way.
    is_clean: bool,
    words: Vec<Word>,
}

/// A leaf, and the keys that it holds: from the lower fence on and below the upper.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Leaf {
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
    page: PageNo,
}

/// What a first look at every page finds.
#[derive(Default)]
struct Survey {
    leaves: BTreeMap<u32, Vec<Leaf>>,
    /// Pages that cannot be read, and why.
    damaged: Vec<(PageNo, String)>,
}

/// The free pages among those that a map page covers.
fn free_pages(map: View<'_>, page: PageNo) -> BTreeSet<PageNo> {
    let is_free = |index: &usize| space_map::state(map, *index) == PageState::Free;
    (0..space_map::covered(map)).filter(is_free).map(|index| page.offset(1 + index as u64)).collect()
}

/// Hands over what can be read of the store in `home`.
pub(super) fn salvage(env: &Env, home: &Path, report: &mut SalvageReport, sink: &mut Sink<'_>) -> Result<()> {
    let Identity { store, page_size, is_clean } = identify(env, home)?;
    let path = pages_path(home);
    let file = env.vfs.open(&path, OpenOptions::read()).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::corruption("the store's page file is missing").at_path(&path),
        _ => error,
    })?;
    let words = (0..page_size.words()).map(|_| Word::new(0)).collect();
    let mut pages = Pages { file, store, page_size, is_clean, words };
    let survey = pages.survey()?;
    for (page, what) in &survey.damaged {
        let what = what.clone();
        let lost = Lost { keyspace: None, page: Some(page.get()), from: None, to: None, what };
        report.lose(lost, sink)?;
    }
    let catalog = pages.catalog(&survey)?;
    for (tree, leaves) in &survey.leaves {
        let Some(name) = catalog.name_of(*tree) else { continue };
        sink(Salvaged::Keyspace(&name))?;
        pages.tree(&name, leaves, report, sink)?;
    }
    Ok(())
}

impl Pages {
    /// Reads a page; an error in words if it is damaged, nothing if it was never written.
    fn read(&mut self, page: PageNo) -> Result<std::result::Result<bool, String>> {
        let mut bytes = AlignedBuf::new(self.page_size.bytes());
        let offset = page.get() * self.page_size.bytes() as u64;
        match self.file.read_at(offset, &mut bytes) {
            Ok(read) => bytes[read..].fill(0),
            Err(error) => return Ok(Err(error.to_string())),
        }
        if is_never_written(&bytes) {
            return Ok(Ok(false));
        }
        if let Err(error) = verify(&bytes, self.store.seed(), PAGES_FILE, page) {
            return Ok(Err(error.to_string()));
        }
        load_words(&bytes, &self.words);
        let problems = check_page(View::new(&self.words));
        Ok(problems.into_iter().next().map_or(Ok(true), |what| Err(format!("{page}: {what}"))))
    }

    fn survey(&mut self) -> Result<Survey> {
        let mut survey = Survey::default();
        // Of the pages behind the last map page: they come before those that the next one covers.
        let mut free = BTreeSet::new();
        let pages = self.file.size()?.div_ceil(self.page_size.bytes() as u64);
        for page in (1..pages).map(PageNo::new) {
            match self.read(page)? {
                Ok(false) => continue,
                Err(_) if free.contains(&page) => continue,
                Err(what) => {
                    survey.damaged.push((page, what));
                    continue;
                }
                Ok(true) => {}
            }
            let view = View::new(&self.words);
            if header::is_type(view, PageType::SpaceMap) {
                free = free_pages(view, page);
            }
            let node = Node::new(view);
            if node.is_node() && node.is_leaf() && !free.contains(&page) {
                let leaf = Leaf { lower: node.lower(), upper: node.upper(), page };
                survey.leaves.entry(node.tree()).or_default().push(leaf);
            }
        }
        survey.leaves.values_mut().for_each(|leaves| leaves.sort());
        Ok(survey)
    }

    /// What can be read of the catalog. Without the log nobody knows whether a keyspace was dropped whose dropping is young: its
    /// rows are handed over.
    fn catalog(&mut self, survey: &Survey) -> Result<Catalog> {
        let mut catalog = Catalog::new();
        for leaf in survey.leaves.get(&CATALOG_ID).into_iter().flatten() {
            if self.read(leaf.page)?.is_err() {
                continue;
            }
            let node = Node::new(View::new(&self.words));
            for slot in (0..node.count()).filter(|slot| !node.flags(*slot).is_ghost()) {
                let (mut key, mut value) = (Vec::new(), Vec::new());
                node.key_into(slot, &mut key);
                node.value_into(slot, &mut value);
                let is_young = node.flags(slot).is_versioned() && !self.is_clean;
                if key.first() != Some(&b'd') || !is_young {
                    catalog.note(&key, &value);
                }
            }
        }
        Ok(catalog)
    }

    fn tree(
        &mut self,
        name: &str,
        leaves: &[Leaf],
        report: &mut SalvageReport,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let gap = |page, from, to, what: &str| {
            let keyspace = Some(name.to_owned());
            Lost { keyspace, page, from, to, what: what.to_owned() }
        };
        let nowhere = "no page holds these keys";
        let mut coverage = Coverage::new(None);
        for leaf in leaves {
            match coverage.take(&leaf.lower, &leaf.upper) {
                Fit::Next => {}
                Fit::After(from) => report.lose(gap(None, from, leaf.lower.clone(), nowhere), sink)?,
                Fit::Twice => {
                    let what = "two pages hold these keys; the rows of this one were left out";
                    let (page, from, to) = (Some(leaf.page.get()), leaf.lower.clone(), leaf.upper.clone());
                    report.lose(gap(page, from, to, what), sink)?;
                    continue;
                }
            }
            self.leaf(name, leaf, report, sink)?;
        }
        coverage.rest(&None).map_or(Ok(()), |from| report.lose(gap(None, from, None, nowhere), sink))
    }

    fn leaf(
        &mut self,
        name: &str,
        leaf: &Leaf,
        report: &mut SalvageReport,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        if self.read(leaf.page)?.is_err() {
            return Ok(());
        }
        let mut rows = Vec::new();
        let node = Node::new(View::new(&self.words));
        for slot in (0..node.count()).filter(|slot| !node.flags(*slot).is_ghost()) {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            node.key_into(slot, &mut key);
            node.value_into(slot, &mut value);
            rows.push((key, value, node.flags(slot)));
        }
        for (key, mut value, flags) in rows {
            report.doubtful += u64::from(flags.is_versioned() && !self.is_clean);
            if flags.is_overflow() {
                match self.value(&value) {
                    Ok(whole) => value = whole,
                    Err(error) => {
                        let (to, what) = ([&key[..], &[0]].concat(), error.to_string());
                        let (keyspace, page) = (Some(name.to_owned()), Some(leaf.page.get()));
                        report.lose(Lost { keyspace, page, from: Some(key), to: Some(to), what }, sink)?;
                        continue;
                    }
                }
            }
            report.rows += 1;
            sink(Salvaged::Row { key: &key, value: &value })?;
        }
        Ok(())
    }

    /// The value behind a stub.
    fn value(&mut self, stub: &[u8]) -> Result<Vec<u8>> {
        let stub = Stub::decode(stub)?;
        let mut bytes = self.extents(&stub.extents)?;
        if stub.listed > 0 {
            let listed = ExtentList::decode(&bytes, stub.listed)?;
            bytes = self.extents(&listed)?;
        }
        if bytes.len() as u64 != stub.len || checksum(0, &bytes) != stub.checksum {
            return Err(Error::corruption("a large value does not match its length and checksum"));
        }
        Ok(bytes)
    }

    fn extents(&mut self, extents: &[(PageNo, u64)]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (first, pages) in extents {
            for page in (0..*pages).map(|index| first.offset(index)) {
                let sound = self.read(page)?.map_err(|what| Error::corruption(what).at_page(page))?;
                let view = View::new(&self.words);
                if !sound || !header::is_type(view, PageType::Overflow) || overflow::first(view) != *first {
                    let what = "the page is not part of the value that refers to it";
                    return Err(Error::corruption(what).at_page(page));
                }
                overflow::bytes_into(view, &mut bytes);
            }
        }
        Ok(bytes)
    }
}
