//! The shared words of Aether: ids, errors, the little-endian codec, checksums and every limit.
//!
//! This crate does no input or output, starts no thread and knows nothing else of ours. It keeps the
//! part of R4 that is common to every reader of bytes: a length, offset or count is checked before use.

#![forbid(unsafe_code)]

mod checksum;
mod codec;
mod error;
mod id;
pub mod limits;
mod lv;
mod page_size;

pub use checksum::{Hasher, checksum};
pub use codec::{Reader, Writer};
pub use error::{Advice, Error, ErrorKind, Place, Result};
pub use id::{FileId, IndexKind, Lsn, PageNo, Psn, StoreId, StreamId, Timestamp, TxnId};
pub use lv::Lv;
pub use page_size::PageSize;
