//! Snapshots held for long: what they keep is shown, and a store may end them.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::types::PageSize;
use aether::vfs::{Env, ManualClock};
use aether::{DbEnv, Durability, ErrorKind, Isolation, Keyspace, Options, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn open(clock: &Arc<ManualClock>, snapshot_age_max: Option<Duration>) -> Result<(DbEnv, Keyspace)> {
    let mut options = Options { snapshot_age_max, durability: Durability::None, ..Options::default() };
    options.buffer.num_frames = 64;
    options.buffer.page_size = PageSize::MIN;
    options.background = false;
    let env = DbEnv::open_in(Env { clock: clock.clone(), ..Env::memory() }, Path::new("home"), options)?;
    let space = env.keyspace("default")?;
    Ok((env, space))
}

/// Updates every row; several times the cache in old versions.
fn update(env: &DbEnv, space: &Keyspace, value: u8) -> Result<()> {
    for key in 0..300u32 {
        let mut txn = env.begin()?;
        txn.put(space, &key.to_be_bytes(), &[value; 300])?;
        txn.commit()?;
    }
    Ok(())
}

#[test]
fn stat_names_the_oldest_snapshot_and_what_it_keeps() -> Result<()> {
    let clock = Arc::new(ManualClock::new());
    let (env, space) = open(&clock, None)?;
    update(&env, &space, 0)?;
    let snapshot = env.snapshot()?;
    let before = env.stat()?;
    clock.advance(Duration::from_secs(3));
    (1..11).try_for_each(|value| update(&env, &space, value))?;
    let stat = env.stat()?;
    assert_eq!(stat.oldest_snapshot_age, Some(Duration::from_secs(3)));
    assert_eq!(stat.oldest_snapshot, before.oldest_snapshot);
    assert!(stat.pinned_bytes > 10 * 300 * 300 * 9 / 10, "{} bytes are kept", stat.pinned_bytes);
    let rows = snapshot.iter(&space)?.collect::<Result<Vec<_>>>()?;
    assert!(rows.len() == 300 && rows.iter().all(|(_, value)| value[0] == 0));
    drop(snapshot);
    update(&env, &space, 11)?;
    let stat = env.stat()?;
    assert!(stat.pinned_bytes < 300_000, "{} bytes are kept for nobody", stat.pinned_bytes);
    Ok(())
}

/// The age counted from the first look at `stat`: a snapshot that had been held for long was shown as new. The bench that
/// holds one while ten times the cache is updated printed an age of nothing.
#[test]
fn a_snapshot_ages_also_when_nobody_looks() -> Result<()> {
    let clock = Arc::new(ManualClock::new());
    let (env, space) = open(&clock, None)?;
    let _snapshot = env.snapshot()?;
    update(&env, &space, 0)?;
    clock.advance(Duration::from_secs(3));
    assert_eq!(env.stat()?.oldest_snapshot_age, Some(Duration::from_secs(3)));
    Ok(())
}

#[test]
fn a_snapshot_held_for_too_long_is_ended_and_shows_nothing_wrong() -> Result<()> {
    let clock = Arc::new(ManualClock::new());
    let (env, space) = open(&clock, Some(Duration::from_secs(60)))?;
    update(&env, &space, 0)?;
    let key = 7u32.to_be_bytes();
    let (old, mut writer) = (env.snapshot()?, env.begin()?);
    let mut skewed = env.begin_with(Isolation::Serializable)?;
    assert_eq!(skewed.get(&space, &key)?, Some(vec![0; 300]));
    update(&env, &space, 1)?;
    clock.advance(Duration::from_secs(30));
    let young = env.snapshot()?;
    update(&env, &space, 2)?;
    assert_eq!(old.get(&space, &key)?, Some(vec![0; 300]), "not too old yet");
    clock.advance(Duration::from_secs(40));
    update(&env, &space, 3)?;
    let error = old.get(&space, &key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired, "{error}");
    assert_eq!(old.get(&space, b"missing").unwrap_err().kind(), ErrorKind::Expired);
    let row = old.iter(&space)?.next().unwrap();
    assert_eq!(row.unwrap_err().kind(), ErrorKind::Expired);
    assert_eq!(young.get(&space, &key)?, Some(vec![1; 300]), "the younger one is kept");
    let lost_update = writer.put(&space, &key, b"mine").unwrap_err();
    assert!(matches!(lost_update.kind(), ErrorKind::Expired | ErrorKind::Conflict), "{lost_update}");
    skewed.put(&space, b"other", b"")?;
    assert_eq!(skewed.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(env.begin()?.get(&space, &key)?, Some(vec![3; 300]));
    Ok(())
}
