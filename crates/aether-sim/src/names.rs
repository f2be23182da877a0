//! Directories: the names that a reader sees, those that are durable, and the changes between the two.

use crate::crash::Chooser;
use aether_sync::Arc;
use aether_types::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

pub(crate) type FileNo = u64;
type DirNo = u64;
type Name = Arc<str>;
type Tree = BTreeMap<DirNo, BTreeMap<Name, Target>>;

const ROOT: DirNo = 0;

/// What a name leads to. There are no hard links: a target has one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Target {
    File(FileNo),
    Dir(DirNo),
}

impl Target {
    fn file(self) -> Option<FileNo> {
        match self {
            Self::File(no) => Some(no),
            Self::Dir(_) => None,
        }
    }
}

/// Where a name is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    dir: DirNo,
    name: Name,
}

/// An unsynced change; it survives whole or not at all.
#[derive(Clone)]
struct Change {
    order: u64,
    spot: Spot,
    target: Target,
    what: What,
}

#[derive(Clone)]
enum What {
    Create,
    Remove,
    Rename { from: Spot },
}

impl Change {
    fn from(&self) -> Option<&Spot> {
        match &self.what {
            What::Rename { from } => Some(from),
            What::Create | What::Remove => None,
        }
    }

    fn spots(&self) -> impl Iterator<Item = &Spot> {
        core::iter::once(&self.spot).chain(self.from())
    }

    /// A moved target leaves whatever name it has: an earlier rename of it may have been lost, and nothing ever has
    /// two names. A removal spares another target of the same name.
    fn apply(&self, tree: &mut Tree) {
        if self.from().is_some() {
            tree.values_mut().for_each(|dir| dir.retain(|_, found| *found != self.target));
        }
        let Some(dir) = tree.get_mut(&self.spot.dir) else { return };
        match self.what {
            What::Remove => dir.retain(|name, found| *name != self.spot.name || *found != self.target),
            What::Create | What::Rename { .. } => drop(dir.insert(self.spot.name.clone(), self.target)),
        }
    }
}

/// Both trees hold every directory ever made, reachable or not.
#[derive(Clone)]
pub(crate) struct Names {
    live: Tree,
    durable: Tree,
    pending: Vec<Change>,
    next: u64,
}

impl Names {
    pub(crate) fn new() -> Self {
        let root: Tree = [(ROOT, BTreeMap::new())].into();
        Self { live: root.clone(), durable: root, pending: Vec::new(), next: ROOT + 1 }
    }

    pub(crate) fn find(&self, path: &Path) -> Option<Target> {
        let step = |at: Option<Target>, name: &Name| match at? {
            Target::Dir(dir) => self.live.get(&dir)?.get(name).copied(),
            Target::File(_) => None,
        };
        parts(path).iter().fold(Some(Target::Dir(ROOT)), step)
    }

    /// Where `path` is or could be.
    pub(crate) fn spot(&self, path: &Path) -> Result<Spot> {
        let mut names = parts(path);
        let Some(name) = names.pop() else { return Err(Error::invalid("the root is fixed").at_path(path)) };
        let mut dir = ROOT;
        for name in names {
            match self.live.get(&dir).and_then(|dir| dir.get(&name)) {
                Some(Target::Dir(next)) => dir = *next,
                Some(Target::File(_)) => {
                    return Err(Error::new(ErrorKind::Io, "the parent is a file").at_path(path));
                }
                None => return Err(missing("no such parent directory", path)),
            }
        }
        Ok(Spot { dir, name })
    }

    pub(crate) fn list(&self, dir: &Path) -> Result<impl Iterator<Item = (&Name, Target)>> {
        let dir = self.dir(dir, "cannot list the directory")?;
        Ok(self.live.get(&dir).into_iter().flatten().map(|(name, target)| (name, *target)))
    }

    pub(crate) fn dir(&self, dir: &Path, what: &str) -> Result<DirNo> {
        match self.find(dir) {
            Some(Target::Dir(no)) => Ok(no),
            Some(Target::File(_)) => Err(Error::new(ErrorKind::Io, "not a directory").at_path(dir)),
            None => Err(missing(what, dir)),
        }
    }

    pub(crate) fn create_file(&mut self, order: u64, spot: Spot) -> FileNo {
        let no = self.take_number();
        self.change(Change { order, spot, target: Target::File(no), what: What::Create });
        no
    }

    pub(crate) fn create_dir(&mut self, order: u64, spot: Spot) {
        let no = self.take_number();
        self.live.insert(no, BTreeMap::new());
        self.durable.insert(no, BTreeMap::new());
        self.change(Change { order, spot, target: Target::Dir(no), what: What::Create });
    }

    /// What would go, and from where.
    pub(crate) fn check_remove(&self, path: &Path) -> Result<(Spot, Target)> {
        let target = self.find(path).ok_or_else(|| missing("cannot remove", path))?;
        if !self.is_empty(target) {
            return Err(not_empty("cannot remove", path));
        }
        Ok((self.spot(path)?, target))
    }

