//! Homes, keyspaces, catalog: the composition root
