//! Env (temporary).
use crate::{MemoryVfs, Vfs};
use aether_sync::Arc;
use std::time::Duration;
/// Clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Duration;
}
/// Entropy.
pub trait Entropy: Send + Sync {
    /// Fill.
    fn fill(&self, into: &mut [u8]);
}
/// Env.
#[derive(Clone)]
pub struct Env {
    /// Vfs.
    pub vfs: Arc<dyn Vfs>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
}
struct Still;
impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}
impl Entropy for Still {
    fn fill(&self, into: &mut [u8]) {
        into.fill(42);
    }
}
impl Env {
    /// Memory.
    pub fn memory() -> Self {
        Self { vfs: Arc::new(MemoryVfs::default()), clock: Arc::new(Still), entropy: Arc::new(Still) }
    }
}
