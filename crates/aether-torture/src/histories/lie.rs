//! Planted bugs: a client that breaks the promise of its level, or tells what is not so.

/// A planted bug. It strikes now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A read leaves the newest version out.
    SkipNewest,
    /// A transaction is rolled back and told as committed.
    DropCommit,
    /// A transaction commits and is told as failed.
    FailCommitted,
    /// Reads show what others have written and not committed.
    ReadUncommitted,
    /// Writes go out at the end, whatever others have written meanwhile.
    IgnoreConflicts,
    /// A transaction commits its first half before the second.
    TearCommit,
    /// A value is appended twice.
    AppendTwice,
    /// A transaction does not see its own appends.
    ForgetOwn,
    /// A commit that nobody has waited for is told as committed, though a crash may undo it.
    AcknowledgeEarly,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SkipNewest,
        Self::DropCommit,
        Self::FailCommitted,
        Self::ReadUncommitted,
        Self::IgnoreConflicts,
        Self::TearCommit,
        Self::AppendTwice,
        Self::ForgetOwn,
        Self::AcknowledgeEarly,
    ];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SkipNewest => "skip-newest",
            Self::DropCommit => "drop-commit",
            Self::FailCommitted => "fail-committed",
            Self::ReadUncommitted => "read-uncommitted",
            Self::IgnoreConflicts => "ignore-conflicts",
            Self::TearCommit => "tear-commit",
            Self::AppendTwice => "append-twice",
            Self::ForgetOwn => "forget-own",
            Self::AcknowledgeEarly => "acknowledge-early",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lie| lie.name() == name)
    }
}
