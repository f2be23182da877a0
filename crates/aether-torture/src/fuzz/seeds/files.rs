//! Seeds taken from the files of stores.

use super::{Specimen, thinned};
use crate::damage::specimen::Files;
use crate::fuzz::input::put_file;
use aether_kv::buffer::DOUBLE_WRITE_NAME;
use aether_kv::buffer::page::node::{Node, Row};
use aether_kv::buffer::page::slotted::Slotted;
use aether_kv::buffer::page::sync::word::Word;
use aether_kv::buffer::page::{PageOp, PageType, View, header, is_never_written, load_words};
use aether_kv::lsm::index::txn::recovery::CONTROL_NAME;
use aether_kv::lsm::index::txn::recovery::fuzzing::{checkpoint_again, group_again, is_group, page_ops};
use aether_kv::wal::fuzzing::bodies;
use aether_types::{PageSize, Writer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of a seed at the most.
const BYTES_MAX: usize = 6 << 10;
/// Pages of a double-write area that a seed has.
const BATCH_PAGES_MAX: usize = 1;

/// Byte strings by kind.
type Kinds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// For target `page`: a page of each type, as an image; the changes of a page that the log tells of.
pub(super) fn pages(sources: &[Specimen]) -> Kinds {
    let mut kinds = Kinds::new();
    for source in sources {
        for words in &pages_of(source) {
            let view = View::new(words);
            let mut out = vec![0];
            PageOp::image_of(view).encode(&mut out);
            if kind_of(view) == "leaf" {
                out_of_order(view).encode(&mut out);
            }
            kinds.entry(kind_of(view)).or_default().push(out);
        }
        kinds.entry("log").or_default().extend(page_histories(source));
    }
    kinds.into_iter().map(|(kind, all)| (kind, thinned(short(all)))).collect()
}

/// The smallest key behind the last: to be refused.
fn out_of_order(view: View<'_>) -> PageOp<'static> {
    PageOp::LeafInsert { slot: Node::new(view).count(), key: Cow::Borrowed(b""), row: Row::default() }
}

/// For target `record`: bodies of the log, undo records and stubs.
pub(super) fn records(sources: &[Specimen]) -> Kinds {
    let mut kinds = Kinds::new();
    for source in sources {
        let size = page_size(source);
        for (kind, body) in log_bodies(source) {
            let kind = if is_group(kind) { "group" } else { "other" };
            assert!(kind != "group" || group_again(&body, size).is_ok(), "a group of the log is read");
            kinds.entry(kind).or_default().push(body);
        }
        for words in &pages_of(source) {
            let view = View::new(words);
            match kind_of(view) {
                "undo" => kinds.entry("undo").or_default().extend(slots(view)),
                "leaf" => kinds.entry("stub").or_default().extend(stubs(view)),
                _ => {}
            }
        }
    }
    kinds.into_iter().map(|(kind, all)| (kind, thinned(short(all)))).collect()
}

/// For target `checkpoint`: records of checkpoints, control files, double-write areas.
pub(super) fn checkpoints(sources: &[Specimen]) -> Kinds {
    let mut kinds = Kinds::new();
    for source in sources {
        let bodies = log_bodies(source).into_iter().map(|(_, body)| body);
        let checkpoints = bodies.filter(|body| checkpoint_again(body).is_ok());
        kinds.entry("record").or_default().extend(checkpoints.map(|body| [&[0], &body[..]].concat()));
        for sealed in [0, 1] {
            let mut control = vec![1, sealed];
            put_file(&mut control, &source.files[CONTROL_NAME]);
            kinds.entry("control").or_default().push(control);
            kinds.entry("batch").or_default().extend(batch(&source.files, sealed));
        }
    }
    kinds.into_iter().map(|(kind, all)| (kind, thinned(all))).collect()
}

/// A double-write area with its first page, and a page file that has a header alone.
fn batch(files: &Files, sealed: u8) -> Option<Vec<u8>> {
    let (area, pages) = (files.get(DOUBLE_WRITE_NAME)?, page_file(files));
    let mut out = vec![2, sealed];
    put_file(&mut out, area.get(..4096 * (1 + BATCH_PAGES_MAX))?);
    put_file(&mut out, pages.get(..4096)?);
    Some(out)
}

fn short(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    all.retain(|bytes| bytes.len() <= BYTES_MAX);
    all
}

fn page_size(source: &Specimen) -> PageSize {
    PageSize::new(source.page_bytes as usize).unwrap_or_default()
}

fn page_file(files: &Files) -> &[u8] {
    files.iter().find(|(name, _)| name.starts_with("pages-")).map_or(&[], |(_, bytes)| bytes)
}

/// The pages of a store that were ever written.
fn pages_of(source: &Specimen) -> Vec<Vec<Word>> {
    let pages = page_file(&source.files).chunks(source.page_bytes as usize);
    let loaded = |bytes: &[u8]| {
        let words: Vec<Word> = (0..bytes.len() / 8).map(|_| Word::new(0)).collect();
        load_words(bytes, &words);
        words
    };
    pages.filter(|bytes| !is_never_written(bytes)).map(loaded).collect()
}

fn kind_of(view: View<'_>) -> &'static str {
    match PageType::from_code(header::page_type(view)) {
        Some(PageType::FileHeader) => "file",
        Some(PageType::SpaceMap) => "map",
        Some(PageType::Slotted) => "slotted",
        Some(PageType::Undo) => "undo",
        Some(PageType::Fixed) => "fixed",
        Some(PageType::Leaf) => "leaf",
        Some(PageType::Inner) => "inner",
        Some(PageType::Overflow) => "overflow",
        Some(PageType::Radix) => "radix",
        Some(PageType::Unwritten) | None => "strange",
    }
}

/// Kind and body of every record in the segments of a store.
fn log_bodies(source: &Specimen) -> Vec<(u8, Vec<u8>)> {
    let logs = source.files.iter().filter(|(name, _)| name.starts_with("log-"));
    logs.flat_map(|(_, bytes)| bodies(bytes)).collect()
}

/// The operations of each page, one behind another.
fn page_histories(source: &Specimen) -> Vec<Vec<u8>> {
    let mut histories: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (_, body) in log_bodies(source).into_iter().filter(|(kind, _)| is_group(*kind)) {
        for (page, ops) in page_ops(&body, page_size(source)).into_iter().flatten() {
            histories.entry(page.get()).or_insert_with(|| vec![0]).put_bytes(&ops);
        }
    }
    histories.into_values().collect()
}

fn slots(view: View<'_>) -> Vec<Vec<u8>> {
    let slotted = Slotted::new(view);
    let bytes = |slot| {
        let mut out = Vec::new();
        slotted.bytes_into(slot, &mut out).then_some(out)
    };
    (0..slotted.count()).filter_map(bytes).collect()
}

fn stubs(view: View<'_>) -> Vec<Vec<u8>> {
    let node = Node::new(view);
    let rows = (0..node.count()).filter(|slot| node.flags(*slot).is_overflow()).map(|slot| node.row(slot));
    rows.map(|row| row.value.into_owned()).collect()
}
