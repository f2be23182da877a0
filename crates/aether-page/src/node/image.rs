//! A whole node outside a page, as an operation carries it.
//!
//! The entries stay in the form in which the log has them, in one buffer: a split writes them once, and redo reads
//! them where they lie.

use super::layout::{Flags, NO_LOWER, NO_UPPER, SLOTS_AT, inner_entry_bytes, leaf_entry_bytes, round8};
use crate::UndoPtr;
use aether_types::{PageNo, PageSize, Reader, Result, TxnId, Writer};
use std::borrow::Cow;

/// A row without its key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row<'a> {
    /// The row is deleted.
    pub ghost: bool,
    /// The value is an overflow stub.
    pub overflow: bool,
    /// Who wrote it, and its before-image; `None` for a bare row.
    pub version: Option<(TxnId, UndoPtr)>,
    /// The value, or the stub.
    pub value: Cow<'a, [u8]>,
}

impl<'a> Row<'a> {
    /// A bare row.
    pub fn bare(value: &'a [u8]) -> Self {
        Row { value: Cow::Borrowed(value), ..Row::default() }
    }

    /// A row with a version.
    pub fn versioned(writer: TxnId, undo: UndoPtr, value: &'a [u8]) -> Self {
        Row { version: Some((writer, undo)), ..Row::bare(value) }
    }

    /// The flags as stored.
    pub fn flags(&self) -> Flags {
        let set = |flag, on| if on { flag } else { Flags::default() };
        set(Flags::GHOST, self.ghost)
            .with(set(Flags::OVERFLOW, self.overflow))
            .with(set(Flags::VERSIONED, self.version.is_some()))
    }

    /// The same row, owning its value.
    pub fn into_owned(self) -> Row<'static> {
        Row { value: Cow::Owned(self.value.into_owned()), ..self }
    }

    /// Flags and version, as the log has them.
    pub(crate) fn encode_shape(&self, out: &mut Vec<u8>) {
        out.put_u8(self.flags().bits());
        if let Some((writer, undo)) = self.version {
            out.put_u64(writer.get());
            out.put_u64(undo.word());
        }
    }

    /// Reads flags and version.
    pub(crate) fn decode_shape(reader: &mut Reader<'a>) -> Result<Row<'a>> {
        let bits = reader.u8()?;
        let flags = Flags::from_bits(bits).ok_or_else(|| reader.bad(format!("unknown row flags {bits}")))?;
        let mut row = Row { ghost: flags.is_ghost(), overflow: flags.is_overflow(), ..Row::default() };
        if flags.is_versioned() {
            row.version = Some((TxnId::new(reader.u64()?), UndoPtr::from_word(reader.u64()?)));
        }
        Ok(row)
    }

    /// Reads the value.
    pub(crate) fn with_value(mut self, reader: &mut Reader<'a>, size: PageSize) -> Result<Row<'a>> {
        self.value = Cow::Borrowed(short_string(reader, size)?);
        Ok(self)
    }
}

/// A byte string that is shorter than a page.
pub(crate) fn short_string<'a>(reader: &mut Reader<'a>, size: PageSize) -> Result<&'a [u8]> {
    let len = reader.varint_below(size.bytes() as u64)?;
    reader.bytes(len as usize)
}

/// A page number.
pub(crate) fn page_no(reader: &mut Reader) -> Result<PageNo> {
    Ok(PageNo::new(reader.varint_below(PageNo::END)?))
}

/// An entry of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// Of a leaf.
    Row(Row<'a>),
    /// Of an inner node: the child below the key.
    Child(PageNo),
}

/// A whole node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeImage<'a> {
    pub(super) level: u8,
    pub(super) tree: u32,
    pub(super) lower: Option<Cow<'a, [u8]>>,
    pub(super) upper: Option<Cow<'a, [u8]>>,
    pub(super) upper_child: PageNo,
    pub(super) count: usize,
    heap_bytes: usize,
    /// Stored keys, hence without the prefix.
    entries: Cow<'a, [u8]>,
}

impl NodeImage<'static> {
    /// An empty leaf between two fences; `None` is infinite.
    pub fn leaf(tree: u32, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Self {
        Self::inner(tree, 0, lower, upper, PageNo::new(0))
    }

    /// An inner node of one child. At level 0 it is an empty leaf, and the child 0.
    pub fn inner(
        tree: u32,
        level: u8,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        upper_child: PageNo,
    ) -> Self {
        let owned = |fence: Option<&[u8]>| fence.map(|key| Cow::Owned(key.to_vec()));
        let (lower, upper) = (owned(lower), owned(upper));
        NodeImage {
            level,
            tree,
            lower,
            upper,
            upper_child,
            count: 0,
            heap_bytes: 0,
            entries: Cow::Borrowed(&[]),
        }
    }
}

impl<'a> NodeImage<'a> {
    /// Appends a row; keys come in ascending order, whole, and lie between the fences.
    pub fn push_row(&mut self, key: &[u8], row: &Row) {
        self.push_stored_row(key.get(self.prefix_len()..).unwrap_or_default(), row);
    }

    /// Appends a separator and the child below it.
    pub fn push_child(&mut self, key: &[u8], child: PageNo) {
        self.push_stored_child(key.get(self.prefix_len()..).unwrap_or_default(), child);
    }

    pub(super) fn push_stored_row(&mut self, key: &[u8], row: &Row) {
        let out = self.entries.to_mut();
        row.encode_shape(out);
        out.put_string(key);
        out.put_string(&row.value);
        self.count += 1;
        self.heap_bytes += leaf_entry_bytes(key.len(), row.value.len(), row.version.is_some());
    }

