//! Transactions, snapshots, versions and conflicts
