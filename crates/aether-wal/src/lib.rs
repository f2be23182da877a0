//! Write-ahead log: streams, vectors, group commit, segments
