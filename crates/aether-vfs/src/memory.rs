//! Memory (temporary).
use crate::*;
use aether_sync::{Arc, Mutex, Rank};
use aether_types::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
const R: Rank = Rank::new(950, "memory files");
const D: Rank = Rank::new(951, "memory file");
type Data = Arc<Mutex<Vec<u8>>>;
/// In-memory.
pub struct MemoryVfs(Mutex<BTreeMap<PathBuf, Option<Data>>>);
impl Default for MemoryVfs {
    fn default() -> Self {
        Self(Mutex::new(R, BTreeMap::new()))
    }
}
struct F(Data);
fn missing(p: &Path) -> Error {
    Error::new(ErrorKind::NotFound, "no such file").at_path(p)
}
impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>> {
        let mut m = self.0.lock();
        if !m.contains_key(path) && options.create != Create::No {
            m.insert(path.into(), Some(Arc::new(Mutex::new(D, Vec::new()))));
        }
        match m.get(path) {
            Some(Some(d)) => Ok(Arc::new(F(d.clone()))),
            _ => Err(missing(path)),
        }
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.0.lock().remove(path).map(|_| ()).ok_or_else(|| missing(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut m = self.0.lock();
        let d = m.remove(from).ok_or_else(|| missing(from))?;
        m.insert(to.into(), d);
        Ok(())
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        if self.0.lock().insert(path.into(), None).is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "exists"));
        }
        Ok(())
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let m = self.0.lock();
        if !m.contains_key(dir) {
            return Err(missing(dir));
        }
        Ok(m.iter()
            .filter(|(p, _)| p.parent() == Some(dir))
            .map(|(p, d)| Entry {
                name: p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
                is_dir: d.is_none(),
                size: d.as_ref().map_or(0, |d| d.lock().len() as u64),
            })
            .collect())
    }
    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}
impl File for F {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let d = self.0.lock();
        let start = (offset as usize).min(d.len());
        let n = into.len().min(d.len() - start);
        into[..n].copy_from_slice(&d[start..start + n]);
        Ok(n)
    }
    fn write_at(&self, offset: u64, from: &[u8]) -> Result<()> {
        let mut d = self.0.lock();
        let end = offset as usize + from.len();
        if d.len() < end {
            d.resize(end, 0);
        }
        d[offset as usize..end].copy_from_slice(from);
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
    fn set_size(&self, size: u64) -> Result<()> {
        self.0.lock().resize(size as usize, 0);
        Ok(())
    }
    fn lock(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
