//! Building a run from entries in order.

use super::block::{DataBlock, IndexBlock};
use super::codec::{Codec, Compressor};
use super::head::{FOOTER_BYTES, Seed, header};
use super::home::RunHome;
use super::info::RunInfo;
use super::layout::{Footer, KIND, Tail, block_head};
use super::output::Output;
use super::ranges::Ranges;
use super::top::{Partition, Top};
use super::version::{Entry, Kind, RangeTombstone};
use crate::filter::{self, FilterBuilder, Recipe};
use aether_index::txn::recovery::wal::buffer::{BLOCK_OVERHEAD_BYTES, Charge};
use aether_types::{Error, ErrorKind, FileId, PageNo, Result, Timestamp, limits};

/// How a run is built.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct BuildOptions {
    /// Its filter; none: every look-up reads a block.
    pub filter: Option<Recipe>,
    /// How its blocks are compressed.
    pub codec: Codec,
}

/// Memory taken for each block: its length in the file, its share of the index.
const TABLE_BYTES_PER_BLOCK: u64 = 8;

/// Writes a run. Whatever ends it before [`RunBuilder::finish`] has returned leaves no file.
///
/// Memory: a few pages, what a partition's filter is made of, and some bytes for each block written; all range tombstones.
pub struct RunBuilder {
    output: Output,
    blocks: Blocks,
    data: DataBlock,
    index: IndexBlock,
    filter: Option<FilterBuilder>,
    recipe: Option<Recipe>,
    /// Keys in the filter under way, and how many fit.
    filter_keys: usize,
    filter_keys_max: usize,
    /// The last key that was added, and its timestamp.
    last: Option<(Vec<u8>, Timestamp)>,
    /// Of the block under way: no key of it is below, none before at or above.
    separator: Vec<u8>,
    /// The block under way goes on with the last key of the block before.
    is_following: bool,
    /// Separator of the partition under way.
    partition: Option<Vec<u8>>,
    leaves: Vec<PageNo>,
    partitions: Vec<Partition<Vec<u8>>>,
    ranges: Vec<RangeTombstone>,
    info: RunInfo,
    home: RunHome,
    capacity: usize,
    is_broken: bool,
}

impl RunBuilder {
    /// Begins a run in the new file `id`; blocks.
    ///
    /// # Errors
    /// `AlreadyExists`, `Full`, `Io`; `OverLimit` if the memory budget does not allow it.
    pub fn new(home: &RunHome, id: FileId, options: BuildOptions) -> Result<Self> {
        let mut output = Output::create(home, home.path(id))?;
        output.write(&header(&KIND, home.store, id, home.page_size().bytes()))?;
        let capacity = home.page_size().bytes() - BLOCK_OVERHEAD_BYTES;
        let recipe = options.filter;
        Ok(Self {
            output,
            blocks: Blocks::new(home, id, options.codec)?,
            data: DataBlock::default(),
            index: IndexBlock::default(),
            filter: recipe.map(FilterBuilder::new),
            filter_keys: 0,
            filter_keys_max: recipe.map_or(usize::MAX, |recipe| filter::keys_that_fit(recipe, capacity)),
            recipe,
            last: None,
            separator: Vec::new(),
            is_following: false,
            partition: None,
            leaves: Vec::new(),
            partitions: Vec::new(),
            ranges: Vec::new(),
            info: empty(id),
            home: home.clone(),
            capacity,
            is_broken: false,
        })
    }

