//! Index traits and the B+tree
