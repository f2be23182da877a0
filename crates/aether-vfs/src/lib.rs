//! Files, directories, clock and entropy as traits with a written crash contract.

mod aligned;
mod env;
mod memory;
mod traits;

pub use aligned::AlignedBuf;
pub use env::{Clock, Entropy, Env};
pub use memory::MemoryVfs;
pub use traits::{Create, Entry, File, Mode, OpenOptions, Vfs};
