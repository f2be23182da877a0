//! Frames, swips, guards, the page provider and write-back
