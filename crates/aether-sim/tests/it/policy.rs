//! Each policy does what its name says, and all repeat.

use super::{durable, names, open, read};
use aether_sim::{CrashPolicy, Sim};
use std::collections::BTreeSet;
use std::path::Path;

/// A durable file of eight sectors of `a`, overwritten with `b` and grown to sixteen sectors, unsynced.
fn overwritten() -> Sim {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", &[b'a'; 4096]);
    file.write_at(0, &[b'b'; 4096]).unwrap();
    file.write_at(4096, &[b'c'; 4096]).unwrap();
    sim
}

/// Every image of a history under some policy.
fn images(sim: &Sim, policy: impl Fn(u64) -> CrashPolicy) -> BTreeSet<Option<Vec<u8>>> {
    (0..64).map(|seed| read(&sim.crash_image(policy(seed)), "f")).collect()
}

fn sectors(image: &Option<Vec<u8>>) -> String {
    let bytes = image.as_ref().unwrap();
    bytes
        .chunks(512)
        .map(|sector| if sector.iter().all(|b| *b == sector[0]) { sector[0] } else { b'?' } as char)
        .collect()
}

fn pictures(sim: &Sim, policy: impl Fn(u64) -> CrashPolicy) -> BTreeSet<String> {
    images(sim, policy).iter().map(sectors).collect()
}

#[test]
fn lose_all_and_keep_all_are_the_ends() {
    let sim = overwritten();
    assert_eq!(read(&sim.crash_image(CrashPolicy::LoseAll), "f").unwrap(), [b'a'; 4096]);
    assert_eq!(read(&sim.crash_image(CrashPolicy::KeepAll), "f"), read(&sim, "f"));
    open(&sim, "new").sync().unwrap();
    assert_eq!(names(&sim.crash_image(CrashPolicy::LoseAll)), ["f"]);
    assert_eq!(names(&sim.crash_image(CrashPolicy::KeepAll)), ["f", "new"]);
}

#[test]
fn torn_mixes_old_and_new_sectors_and_sizes() {
    let found = pictures(&overwritten(), |seed| CrashPolicy::Torn { seed });
    assert!(found.len() > 30, "{found:?}");
    assert!(found.iter().all(|picture| picture[..8].chars().all(|sector| "ab".contains(sector))));
    assert!(
        found.iter().any(|picture| picture.len() == 8) && found.iter().any(|picture| picture.len() == 16)
    );
    assert!(found.iter().any(|picture| picture.contains("ab") && picture.contains("ba")));
}

#[test]
fn reordered_keeps_later_writes_without_earlier_ones() {
    let found = pictures(&overwritten(), |seed| CrashPolicy::Reordered { seed });
    let all = ["aaaaaaaa", "aaaaaaaacccccccc", "bbbbbbbb", "bbbbbbbbcccccccc"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn prefix_only_keeps_the_order() {
    let found = pictures(&overwritten(), |seed| CrashPolicy::PrefixOnly { seed });
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["aaaaaaaa", "bbbbbbbb", "bbbbbbbbcccccccc"]);
}

#[test]
fn garbage_grown_grows_with_noise_and_loses_the_rest() {
    for image in images(&overwritten(), |seed| CrashPolicy::GarbageGrown { seed }) {
        let bytes = image.unwrap();
        assert_eq!((bytes.len(), &bytes[..4096]), (8192, &[b'a'; 4096][..]));
        assert!(bytes[4096..].chunks(512).all(|sector| sector.iter().collect::<BTreeSet<_>>().len() > 50));
    }
}

#[test]
fn last_torn_tears_only_the_newest_write() {
    let found = pictures(&overwritten(), |seed| CrashPolicy::LastTorn { seed });
    assert!(found.iter().all(|picture| picture.starts_with("bbbbbbbb")));
    assert!(found.iter().any(|picture| picture.contains("\0c")));
}

#[test]
fn zeroed_zeroes_only_unsynced_bytes() {
    let sim = overwritten();
    let found = pictures(&sim, |seed| CrashPolicy::Zeroed { seed });
    assert!(found.iter().any(|picture| picture.contains("b\0b")));
    let tail = Sim::new(1);
    let file = durable(&tail, "f", b"promised");
    file.write_at(8, b"not yet").unwrap();
    let found = images(&tail, |seed| CrashPolicy::Zeroed { seed });
    let expected = [b"promised\0\0\0\0\0\0\0".to_vec(), b"promisednot yet".to_vec()];
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);
}

