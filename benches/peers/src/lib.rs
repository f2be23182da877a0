//! Aether beside other engines. The driver and its adapters come with the issue that compares them.
