//! Names in memory: a sorted map from whole paths to what is there.

use super::Inode;
use crate::{Create, Entry, OpenOptions};
use aether_sync::Arc;
use aether_types::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

#[derive(Clone)]
enum Node {
    Dir,
    File(Arc<Inode>),
}

/// Paths are relative to the root, which is the empty path and not in the map.
#[derive(Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Tree {
    pub(super) fn open(&mut self, path: &Path, options: OpenOptions) -> Result<Arc<Inode>> {
        if options.create != Create::No && !options.write {
            return Err(Error::invalid("a file is created only for writing").at_path(path));
        }
        let key = plain(path);
        match self.find(&key) {
            Some(Node::Dir) => Err(Error::invalid("this is not a regular file").at_path(path)),
            Some(_) if options.create == Create::New => Err(exists("cannot open", path)),
            Some(Node::File(inode)) => Ok(inode),
            None if options.create == Create::No => Err(missing("cannot open", path)),
            None => self.create(key, path),
        }
    }

    fn create(&mut self, key: PathBuf, path: &Path) -> Result<Arc<Inode>> {
        self.check_parent(&key, path)?;
        let inode = Arc::new(Inode::new());
        self.nodes.insert(key, Node::File(inode.clone()));
        Ok(inode)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> Result<()> {
        let key = plain(path);
        if self.find(&key).is_some() {
            return Err(exists("cannot create the directory", path));
        }
        self.check_parent(&key, path)?;
        self.nodes.insert(key, Node::Dir);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<()> {
        let key = plain(path);
        if !self.nodes.contains_key(&key) {
            return Err(missing("cannot remove", path));
        }
        if self.below(&key).next().is_some() {
            return Err(not_empty("cannot remove", path));
        }
        self.nodes.remove(&key);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (old, new) = (plain(from), plain(to));
        let Some(node) = self.nodes.get(&old).cloned() else { return Err(missing("cannot rename", from)) };
        self.check_parent(&new, to)?;
        if old == new {
            return Ok(());
        }
        self.check_target(&node, &old, &new, to)?;
        let moved: Vec<PathBuf> = self.below(&old).cloned().collect();
        self.nodes.remove(&old);
        for path in moved {
            let rest = path.strip_prefix(&old).map(|rest| new.join(rest)).unwrap_or_default();
            self.nodes.remove(&path).map(|child| self.nodes.insert(rest, child));
        }
        self.nodes.insert(new, node);
        Ok(())
    }

    fn check_target(&self, node: &Node, old: &Path, new: &Path, to: &Path) -> Result<()> {
        if new.starts_with(old) {
            return Err(Error::invalid("a directory cannot move into itself").at_path(to));
        }
        match (node, self.nodes.get(new)) {
            (_, None) | (Node::File(_), Some(Node::File(_))) => Ok(()),
            (Node::Dir, Some(Node::Dir)) if self.below(new).next().is_none() => Ok(()),
            (Node::Dir, Some(Node::Dir)) => Err(not_empty("cannot rename", to)),
            _ => {
                Err(Error::new(ErrorKind::Io, "a file and a directory cannot replace each other").at_path(to))
            }
        }
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let key = plain(dir);
        match self.find(&key) {
            Some(Node::Dir) => {}
            Some(Node::File(_)) => return Err(Error::new(ErrorKind::Io, "not a directory").at_path(dir)),
            None => return Err(missing("cannot list the directory", dir)),
        }
        let children = self.below(&key).filter(|path| path.parent() == Some(&key));
        let mut entries: Vec<Entry> = children.filter_map(|path| self.entry(path)).collect();
        entries.sort();
        Ok(entries)
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(match self.nodes.get(path)? {
            Node::Dir => Entry { name, is_dir: true, size: 0 },
            Node::File(inode) => Entry { name, is_dir: false, size: inode.bytes.read().len() as u64 },
        })
    }

    fn find(&self, key: &Path) -> Option<Node> {
        if key.as_os_str().is_empty() { Some(Node::Dir) } else { self.nodes.get(key).cloned() }
    }

    fn check_parent(&self, key: &Path, path: &Path) -> Result<()> {
        match key.parent().and_then(|parent| self.find(parent)) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(Error::new(ErrorKind::Io, "the parent is a file").at_path(path)),
            None => Err(missing("no such parent directory", path)),
        }
    }

    fn below<'a>(&'a self, key: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        let start = if key.as_os_str().is_empty() { Bound::Unbounded } else { Bound::Excluded(key) };
        let later = self.nodes.range::<Path, _>((start, Bound::Unbounded));
        later.map(|(path, _)| path).take_while(move |path| path.starts_with(key))
    }
}

/// The path from the root, without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut key = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => key.push(name),
            Component::ParentDir => drop(key.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    key
}

fn missing(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}: it does not exist")).at_path(path)
}

fn exists(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("{what}: it exists already")).at_path(path)
}

fn not_empty(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: the directory is not empty")).at_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_relative_and_dotted_paths_meet() {
        for path in ["/a/b", "a/b", "./a/b", "/a/x/../b", "../a/b"] {
            assert_eq!(plain(Path::new(path)), Path::new("a/b"));
        }
    }
}
