//! Ids as newtypes. None has arithmetic operators: what may be added to an id is a named method.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the raw number.
            #[inline]
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }

            /// The raw number.
            #[inline]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// The number of a page inside its file, counted in pages from 0; 38 bits.
    PageNo(u64),
    "page "
);
id!(
    /// A file of the store; 26 bits, never 0, never reused (F1). File names come from it.
    FileId(u32),
    "file "
);
id!(
    /// Page sequence number: raised by one by each log group that changes the page, across all its lives (P2).
    Psn(u64),
    "psn "
);
id!(
    /// Byte position in a log stream. A record's LSN is where it starts; bounds are end-exclusive (L1).
    Lsn(u64),
    "lsn "
);
id!(
    /// A log stream, 0 to 15.
    StreamId(u8),
    "stream "
);
id!(
    /// A transaction; never reused within a store (F1). 0 means none.
    TxnId(u64),
    "txn "
);
id!(
    /// A commit timestamp; drawn from one counter, never reused within a store (F1). 0 is before every commit.
    Timestamp(u64),
    "ts "
);

id!(
    /// A kind of index, as the catalog names it. Those below [`IndexKind::FIRST_FOREIGN`] are the engine's own.
    IndexKind(u32),
    "index kind "
);

impl IndexKind {
    /// A B+tree.
    pub const BTREE: Self = Self(0);
    /// A log-structured merge tree.
    pub const LSM: Self = Self(1);
    /// A skiplist in memory.
    pub const SKIPLIST: Self = Self(2);
    /// A radix tree.
    pub const RAX: Self = Self(3);
    /// From here on kinds are those of programs.
    pub const FIRST_FOREIGN: Self = Self(64);
}

impl PageNo {
    /// Bits of a page number; the other 26 bits of a page reference hold the frame hint.
    pub const BITS: u32 = 38;
    /// One above the largest page number.
    pub const END: u64 = 1 << Self::BITS;

    /// The page `count` pages further on.
    #[inline]
    pub const fn offset(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl FileId {
    /// Bits of a file id.
    pub const BITS: u32 = 26;
}

impl Psn {
    /// No page ever has this number or a higher one, so that what is added to one does not overflow.
    pub const END: u64 = 1 << 60;

    /// The next sequence number.
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Lsn {
    /// The position `bytes` further on.
    #[inline]
    pub const fn advance(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }

    /// How many bytes lie from `earlier` up to here; 0 if `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl TxnId {
    /// No transaction.
    pub const NONE: TxnId = TxnId(0);

    /// True for [`TxnId::NONE`].
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The random id of a store; part of every file's header and of every checksum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// Wraps 16 random bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// A 64-bit digest, the part of the checksum seed that names the store.
    pub fn seed(self) -> u64 {
        crate::checksum(0, &self.0)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
