//! Reserved for the LSM tree: memtables, runs, merge policies