    /// Adds an entry: of a higher key than the last one, or an older version of the same key.
    ///
    /// # Errors
    /// `InvalidInput` naming the key, if it is out of order, there twice, or too long; the run can go on without it. What the
    /// disk refuses ends the build.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        self.check_usable()?;
        let is_new = self.admit(entry)?;
        self.place(entry, is_new).inspect_err(|_| self.is_broken = true)?;
        self.info.entries += 1;
        self.info.tombstones += u64::from(entry.kind == Kind::Tombstone);
        self.info.newest = self.info.newest.max(entry.timestamp);
        Ok(())
    }

    /// Adds a range tombstone; in any order.
    ///
    /// # Errors
    /// `InvalidInput` if the range is empty or its bounds are too long; `OverLimit`.
    pub fn add_range(&mut self, range: RangeTombstone) -> Result<()> {
        self.check_usable()?;
        // A bound may be just behind the longest key.
        let bytes_max = self.key_bytes_max() + 1;
        if range.from >= range.to || range.from.len().max(range.to.len()) > bytes_max {
            let what =
                format!("a range tombstone must have keys in it, and bounds of at most {bytes_max} bytes");
            return Err(Error::invalid(what).at_key(&range.from));
        }
        self.blocks.memory.grow((size_of::<RangeTombstone>() + range.from.len() + range.to.len()) as u64)?;
        self.ranges.push(range);
        Ok(())
    }

    /// Bytes of the file so far: what a builder of several runs decides by.
    pub fn bytes(&self) -> u64 {
        let waiting = self.blocks.samples.as_ref().map_or(0, |samples| samples.bytes.len());
        self.output.position() + waiting as u64
    }

    /// Ends the run and makes it durable; blocks. None, and no file, if nothing was added.
    pub fn finish(mut self) -> Result<Option<RunInfo>> {
        self.check_usable()?;
        let ranges = Ranges::new(&self.ranges);
        if self.last.is_none() && ranges.is_empty() {
            return Ok(None);
        }
        if self.last.is_some() {
            self.end_block()?;
            self.end_partition()?;
            self.end_leaf()?;
        }
        self.blocks.end_samples(&mut self.output)?;
        self.describe(&ranges);
        let Blocks { lengths, dictionary, seed, .. } = self.blocks;
        let top = Top::new(self.leaves, self.partitions, lengths.len() as u64);
        let top = top.ok_or_else(|| Error::new(ErrorKind::OverLimit, "the run has too many keys"))?;
        let mut tail = Tail { info: self.info, dictionary, top, ranges, lengths };
        let bytes = tail.encode();
        let end = self.output.end_after(bytes.len(), FOOTER_BYTES);
        let footer = Footer::new(seed, self.output.position(), &bytes, end);
        self.output.write(&bytes)?;
        self.output.fill_up(end - FOOTER_BYTES as u64)?;
        self.output.write(&footer.encode(seed))?;
        self.output.keep()?;
        tail.info.bytes = end;
        Ok(Some(tail.info))
    }

    fn check_usable(&self) -> Result<()> {
        if !self.is_broken {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Poisoned, "the run could not be written before: nothing is left of it"))
    }

    fn key_bytes_max(&self) -> usize {
        limits::key_bytes_max(self.home.page_size())
    }

    /// True if the entry has another key than the last one.
    fn admit(&self, entry: &Entry<'_>) -> Result<bool> {
        let refuse = |what: String| Err(Error::invalid(what).at_key(entry.key));
        let value_bytes_max = limits::inline_value_bytes_max(self.home.page_size());
        if entry.key.len() > self.key_bytes_max() || entry.value.len() > value_bytes_max {
            return refuse(format!(
                "a run takes keys of at most {} bytes and values of at most {value_bytes_max}",
                self.key_bytes_max()
            ));
        }
        if entry.kind == Kind::Tombstone && !entry.value.is_empty() {
            return refuse("a tombstone has no value".into());
        }
        let Some((key, timestamp)) = &self.last else { return Ok(true) };
        match entry.key.cmp(key) {
            core::cmp::Ordering::Greater => Ok(true),
            core::cmp::Ordering::Less => refuse("keys of a run must ascend".into()),
            core::cmp::Ordering::Equal if entry.timestamp < *timestamp => Ok(false),
            core::cmp::Ordering::Equal if entry.timestamp == *timestamp => {
                refuse("a version of a key is there twice".into())
            }
            core::cmp::Ordering::Equal => refuse("versions of a key must come newest first".into()),
        }
    }

    fn place(&mut self, entry: &Entry<'_>, is_new: bool) -> Result<()> {
        let is_full = !self.data.has_room(entry, self.capacity);
        if is_new {
            self.begin_key(entry.key, is_full)?;
        } else if is_full {
            self.end_block()?;
            self.is_following = true;
        }
        self.data.push(entry);
        match &mut self.last {
            Some((key, timestamp)) => {
                key.clear();
                key.extend_from_slice(entry.key);
                *timestamp = entry.timestamp;
            }
            last => {
                self.info.smallest = entry.key.to_vec();
                *last = Some((entry.key.to_vec(), entry.timestamp));
            }
        }
        Ok(())
    }

    /// Ends what must end before a new key: a block that is full or has versions of one key alone, a partition whose filter is
    /// full, an index block without room for one more.
    fn begin_key(&mut self, key: &[u8], is_full: bool) -> Result<()> {
        let is_filter_full = self.filter_keys >= self.filter_keys_max;
        if is_full || self.is_following || is_filter_full {
            self.end_block()?;
        }
        if self.data.is_empty() {
            self.separator = match &self.last {
                None => Vec::new(),
                Some((last, _)) => separator(last, key),
            };
            let is_leaf_full = !self.index.has_room(self.separator.len(), self.capacity);
            if is_filter_full || is_leaf_full {
                self.end_partition()?;
            }
            if is_leaf_full {
                self.end_leaf()?;
            }
            self.partition.get_or_insert_with(|| self.separator.clone());
        }
        if let Some(filter) = &mut self.filter {
            filter.add(key)?;
            self.filter_keys += 1;
        }
        Ok(())
    }

    /// Writes the block under way.
    fn end_block(&mut self) -> Result<()> {
        if self.data.is_empty() {
            return Ok(());
        }
        let page = self.blocks.add(self.data.finish(), &mut self.output)?;
        if core::mem::take(&mut self.is_following) {
            self.index.follow();
        } else {
            self.index.push(&self.separator, page);
        }
        Ok(())
    }

    /// Writes the filter of the partition under way; the block under way is not part of it.
    fn end_partition(&mut self) -> Result<()> {
        let Some(separator) = self.partition.take() else { return Ok(()) };
        let fresh = self.recipe.map(FilterBuilder::new);
        self.filter_keys = 0;
        let bytes = match core::mem::replace(&mut self.filter, fresh) {
            Some(filter) => filter.finish()?,
            None => Vec::new(),
        };
        // A filter that turned out too long is left out: every key may be there.
        let filter = match bytes.len() {
            0 => None,
            len if len > self.capacity => None,
            _ => Some(self.blocks.add(bytes, &mut self.output)?),
        };
        self.blocks.memory.grow((size_of::<Partition<Vec<u8>>>() + separator.len()) as u64)?;
        self.partitions.push(Partition { separator, filter, leaf: self.leaves.len() });
        Ok(())
    }

    /// Writes the index block under way.
    fn end_leaf(&mut self) -> Result<()> {
        if !self.index.is_empty() {
            self.leaves.push(self.blocks.add(self.index.finish(), &mut self.output)?);
        }
        Ok(())
    }

    /// Ends the description: bounds and timestamps, range tombstones included.
    fn describe(&mut self, ranges: &Ranges) {
        let info = &mut self.info;
        info.range_tombstones = ranges.iter().count() as u64;
        info.newest = info.newest.max(ranges.newest_of_all());
        info.largest = self.last.as_ref().map_or_else(Vec::new, |(key, _)| key.clone());
        let (Some(first), Some(end)) = (ranges.first(), ranges.last()) else { return };
        if self.last.is_none() || first < &info.smallest[..] {
            info.smallest = first.to_vec();
        }
        if self.last.is_none() || end > &info.largest[..] {
            info.largest = end.to_vec();
            info.is_largest_excluded = true;
        }
    }
}

