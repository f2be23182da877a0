//! The same traits as an adversary: torn, lost and reordered writes, full disks, failed syncs
