//! Pages to play with.

use aether_page::sync::word::Word;
use aether_page::types::{FileId, PageNo, PageSize, Psn, Reader};
use aether_page::{PageMut, PageOp, View, check_page, copy_for_write, header, load_words};
use proptest::prelude::*;

pub(crate) const FILE: FileId = FileId::new(9);
pub(crate) const PAGE: PageNo = PageNo::new(1234);

/// How many cases a property runs.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    let count = if cfg!(miri) { 2 } else { count };
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    }
}

/// Items in a script.
pub(crate) fn script_len(count: usize) -> usize {
    if cfg!(miri) { count / 20 } else { count }
}

pub(crate) fn page_sizes() -> impl Strategy<Value = PageSize> {
    let all = [4096, 8192, 16384, 32768, 65536];
    (0..if cfg!(miri) { 1 } else { all.len() }).prop_map(move |i| PageSize::new(all[i]).unwrap())
}

pub(crate) struct TestPage {
    words: Vec<Word>,
}

impl TestPage {
    pub(crate) fn new(size: PageSize) -> Self {
        Self::from_bytes(&vec![0; size.bytes()])
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let words: Vec<Word> = (0..bytes.len() / 8).map(|_| Word::new(0)).collect();
        load_words(bytes, &words);
        Self { words }
    }

    pub(crate) fn made_by(op: &PageOp, size: PageSize) -> Self {
        let page = Self::new(size);
        page.run(op);
        page
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.words)
    }

    pub(crate) fn page(&self) -> PageMut<'_> {
        PageMut::new(&self.words)
    }

    /// All bytes as they would be written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.view().len_bytes()];
        copy_for_write(self.view(), &mut bytes);
        bytes
    }

    pub(crate) fn size(&self) -> PageSize {
        PageSize::new(self.view().len_bytes()).unwrap()
    }

    /// Checks, logs, applies, and redoes on a copy from before; both pages must be equal and keep every rule.
    pub(crate) fn run(&self, op: &PageOp) {
        let copy = TestPage::from_bytes(&self.bytes());
        op.check(self.view()).unwrap_or_else(|error| panic!("{error}: {op:?}"));
        let psn = header::psn(self.view());
        op.apply(self.page(), FILE, PAGE);
        assert_eq!(check_page(self.view()), Vec::<String>::new(), "after {op:?}");
        let mut log = Vec::new();
        op.encode(&mut log);
        let mut reader = Reader::new(&log);
        let logged = PageOp::decode(&mut reader, self.size()).unwrap();
        reader.finish().unwrap();
        assert_eq!(&logged, op);
        logged.check(copy.view()).unwrap();
        logged.into_owned().apply(copy.page(), FILE, PAGE);
        assert!(copy.bytes() == self.bytes(), "redo of {op:?} differs");
        assert_eq!((header::psn(self.view()), header::file(self.view())), (psn, FILE));
        assert_eq!(header::page_no(self.view()), PAGE);
        header::set_psn(self.page(), psn.next());
    }

    /// The operation must be refused, and the page stays.
    pub(crate) fn refuses(&self, op: &PageOp) {
        assert!(op.check(self.view()).is_err(), "not refused: {op:?}");
    }

    pub(crate) fn psn(&self) -> Psn {
        header::psn(self.view())
    }
}

/// Keys that meet each other: few letters, zeros, long common starts, numbers.
pub(crate) fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(0u8..3, 0..6),
        (proptest::collection::vec(0u8..2, 0..4), 0usize..300).prop_map(|(end, len)| [
            vec![b'a'; len / 100 * 37],
            end
        ]
        .concat()),
        (0u64..500).prop_map(|number| number.to_be_bytes().to_vec()),
        (0u32..500).prop_map(|number| format!("user{number:06}").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..900),
    ]
}
