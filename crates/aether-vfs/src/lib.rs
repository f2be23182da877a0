//! Files, directories, clock and entropy as traits with a written crash contract