/// The shortest key above `last` and not above `next`.
fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    let common = last.iter().zip(next).take_while(|(one, other)| one == other).count();
    next[..next.len().min(common + 1)].to_vec()
}

fn empty(file: FileId) -> RunInfo {
    RunInfo {
        file,
        bytes: 0,
        entries: 0,
        tombstones: 0,
        range_tombstones: 0,
        smallest: Vec::new(),
        largest: Vec::new(),
        is_largest_excluded: false,
        newest: Timestamp::default(),
    }
}

/// Blocks on their way to the file.
struct Blocks {
    seed: Seed,
    compressor: Compressor,
    dictionary: Vec<u8>,
    /// The first blocks, while the compressor learns from them; none once it has.
    samples: Option<Samples>,
    lengths: Vec<u16>,
    count: u64,
    memory: Charge,
}

#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Blocks {
    fn new(home: &RunHome, file: FileId, codec: Codec) -> Result<Self> {
        let compressor = Compressor::new(codec);
        let wanted = compressor.sample_bytes();
        let memory = Charge::new(home.pool.budget().account("run writers"), wanted as u64)?;
        Ok(Self {
            seed: Seed::new(home.store, file),
            compressor,
            dictionary: Vec::new(),
            samples: Some(Samples::default()),
            lengths: Vec::new(),
            count: 0,
            memory,
        })
    }

    /// Takes the next block, and writes it now or soon. Returns its page number.
    fn add(&mut self, block: Vec<u8>, output: &mut Output) -> Result<PageNo> {
        self.count += 1;
        let page = PageNo::new(self.count);
        self.memory.grow(TABLE_BYTES_PER_BLOCK)?;
        let Some(samples) = &mut self.samples else {
            return self.write(page, &block, output).map(|()| page);
        };
        samples.bytes.extend_from_slice(&block);
        samples.lengths.push(block.len());
        if samples.bytes.len() >= self.compressor.sample_bytes() {
            self.end_samples(output)?;
        }
        Ok(page)
    }

    /// Writes the blocks that waited for the compressor to learn from them.
    fn end_samples(&mut self, output: &mut Output) -> Result<()> {
        let Some(samples) = self.samples.take() else { return Ok(()) };
        self.dictionary = self.compressor.learn(&samples.bytes, &samples.lengths)?;
        let mut rest = &samples.bytes[..];
        for (page, length) in (1..).zip(samples.lengths) {
            let (block, others) = rest.split_at(length);
            self.write(PageNo::new(page), block, output)?;
            rest = others;
        }
        Ok(())
    }

    fn write(&mut self, page: PageNo, block: &[u8], output: &mut Output) -> Result<()> {
        let (codec, body) = self.compressor.compress(block);
        let head = block_head(self.seed, page, codec, block.len(), body);
        self.lengths.push((head.len() + body.len()) as u16);
        output.write(&head)?;
        output.write(body)
    }
}
