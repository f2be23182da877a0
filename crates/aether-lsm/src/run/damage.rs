//! Which keys of a run cannot be read: for who goes on behind them.

use super::block::{Data, Index, Window};
use super::read::Run;
use aether_index::txn::recovery::wal::buffer::Access;
use aether_index::txn::recovery::wal::buffer::page::Swip;
use aether_types::{ErrorKind, PageNo, Result};

/// Keys of blocks that cannot be read: those from `from` on and below `to` (none: to the run's last).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unread {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
}

/// What an index block says of an entry: from which key on, in which blocks.
struct Listed {
    separator: Vec<u8>,
    first: PageNo,
    following: u64,
}

impl Run {
    /// The first keys at or behind `key` whose blocks cannot be read; none if all can. Blocks for reads.
    ///
    /// # Errors
    /// Other ones than `Corruption`.
    pub(crate) fn unread_from(&self, key: &[u8]) -> Result<Option<Unread>> {
        let Some(partition) = self.top.find(key) else { return Ok(None) };
        for leaf in self.top.leaf_of(partition)..self.top.leaves().len() {
            let Some(listed) = readable(self.list(leaf))? else {
                return Ok(Some(Unread {
                    from: self.start_of(leaf).unwrap_or_default(),
                    to: self.start_of(leaf + 1),
                }));
            };
            let of_key = listed.partition_point(|entry| entry.separator[..] <= *key).saturating_sub(1);
            for (at, entry) in listed.iter().enumerate().skip(of_key) {
                if readable(self.read_blocks(entry))?.is_none() {
                    let next = listed.get(at + 1).map(|next| next.separator.clone());
                    let to = next.or_else(|| self.start_of(leaf + 1));
                    return Ok(Some(Unread { from: entry.separator.clone(), to }));
                }
            }
        }
        Ok(None)
    }

    /// The key from which on an index block has entries.
    fn start_of(&self, leaf: usize) -> Option<Vec<u8>> {
        let first = self.top.partitions().find(|partition| partition.leaf == leaf);
        first.map(|partition| partition.separator.to_vec())
    }

    fn list(&self, leaf: usize) -> Result<Vec<Listed>> {
        let reference = self.top.leaf(leaf).expect("the index blocks are counted");
        self.read(
            reference.swip().page(),
            || self.fix_known(reference),
            |_, view| {
                let index = Index::open(view)?;
                let listed = |entry| {
                    let (first, following) = (index.swip(entry).page(), index.following(entry));
                    Some(Listed { separator: index.separator(entry)?, first, following })
                };
                (0..index.len()).map(listed).collect()
            },
        )
    }

    fn read_blocks(&self, entry: &Listed) -> Result<()> {
        let mut window = Window::default();
        (0..=entry.following).map(|number| entry.first.offset(number)).try_for_each(|page| {
            self.read(
                page,
                || self.fix(Swip::new(page), &Access::Normal),
                |_, view| {
                    let data = Data::open(view)?;
                    (0..data.windows()).try_for_each(|number| data.read(number, &mut window))
                },
            )
        })
    }
}

/// None for what is damaged.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Corruption => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{KeyHash, Recipe};
    use crate::run::tests::home;
    use crate::run::{BuildOptions, Codec, Entry, Kind, RunBuilder, RunHome, file};
    use aether_types::{FileId, Timestamp};
    use aether_vfs::{read_file, write_file_durably};

    const FILE: FileId = FileId::new(3);
    const KEYS: u32 = 1500;
    /// It has versions in many blocks.
    const LONG: u32 = 700;

    /// A run of several index blocks.
    fn build(home: &RunHome) {
        let options =
            BuildOptions { filter: Some(Recipe::Bloom { bits_per_key: 10.0 }), codec: Codec::Plain };
        let mut builder = RunBuilder::new(home, FILE, options).unwrap();
        for number in 0..KEYS {
            for timestamp in (0..if number == LONG { 50 } else { 1 }).rev() {
                let (key, timestamp) = (number.to_be_bytes(), Timestamp::new(timestamp));
                builder.add(&Entry { key: &key, timestamp, kind: Kind::Value, value: &[7; 900] }).unwrap();
            }
        }
        builder.finish().unwrap().unwrap();
    }

    /// All ranges, from the first key on.
    fn unread(run: &Run) -> Vec<Unread> {
        let (mut all, mut from) = (Vec::<Unread>::new(), Some(Vec::new()));
        while let Some(lost) = from.and_then(|from| run.unread_from(&from).unwrap()) {
            from = lost.to.clone();
            all.push(lost);
        }
        all
    }

    /// One block of the run after the other is damaged: the keys that cannot be read are those that are named.
    #[test]
    fn the_keys_of_a_damaged_block_are_named() {
        let home = home();
        build(&home);
        let (opened, tail) = file::open(&home, FILE).unwrap();
        let leaves: Vec<_> = tail.top.leaves().collect();
        assert!(leaves.len() > 1, "{} index blocks", leaves.len());
        let some = (1..opened.places().end()).step_by(13).map(PageNo::new);
        let (path, sound) = (home.path(FILE), read_file(&*home.env.vfs, &home.path(FILE)).unwrap());
        // Each index block, and what is written just before it: filters, and the last block of its keys.
        let ends = leaves.iter().flat_map(|leaf| (0..4).map(|before| PageNo::new(leaf.get() - before)));
        for page in some.chain(ends) {
            let mut bytes = sound.clone();
            bytes[opened.places().of(page).unwrap().start as usize + 30] ^= 1;
            write_file_durably(&*home.env.vfs, &path, &bytes).unwrap();
            let run = Run::open(&home, FILE).unwrap();
            let lost = unread(&run);
            assert!(lost.len() <= 1, "one block was damaged: {lost:?}");
            let is_lost = |key: &[u8]| {
                let has =
                    |lost: &Unread| *lost.from <= *key && lost.to.as_ref().is_none_or(|to| *key < to[..]);
                lost.iter().any(has)
            };
            let (mut unnamed, mut spared) = (0, 0);
            for key in (0..KEYS).map(u32::to_be_bytes) {
                let is_read = run.get(&key, KeyHash::of(&key), Timestamp::new(0), &mut Vec::new()).is_ok();
                unnamed += u32::from(!is_read && !is_lost(&key));
                spared += u32::from(is_read && is_lost(&key));
            }
            // A damaged filter hides nothing from who goes through all keys.
            assert!(unnamed == 0 || lost.is_empty(), "{unnamed} keys are not named, {page}");
            // What stands before the key of many blocks is named with it.
            assert!(spared == 0 || is_lost(&LONG.to_be_bytes()), "{spared} keys can be read, {page}");
            assert!(!leaves.contains(&page) || !lost.is_empty(), "{page} is an index block");
        }
    }
}
