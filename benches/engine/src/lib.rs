//! Shared parts of the engine's benches.
