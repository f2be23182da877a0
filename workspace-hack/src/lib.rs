//! Managed by cargo-hakari; holds nothing.
