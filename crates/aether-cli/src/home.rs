//! Opening a home for a command: who creates it, how much memory it gets, which keyspace.

use crate::arguments::{Common, DEFAULT_HOME, InKeyspace};
use crate::exit::{self, Exit, Failure, Outcome};
use aether::buffer::BufferConfig;
use aether::wal::WalConfig;
use aether::{DbEnv, Error, ErrorKind, Keyspace, Options};
use std::path::{Path, PathBuf};

/// Frames for a command that does one small thing.
const FEW_FRAMES: usize = 128;
/// The log segment that it creates, if it must.
const SHORT_SEGMENT_BYTES: u64 = 1 << 20;

/// The home that the command line names, or the default.
pub(crate) fn path(common: &Common) -> PathBuf {
    common.home.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_HOME))
}

/// The home that the command line names, which must exist.
pub(crate) fn existing_path(common: &Common) -> Outcome<PathBuf> {
    let home = path(common);
    if home.exists() { Ok(home) } else { Err(missing(&home)) }
}

/// Says on stderr which pages a restart had to give up.
fn warn_of_fences(env: &DbEnv) {
    for page in &env.recovery_report().fenced {
        exit::warn(&format!(
            "{page} is damaged and lacks changes: reading it fails; `aether salvage` writes out the rest"
        ));
    }
}

/// Opens a home that exists, with few frames and no thread of its own. Blocks on recovery.
pub(crate) fn open_existing(common: &Common) -> Outcome<DbEnv> {
    let home = existing_path(common)?;
    let env = DbEnv::open(&home, light_options()).map_err(|error| refused(error, &home))?;
    warn_of_fences(&env);
    Ok(env)
}

/// Opens a home that exists, for a bulk of work. Blocks on recovery.
pub(crate) fn open_existing_for_bulk(common: &Common) -> Outcome<DbEnv> {
    let home = existing_path(common)?;
    let options = Options { create: false, ..Options::default() };
    let env = DbEnv::open(&home, options).map_err(|error| refused(error, &home))?;
    warn_of_fences(&env);
    Ok(env)
}

/// Opens a home, creating it if it is absent, for one small change. Blocks on recovery.
pub(crate) fn open_or_create(common: &Common) -> Outcome<DbEnv> {
    let home = path(common);
    DbEnv::open(&home, Options { create: true, ..light_options() }).map_err(|error| refused(error, &home))
}

/// Opens a home, creating it if it is absent, for a bulk of work. Blocks on recovery.
pub(crate) fn open_for_load(home: &Path) -> Outcome<DbEnv> {
    DbEnv::open(home, Options::default()).map_err(|error| refused(error, home))
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

/// The failure that a refused open is: what is absent may be the whole store, or a part of it, which is damage.
pub(crate) fn refused(error: Error, home: &Path) -> Failure {
    match error.kind() {
        ErrorKind::NotFound if is_of_home(&error, home) => Failure::input(error.to_string()),
        ErrorKind::NotFound => {
            Failure::new(Exit::Damaged, format!("a part of the store is missing: {error}"))
        }
        _ => error.into(),
    }
}

/// Whether the error is about the home as such, not about a file in it.
fn is_of_home(error: &Error, home: &Path) -> bool {
    error.place().path.as_ref().is_none_or(|path| path == home || !path.starts_with(home))
}

fn missing(home: &Path) -> Failure {
    Failure::input(format!(
        "there is no home at {} (`aether load` and `aether put` create one; --home names another)",
        home.display()
    ))
}
