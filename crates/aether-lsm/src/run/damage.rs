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
