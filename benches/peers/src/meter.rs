//! What a stretch of work costs this process, and how large things are.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Started before the work.
pub struct Meter {
    wall: Instant,
    cpu: Duration,
    written: Option<u64>,
}

/// What the work cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Time on the wall.
    pub wall: Duration,
    /// Time of all threads of the process on a processor.
    pub cpu: Duration,
}

impl Meter {
    /// Starts.
    pub fn start() -> Self {
        Self { written: written_bytes(), cpu: cpu_time(), wall: Instant::now() }
    }

    /// Time since the start.
    pub fn spent(&self) -> Spent {
        Spent { wall: self.wall.elapsed(), cpu: cpu_time().saturating_sub(self.cpu) }
    }

    /// Bytes that this process has sent to storage since the start; none where the system does not say.
    pub fn written_bytes(&self) -> Option<u64> {
        written_bytes()?.checked_sub(self.written?)
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// `write_bytes`: pages made dirty in the page cache, and direct writes.
fn written_bytes() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/io").ok()?, "write_bytes:")
}

/// The most memory that this process has had, mapped files included.
pub fn memory_peak_bytes() -> Option<u64> {
    Some(field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")? * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Bytes that a directory occupies on disk.
pub fn size_bytes(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_bytes(&entry.path())).sum()
}

/// Copies a directory and waits until the copy is on disk, so that its write-back disturbs nobody.
///
/// # Errors
/// Of the file system.
pub fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "cancelled_write_bytes: 1\nwrite_bytes: 4096\nVmHWM:\t   12 kB\n";
        assert_eq!(field(text, "write_bytes:"), Some(4096));
        assert_eq!(field(text, "VmHWM:"), Some(12));
        assert_eq!(field(text, "absent:"), None);
    }

    #[test]
    fn work_takes_time_and_a_copy_is_as_large() {
        let meter = Meter::start();
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(from.join("c")).expect("created");
        fs::write(from.join("c/d"), [7; 10_000]).expect("written");
        copy_dir(&from, &to).expect("copied");
        assert_eq!(fs::read(to.join("c/d")).expect("read"), [7; 10_000]);
        assert!(meter.spent().wall > Duration::ZERO && meter.spent().cpu > Duration::ZERO);
    }
}
