//! Opening a home for a command: who creates it, how much memory it gets, which keyspace.

use crate::arguments::{Common, DEFAULT_HOME, InKeyspace};
use crate::exit::{Failure, Outcome};
use aether::buffer::BufferConfig;
use aether::wal::WalConfig;
use aether::{DbEnv, ErrorKind, Keyspace, Options};
use std::path::{Path, PathBuf};

/// Frames for a command that does one small thing.
const FEW_FRAMES: usize = 128;
/// The log segment that it creates, if it must.
const SHORT_SEGMENT_BYTES: u64 = 1 << 20;

/// The home that the command line names, or the default.
pub(crate) fn path(common: &Common) -> PathBuf {
    common.home.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_HOME))
}

/// Opens a home that exists, with few frames and no thread of its own. Blocks on recovery.
pub(crate) fn open_existing(common: &Common) -> Outcome<DbEnv> {
    let home = path(common);
    if !home.exists() {
        return Err(missing(&home));
    }
    match DbEnv::open(&home, light_options()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::input(error.to_string())),
        opened => Ok(opened?),
    }
}

/// Opens a home, creating it if it is absent, for one small change. Blocks on recovery.
pub(crate) fn open_or_create(common: &Common) -> Outcome<DbEnv> {
    Ok(DbEnv::open(path(common), Options { create: true, ..light_options() })?)
}

/// Opens a home, creating it if it is absent, for a bulk of work. Blocks on recovery.
pub(crate) fn open_for_load(home: &Path) -> Outcome<DbEnv> {
    Ok(DbEnv::open(home, Options::default())?)
}

/// The keyspace that a reading command names; it must exist.
pub(crate) fn keyspace(env: &DbEnv, name: &InKeyspace) -> Outcome<Keyspace> {
    Ok(env.keyspace(&name.keyspace)?)
}

/// Options for a quick start: few frames, a short log segment should one be needed, no threads, nothing
/// created.
pub(crate) fn light_options() -> Options {
    let buffer = BufferConfig {
        num_frames: FEW_FRAMES,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let wal = WalConfig { segment_bytes: SHORT_SEGMENT_BYTES, ..WalConfig::default() };
    Options { create: false, buffer, wal, background: false, ..Options::default() }
}

fn missing(home: &Path) -> Failure {
    Failure::input(format!(
        "there is no home at {} (`aether load` and `aether put` create one; --home names another)",
        home.display()
    ))
}