#[test]
fn lost_names_undoes_any_of_them_but_splits_no_rename() {
    let sim = Sim::new(1);
    for path in ["old", "gone", "target"] {
        durable(&sim, path, path.as_bytes());
    }
    let vfs = sim.env().vfs;
    open(&sim, "new");
    vfs.rename(Path::new("old"), Path::new("target")).unwrap();
    vfs.remove(Path::new("gone")).unwrap();
    let image = |seed| sim.crash_image(CrashPolicy::LostNames { seed });
    let found: BTreeSet<String> = (0..64).map(|seed| names(&image(seed)).join(" ")).collect();
    assert_eq!(found.len(), 8, "{found:?}");
    for seed in 0..64 {
        let after = image(seed);
        let target = read(&after, "target").unwrap();
        assert_eq!(target == b"old", read(&after, "old").is_none());
    }
}

#[test]
fn a_name_taken_anew_does_not_lose_the_file_that_moved_away() {
    let sim = Sim::new(1);
    durable(&sim, "log", b"moved");
    sim.env().vfs.rename(Path::new("log"), Path::new("log.1")).unwrap();
    open(&sim, "log").write_at(0, b"fresh").unwrap();
    let mut found = BTreeSet::new();
    for seed in 0..64 {
        let after = sim.crash_image(CrashPolicy::LostNames { seed });
        let moved = ["log", "log.1"].iter().filter(|path| read(&after, path).is_some_and(|b| b == b"moved"));
        assert_eq!(moved.count(), 1);
        found.insert(names(&after));
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn a_synced_file_in_an_unsynced_directory_is_lost() {
    let sim = Sim::new(1);
    let vfs = sim.env().vfs;
    vfs.create_dir(Path::new("d")).unwrap();
    open(&sim, "d/f").sync().unwrap();
    vfs.sync_dir(Path::new("d")).unwrap();
    assert!(names(&sim.crash_image(CrashPolicy::LoseAll)).is_empty());
    vfs.sync_dir(Path::new("/")).unwrap();
    assert!(read(&sim.crash_image(CrashPolicy::LoseAll), "d/f").is_some());
}

#[test]
fn mixed_shows_what_every_other_policy_shows() {
    let found = pictures(&overwritten(), |seed| CrashPolicy::Mixed { seed });
    for part in ["aaaaaaaa", "bbbbbbbb", "ab", "c\0", "\0b", "?"] {
        assert!(found.iter().any(|picture| picture.contains(part)), "{part:?}");
    }
}

#[test]
fn images_repeat_and_all_policies_are_distinct() {
    let sim = overwritten();
    open(&sim, "new");
    let policies = CrashPolicy::all(3);
    assert!(policies.len() >= 10);
    for (at, policy) in policies.iter().enumerate() {
        let image = || (read(&sim.crash_image(*policy), "f"), names(&sim.crash_image(*policy)));
        assert_eq!(image(), image());
        assert!(!policies[..at].contains(policy));
    }
}

#[test]
fn images_are_cheap() {
    let sim = Sim::new(1);
    let file = durable(&sim, "f", &vec![7; 4 << 20]);
    for block in 0..64 {
        file.write_at(block * 40_960, &[8; 4096]).unwrap();
    }
    let start = std::time::Instant::now();
    let count = 200;
    (0..count).for_each(|seed| drop(sim.crash_image(CrashPolicy::Torn { seed })));
    let each = start.elapsed() / count as u32;
    println!("an image of 4 MiB with 64 unsynced blocks takes {each:?}");
    assert!(each.as_millis() < 10, "{each:?}");
}
