//! Stand-in.
#![allow(missing_docs, clippy::todo, unused_variables)]
pub use aether_buffer as buffer;
use aether_buffer::FlushGate;
use aether_sync::Arc;
use aether_types::*;
use aether_vfs::Env;
use std::path::Path;
use std::time::Duration;
#[derive(Clone, Debug)]
pub struct WalConfig {
    pub streams: usize,
    pub segment_bytes: u64,
    pub ring_bytes: usize,
    pub flusher: bool,
    pub recycle: usize,
}
impl Default for WalConfig {
    fn default() -> Self {
        Self { streams: 1, segment_bytes: 64 << 20, ring_bytes: 4 << 20, flusher: true, recycle: 2 }
    }
}
#[derive(Clone, Debug)]
pub struct Incarnation {
    pub epoch: u64,
    pub cut: Lv,
    pub start: Lv,
}
pub struct Scan;
pub struct Record<'a> {
    pub stream: StreamId,
    pub lsn: Lsn,
    pub end: Lsn,
    pub kind: u8,
    pub lv: Lv,
    pub body: &'a [u8],
}
impl Scan {
    pub fn open(
        env: &Env,
        home: &Path,
        store: StoreId,
        config: &WalConfig,
        incarnations: &[Incarnation],
        from: &Lv,
        clean_end: Option<&Lv>,
    ) -> Result<Scan> {
        todo!()
    }
    pub fn cut(&self) -> Lv {
        todo!()
    }
    pub fn for_each(
        &self,
        stream: StreamId,
        from: Lsn,
        f: &mut dyn FnMut(Record<'_>) -> Result<()>,
    ) -> Result<()> {
        todo!()
    }
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        (0..1).map(StreamId::new)
    }
}
pub struct Credit<'a>(&'a ());
pub struct Appended {
    pub lsn: Lsn,
    pub end: Lsn,
    pub lv: Lv,
}
pub struct WalStats {
    pub appended_bytes: u64,
    pub flushes: u64,
    pub flushed_bytes: u64,
    pub segments: u64,
}
pub struct Wal;
impl Wal {
    pub fn resume(
        scan: Scan,
        config: WalConfig,
        control: Box<dyn Fn(&Incarnation) -> Result<()> + Send + Sync>,
    ) -> Result<Arc<Wal>> {
        todo!()
    }
    pub fn start(&self) -> Result<()> {
        todo!()
    }
    pub fn is_started(&self) -> bool {
        todo!()
    }
    pub fn reserve(&self, stream: StreamId, bytes: usize) -> Result<Credit<'_>> {
        todo!()
    }
    pub fn reserve_urgent(&self, stream: StreamId, bytes: usize) -> Result<Credit<'_>> {
        todo!()
    }
    pub fn append(&self, credit: Credit<'_>, kind: u8, deps: &Lv, body: &[u8]) -> Appended {
        todo!()
    }
    pub fn claim_position(&self, stream: StreamId) -> Lsn {
        todo!()
    }
    pub fn positions(&self) -> Lv {
        todo!()
    }
    pub fn slv_join(&self) -> Lv {
        todo!()
    }
    pub fn durable(&self) -> Lv {
        todo!()
    }
    pub fn is_durable(&self, lv: &Lv) -> bool {
        todo!()
    }
    pub fn wait_durable(&self, lv: &Lv) -> Result<()> {
        todo!()
    }
    pub fn wait_durable_within(&self, lv: &Lv, w: Duration) -> Result<()> {
        todo!()
    }
    pub fn poll_durable(&self, lv: &Lv) -> Option<Result<()>> {
        todo!()
    }
    pub fn subscribe(&self, lv: &Lv, w: std::task::Waker) {
        todo!()
    }
    pub fn flush_after(&self, i: Duration) {
        todo!()
    }
    pub fn truncate_below(&self, lv: &Lv) -> Result<()> {
        todo!()
    }
    pub fn poisoned(&self) -> Option<Error> {
        todo!()
    }
    pub fn close(&self) -> Result<Lv> {
        todo!()
    }
    pub fn stats(&self) -> WalStats {
        todo!()
    }
}
impl FlushGate for Wal {
    fn durable(&self) -> Lv {
        todo!()
    }
    fn wait_durable(&self, lv: &Lv) -> Result<()> {
        todo!()
    }
}
