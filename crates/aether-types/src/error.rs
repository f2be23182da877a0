//! The one error type of the engine: a kind that answers "what must I do now", a place, and a source.
//!
//! Normal outcomes (an absent key, a failed compare-and-set) are return values, never errors.

use crate::{FileId, PageNo, TxnId};
use core::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong, as far as the caller can act on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call's arguments break a rule that the message states.
    InvalidInput,
    /// A named thing (home, keyspace, file, savepoint) does not exist.
    NotFound,
    /// A named thing exists already.
    AlreadyExists,
    /// Another transaction changed the key first; abort and run the transaction again.
    Conflict,
    /// The transaction is the victim of a deadlock; abort and run it again.
    Deadlock,
    /// The transaction is over: committed, aborted, or to be aborted after an earlier error.
    TxnOver,
    /// A commit was requested and its outcome is unknown until the store is opened again.
    InDoubt,
    /// An earlier failed write or sync has ended writing on this handle (R2); open the store again.
    Poisoned,
    /// The home is in use by another process or another handle.
    Locked,
    /// Storage holds something that cannot be: damage, or a foreign or cut file.
    Corruption,
    /// The file is of a version, or needs a feature, that this build does not know.
    Unsupported,
    /// The operating system refused a read, write or sync.
    Io,
    /// No space is left on the device.
    Full,
    /// The memory budget or another configured bound would be exceeded.
    OverLimit,
    /// The store or the directory can only be read.
    ReadOnly,
    /// The snapshot was held for longer than the store allows; begin again.
    Expired,
    /// A wait ended without its event.
    TimedOut,
}

/// What a caller can do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Advice {
    /// Abort the transaction and run it again.
    Retry,
    /// Correct the call.
    FixInput,
    /// Remove the cause (space, permissions, the other process), then open the store again.
    FixCause,
    /// Close the handle and open the store again; acknowledged commits are kept.
    Reopen,
    /// Stop; verify, salvage or restore.
    StopAndRestore,
}

impl ErrorKind {
    /// What a caller can do about it.
    pub fn advice(self) -> Advice {
        match self {
            Self::Conflict | Self::Deadlock | Self::Expired | Self::TimedOut => Advice::Retry,
            Self::InvalidInput | Self::NotFound | Self::AlreadyExists | Self::TxnOver => Advice::FixInput,
            Self::Locked | Self::Full | Self::Io | Self::OverLimit | Self::ReadOnly => Advice::FixCause,
            Self::InDoubt | Self::Poisoned => Advice::Reopen,
            Self::Corruption | Self::Unsupported => Advice::StopAndRestore,
        }
    }
}

/// Where it went wrong; every part is optional.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file, by path.
    pub path: Option<PathBuf>,
    /// The file, by id.
    pub file: Option<FileId>,
    /// The page in the file.
    pub page: Option<PageNo>,
    /// The byte offset in the file or input.
    pub offset: Option<u64>,
    /// The transaction.
    pub txn: Option<TxnId>,
    /// The key.
    pub key: Option<Vec<u8>>,
}

/// An error: kind, message, place, source.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: String,
    place: Place,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of `kind`; `what` says what is wrong and, where that is not plain, what to do.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), place: Place::default(), source: None }))
    }

    /// A `Corruption` error.
    pub fn corruption(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corruption, what)
    }

    /// An `InvalidInput` error.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, what)
    }

    /// Wraps an operating-system error met while doing `what` on `path`; the kind follows from it.
    pub fn io(what: impl Into<String>, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Os;
        let kind = match source.kind() {
            Os::NotFound => ErrorKind::NotFound,
            Os::AlreadyExists => ErrorKind::AlreadyExists,
            Os::StorageFull | Os::QuotaExceeded | Os::FileTooLarge => ErrorKind::Full,
            Os::ReadOnlyFilesystem | Os::PermissionDenied => ErrorKind::ReadOnly,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, what).at_path(path);
        error.0.source = Some(source);
        error
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The place.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What a caller can do about it.
    pub fn advice(&self) -> Advice {
        self.0.kind.advice()
    }

    /// The message without place and source.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Names the file by path, unless that is known already.
    pub fn at_path(mut self, path: &Path) -> Self {
        self.0.place.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Names the file by id.
    pub fn at_file(mut self, file: FileId) -> Self {
        self.0.place.file.get_or_insert(file);
        self
    }

    /// Names the page.
    pub fn at_page(mut self, page: PageNo) -> Self {
        self.0.place.page.get_or_insert(page);
        self
    }

    /// Names the byte offset, replacing an inner one: the outermost reader knows the file's own offset.
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.0.place.offset = Some(offset);
        self
    }

    /// Names the transaction.
    pub fn at_txn(mut self, txn: TxnId) -> Self {
        self.0.place.txn.get_or_insert(txn);
        self
    }

    /// Names the key.
    pub fn at_key(mut self, key: &[u8]) -> Self {
        self.0.place.key.get_or_insert_with(|| key.to_vec());
        self
    }

    /// Says before the message what it was met in; the place stays.
    pub fn within(mut self, of: impl fmt::Display) -> Self {
        self.0.what = format!("{of}: {}", self.0.what);
        self
    }

    /// The same error as another kind, e.g. `Io` during a commit as `InDoubt`.
    pub fn as_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// A copy without the source, for every waiter of a shared failure.
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::new(self.0.kind, self.to_string());
        copy.0.place = Place { txn: self.0.place.txn, key: self.0.place.key.clone(), ..Place::default() };
        copy
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.0.place;
        f.write_str(&self.0.what)?;
        if let Some(key) = &place.key {
            let shown = &key[..key.len().min(64)];
            write!(f, ", key {:?}", String::from_utf8_lossy(shown))?;
        }
        if let Some(txn) = place.txn {
            write!(f, ", {txn}")?;
        }
        if let Some(path) = &place.path {
            write!(f, ", in {}", path.display())?;
        } else if let Some(file) = place.file {
            write!(f, ", in {file}")?;
        }
        if let Some(page) = place.page {
            write!(f, ", {page}")?;
        }
        if let Some(offset) = place.offset {
            write!(f, ", at byte {offset}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_place() {
        let error = Error::corruption("checksum differs").at_file(FileId::new(1)).at_page(PageNo::new(7));
        assert_eq!(error.to_string(), "checksum differs, in file 1, page 7");
        assert_eq!(error.advice(), Advice::StopAndRestore);
    }

    #[test]
    fn what_it_was_met_in_comes_first_and_the_place_stays() {
        let error = Error::corruption("checksum differs").at_file(FileId::new(1)).within("table 3");
        assert_eq!(error.to_string(), "table 3: checksum differs, in file 1");
        assert_eq!(error.place().file, Some(FileId::new(1)));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("writing", Path::new("x"), source).kind(), ErrorKind::Full);
    }
}
