//! TEMPORARY
#![allow(missing_docs, clippy::all)]
use crate::run::RunHome;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::*;
use aether_vfs::*;
use std::io::Read;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAt {
    pub file: FileId,
    pub offset: u64,
    pub length: u64,
}
impl ValueAt {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.file.get().into());
        out.put_u64(self.offset);
        out.put_u64(self.length);
    }
    pub fn decode(b: &[u8]) -> Result<Self> {
        let mut r = Reader::new(b);
        Ok(Self { file: FileId::new(r.u64()? as u32), offset: r.u64()?, length: r.u64()? })
    }
}
pub struct ValueFileInfo {
    pub file: FileId,
    pub bytes: u64,
}
pub fn values_name(f: FileId) -> String {
    format!("values-{:08x}", f.get())
}
pub struct ValueWriter {
    home: RunHome,
    id: FileId,
    all: Vec<u8>,
}
impl ValueWriter {
    pub fn new(home: &RunHome, id: FileId) -> Result<Self> {
        Ok(Self { home: home.clone(), id, all: vec![] })
    }
    pub fn append(&mut self, from: &mut dyn Read, length: u64) -> Result<ValueAt> {
        let offset = self.all.len() as u64;
        from.take(length).read_to_end(&mut self.all).unwrap();
        Ok(ValueAt { file: self.id, offset, length })
    }
    pub fn finish(self) -> Result<ValueFileInfo> {
        let f = self.home.env.vfs.open(
            &self.home.dir.join(values_name(self.id)),
            OpenOptions { write: true, create: Create::New, mode: Mode::Buffered },
        )?;
        f.write_at(0, &self.all)?;
        f.sync()?;
        self.home.env.vfs.sync_dir(&self.home.dir)?;
        Ok(ValueFileInfo { file: self.id, bytes: self.all.len() as u64 })
    }
}
pub struct ValueFile(Arc<dyn File>);
impl ValueFile {
    pub fn open(home: &RunHome, id: FileId) -> Result<Arc<Self>> {
        Ok(Arc::new(Self(home.env.vfs.open(&home.dir.join(values_name(id)), OpenOptions::read())?)))
    }
    pub fn read_into(&self, at: ValueAt, out: &mut Vec<u8>) -> Result<()> {
        let mut b = vec![0; at.length as usize];
        read_exact_at(&*self.0, at.offset, &mut b)?;
        out.extend(b);
        Ok(())
    }
    pub fn reader(self: &Arc<Self>, at: ValueAt) -> impl Read + Send + use<> {
        let mut v = vec![];
        self.read_into(at, &mut v).unwrap();
        std::io::Cursor::new(v)
    }
}
