//! Files in memory for one run of a target.

use crate::shape;
use aether_kv::Error;
use aether_vfs::{Create, Env, OpenOptions};

/// An environment whose home is there and empty.
pub(super) fn empty() -> Env {
    let env = Env::memory();
    env.vfs.create_dir(shape::home()).expect("memory takes a directory");
    env
}

/// Puts a file into the home.
pub(super) fn put(env: &Env, name: &str, bytes: &[u8]) {
    write(env, name, bytes).expect("memory takes a file");
}

fn write(env: &Env, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let file = env.vfs.open(&shape::home().join(name), OpenOptions::write(Create::IfMissing))?;
    file.set_size(0)?;
    file.write_at(0, bytes)
}