    pub(crate) fn remove(&mut self, order: u64, spot: Spot, target: Target) {
        self.change(Change { order, spot, target, what: What::Remove });
    }

    /// The two places and what moves; `None` if nothing does.
    pub(crate) fn check_rename(&self, from: &Path, to: &Path) -> Result<Option<(Spot, Spot, Target)>> {
        let target = self.find(from).ok_or_else(|| missing("cannot rename", from))?;
        let (old, new) = (self.spot(from)?, self.spot(to)?);
        if old == new {
            return Ok(None);
        }
        if parts(to).starts_with(&parts(from)) {
            return Err(Error::invalid("a directory cannot move into itself").at_path(to));
        }
        match (target, self.find(to)) {
            (_, None) | (Target::File(_), Some(Target::File(_))) => {}
            (Target::Dir(_), Some(Target::Dir(no))) if self.is_empty(Target::Dir(no)) => {}
            (Target::Dir(_), Some(Target::Dir(_))) => return Err(not_empty("cannot rename", to)),
            _ => {
                return Err(
                    Error::new(ErrorKind::Io, "a file and a directory do not replace each other").at_path(to)
                );
            }
        }
        Ok(Some((old, new, target)))
    }

    pub(crate) fn rename(&mut self, order: u64, from: Spot, spot: Spot, target: Target) {
        self.change(Change { order, spot, target, what: What::Rename { from } });
    }

    fn is_empty(&self, target: Target) -> bool {
        match target {
            Target::File(_) => true,
            Target::Dir(dir) => self.live.get(&dir).is_none_or(BTreeMap::is_empty),
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// Makes the names in `dir` durable, with the earlier changes they rest on: those that share a name with one.
    pub(crate) fn sync(&mut self, dir: DirNo) {
        let mut spots = BTreeSet::new();
        let mut left = Vec::new();
        let mut taken = Vec::new();
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            let is_here = change.spots().any(|spot| spot.dir == dir || spots.contains(spot));
            if is_here {
                spots.extend(change.spots().cloned());
                taken.push(change);
            } else {
                left.push(change);
            }
        }
        taken.iter().rev().for_each(|change| change.apply(&mut self.durable));
        left.reverse();
        self.pending = left;
    }

    pub(crate) fn unsynced(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().map(|change| change.order)
    }

    /// What a power cut leaves.
    pub(crate) fn survivor(&self, chooser: &mut Chooser) -> Self {
        let mut tree = self.durable.clone();
        let kept = self.kept(chooser);
        for (change, _) in self.pending.iter().zip(kept).filter(|(_, kept)| *kept) {
            change.apply(&mut tree);
        }
        let tree = reachable(tree);
        Self { live: tree.clone(), durable: tree, pending: Vec::new(), next: self.next }
    }

    /// A name that is taken anew takes along the rename that had left it free: else the renamed target would have
    /// neither name, and renames are atomic.
    fn kept(&self, chooser: &mut Chooser) -> Vec<bool> {
        let mut kept: Vec<bool> =
            self.pending.iter().map(|change| chooser.keeps_name(change.order)).collect();
        let mut spots = BTreeSet::new();
        for (change, kept) in self.pending.iter().zip(&mut kept).rev() {
            *kept |= change.from().is_some_and(|from| spots.contains(from));
            if *kept {
                spots.insert(&change.spot);
            }
        }
        kept
    }

    /// The files that a name leads to, might lead to after a crash, or did before a pending change.
    pub(crate) fn files(&self) -> BTreeSet<FileNo> {
        let pending = self.pending.iter().filter_map(|change| change.target.file());
        self.live_files().chain(files(&self.durable)).chain(pending).collect()
    }

    /// The files that a name leads to.
    pub(crate) fn live_files(&self) -> impl Iterator<Item = FileNo> {
        files(&self.live)
    }
}

fn files(tree: &Tree) -> impl Iterator<Item = FileNo> {
    tree.values().flat_map(BTreeMap::values).filter_map(|target| target.file())
}

/// The directories that the root leads to.
fn reachable(mut tree: Tree) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![ROOT];
    while let Some(dir) = open.pop() {
        let names = tree.remove(&dir).unwrap_or_default();
        open.extend(names.values().filter_map(|target| match target {
            Target::Dir(no) => Some(*no),
            Target::File(_) => None,
        }));
        found.insert(dir, names);
    }
    found
}

/// The names from the root, without `.` and `..`.
fn parts(path: &Path) -> Vec<Name> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(Name::from(name.to_string_lossy())),
            Component::ParentDir => drop(names.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    names
}

pub(crate) fn missing(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}: it does not exist")).at_path(path)
}

fn not_empty(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: the directory is not empty")).at_path(path)
}