    pub(super) fn push_stored_child(&mut self, key: &[u8], child: PageNo) {
        let out = self.entries.to_mut();
        out.put_u8(0);
        out.put_string(key);
        out.put_varint(child.get());
        self.count += 1;
        self.heap_bytes += inner_entry_bytes(key.len());
    }

    /// Entries.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Levels between here and the leaves.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// True for a leaf.
    pub fn is_leaf(&self) -> bool {
        self.level == 0
    }

    /// Bytes of a page that the node would fill; it fits if that is at most the page's size.
    pub fn size_bytes(&self) -> usize {
        let fence = |fence: &Option<Cow<[u8]>>| fence.as_ref().map_or(0, |key| round8(key.len()));
        SLOTS_AT + 8 * self.count + self.heap_bytes + fence(&self.lower) + fence(&self.upper)
    }

    /// Bytes that all keys share: the longest common prefix of the fences.
    pub fn prefix_len(&self) -> usize {
        match (&self.lower, &self.upper) {
            (Some(lower), Some(upper)) => common_prefix(lower, upper),
            _ => 0,
        }
    }

    /// The lower fence; `None`: minus infinity.
    pub fn lower_fence(&self) -> Option<&[u8]> {
        self.lower.as_deref()
    }

    /// The upper fence; `None`: plus infinity.
    pub fn upper_fence(&self) -> Option<&[u8]> {
        self.upper.as_deref()
    }

    pub(super) fn fence_flags(&self) -> u8 {
        let lower = if self.lower.is_none() { NO_LOWER } else { 0 };
        lower | if self.upper.is_none() { NO_UPPER } else { 0 }
    }

    /// The child above all keys; of a leaf, page 0.
    pub(crate) fn upper_child(&self) -> PageNo {
        self.upper_child
    }

    /// Stored keys and entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], Entry<'_>)> {
        let mut reader = Reader::new(&self.entries);
        (0..self.count).map_while(move |_| read_entry(&mut reader, self.is_leaf(), PageSize::MAX).ok())
    }

    /// The same image, owning its bytes.
    pub fn into_owned(self) -> NodeImage<'static> {
        let owned = |fence: Option<Cow<[u8]>>| fence.map(|key| Cow::Owned(key.into_owned()));
        let (lower, upper, entries) =
            (owned(self.lower), owned(self.upper), Cow::Owned(self.entries.into_owned()));
        let NodeImage { level, tree, upper_child, count, heap_bytes, .. } = self;
        NodeImage { level, tree, lower, upper, upper_child, count, heap_bytes, entries }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.level);
        out.put_u8(self.fence_flags());
        out.put_varint(u64::from(self.tree));
        out.put_string(self.lower.as_deref().unwrap_or_default());
        out.put_string(self.upper.as_deref().unwrap_or_default());
        out.put_varint(self.upper_child.get());
        out.put_varint(self.count as u64);
        out.put_bytes(&self.entries);
    }

    pub(crate) fn decode(reader: &mut Reader<'a>, size: PageSize) -> Result<Self> {
        let (level, flags) = (reader.u8()?, reader.u8()?);
        if flags & !(NO_LOWER | NO_UPPER) != 0 {
            return Err(reader.bad(format!("unknown fence flags {flags}")));
        }
        let tree = reader.varint_below(1 << 32)? as u32;
        let lower = decode_fence(reader, size, flags & NO_LOWER != 0)?;
        let upper = decode_fence(reader, size, flags & NO_UPPER != 0)?;
        let upper_child = page_no(reader)?;
        let count = reader.varint_below(size.words() as u64)? as usize;
        let mut image = NodeImage {
            level,
            tree,
            lower,
            upper,
            upper_child,
            count,
            heap_bytes: 0,
            entries: Cow::Borrowed(&[]),
        };
        image.decode_entries(reader, size)?;
        Ok(image)
    }

    fn decode_entries(&mut self, reader: &mut Reader<'a>, size: PageSize) -> Result<()> {
        let mut ahead = reader.clone();
        for _ in 0..self.count {
            let (key, entry) = read_entry(&mut ahead, self.is_leaf(), size)?;
            self.heap_bytes += match &entry {
                Entry::Row(row) => leaf_entry_bytes(key.len(), row.value.len(), row.version.is_some()),
                Entry::Child(_) => inner_entry_bytes(key.len()),
            };
        }
        self.entries = Cow::Borrowed(reader.bytes(ahead.position() - reader.position())?);
        Ok(())
    }
}

fn decode_fence<'a>(
    reader: &mut Reader<'a>,
    size: PageSize,
    infinite: bool,
) -> Result<Option<Cow<'a, [u8]>>> {
    let key = short_string(reader, size)?;
    match infinite {
        true if key.is_empty() => Ok(None),
        true => Err(reader.bad("an infinite fence with a key")),
        false => Ok(Some(Cow::Borrowed(key))),
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>, leaf: bool, size: PageSize) -> Result<(&'a [u8], Entry<'a>)> {
    let row = Row::decode_shape(reader)?;
    let key = short_string(reader, size)?;
    if leaf {
        return Ok((key, Entry::Row(row.with_value(reader, size)?)));
    }
    if row.flags() != Flags::default() {
        return Err(reader.bad("flags on an inner entry"));
    }
    Ok((key, Entry::Child(page_no(reader)?)))
}

/// Bytes that two keys share at their start.
pub(crate) fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(l, r)| l == r).count()
}
