//! A radix tree in memory: names that begin with the same letters share them, so what a prefix stands for lies together.
//!
//! `cargo run --example rax_prefix`

#![allow(clippy::print_stdout)]

use aether::index::rax::{Rax, RaxCursor, Seek};

const PAGES: u32 = 1_000;

fn main() {
    let mut visits = Rax::new();
    for (site, page) in (0..4).flat_map(|site| (0..PAGES).map(move |page| (site, page))) {
        visits.insert(format!("https://example.org/site-{site}/page-{page:04}").as_bytes(), page % 7);
    }
    visits.insert(b"https://example.org/", 1);
    println!("{} addresses in {} bytes", visits.len(), visits.memory_bytes());

    let ten: Vec<_> = visits.prefix(b"https://example.org/site-2/page-012").collect();
    assert_eq!(ten.len(), 10);
    assert!(ten.is_sorted());
    println!(
        "prefix site-2/page-012: {} addresses, {} visits",
        ten.len(),
        ten.iter().map(|row| row.1).sum::<u32>()
    );

    let mut cursor = RaxCursor::new();
    let (below, _) =
        cursor.seek(&visits, Seek::Below, b"https://example.org/site-1/").expect("site 0 lies below");
    assert!(below.ends_with(b"site-0/page-0999"));
    println!("before site 1 comes {}", text(below));
    let (first, _) = cursor.first(&visits).expect("a first one");
    println!("the first: {}", text(first));

    // The cursor borrows nothing: half of what it walks over is removed on the way.
    let (mut kept, mut removed) = (0, 0);
    while let Some((key, _)) = cursor.next(&visits) {
        let key = key.to_vec();
        match key.ends_with(b"1") {
            true => removed += u32::from(visits.remove(&key).is_some()),
            false => kept += 1,
        }
    }
    assert_eq!((kept + removed, removed), (4 * PAGES, 4 * PAGES / 10));
    assert_eq!(visits.len() as u32, 1 + kept);
    println!("{removed} removed and {kept} kept in one walk");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
