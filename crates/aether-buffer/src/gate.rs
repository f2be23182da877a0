//! Log before data (P1): a page may be written once the log is durable up to the page's vector.

use aether_trace::planted;
use aether_types::{Lv, Result};

/// What a log promises to the buffer manager. Implemented above, by the log.
pub trait FlushGate: Send + Sync + 'static {
    /// The vector up to which the log is durable; never blocks.
    fn durable(&self) -> Lv;

    /// Blocks until the log is durable up to `lv`, flushing if nobody else does. Called without any latch.
    ///
    /// # Errors
    /// `Poisoned` or `InDoubt` once a write or sync of the log has failed.
    fn wait_durable(&self, lv: &Lv) -> Result<()>;
}

/// Proof that the log was durable up to a page's vector; the function that writes data pages takes one.
#[derive(Debug)]
pub struct Durable(());

impl Durable {
    /// Asks the gate; blocks.
    pub fn up_to(gate: &dyn FlushGate, lv: &Lv) -> Result<Self> {
        if !gate.durable().covers(lv) && !planted("page-before-log") {
            gate.wait_durable(lv)?;
        }
        Ok(Self(()))
    }
}

/// The gate of a volatile pool: nothing is logged, everything may be written.
#[derive(Debug, Default)]
pub struct NoGate;

impl FlushGate for NoGate {
    fn durable(&self) -> Lv {
        let mut lv = Lv::ZERO;
        (0..aether_types::limits::STREAMS_MAX as u8)
            .for_each(|stream| lv.set(aether_types::StreamId::new(stream), aether_types::Lsn::new(u64::MAX)));
        lv
    }

    fn wait_durable(&self, _: &Lv) -> Result<()> {
        Ok(())
    }
}
