//! Operations as bytes of the log. Decoding checks every length and count against the page's size (R4).

use super::{Clean, PageOp, code};
use crate::node::image::{page_no, short_string};
use crate::node::{NodeImage, Row};
use crate::radix::{RadixImage, read_symbol};
use crate::space_map::PageState;
use crate::{PageType, overflow};
use aether_types::{PageSize, Psn, Reader, Result, Writer};
use std::borrow::Cow;

impl<'a> PageOp<'a> {
    /// Appends the operation to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.code());
        match self {
            PageOp::Image { bytes } => out.put_string(bytes),
            PageOp::SlottedInit { page_type, owner, link, aux } => {
                out.put_u8(page_type.code());
                numbers(out, &[*owner, *link, *aux]);
            }
            PageOp::SlotInsert { slot, bytes } | PageOp::SlotReplace { slot, bytes } => {
                place(out, *slot, bytes)
            }
            PageOp::FixedSet { index, bytes } => place(out, *index, bytes),
            PageOp::SlottedHeader { link, aux } => numbers(out, &[*link, *aux]),
            PageOp::FixedInit { record_size, owner, link } => {
                numbers(out, &[*record_size as u64, *owner, *link])
            }
            PageOp::MapInit { first, covered } => numbers(out, &[first.get(), *covered as u64]),
            PageOp::MapSet { first, count, state, psn_floor } => {
                numbers(out, &[*first as u64, *count as u64]);
                out.put_u8(state.code());
                out.put_varint(psn_floor.get());
            }
            PageOp::OverflowInit { index, first, bytes } => {
                numbers(out, &[u64::from(*index), first.get()]);
                out.put_string(bytes);
            }
            node => node.encode_node(out),
        }
    }

    fn encode_node(&self, out: &mut Vec<u8>) {
        match self {
            PageOp::NodeInit(image) => image.encode(out),
            PageOp::LeafInsert { slot, key, row } => {
                out.put_varint(*slot as u64);
                row.encode_shape(out);
                out.put_string(key);
                out.put_string(&row.value);
            }
            PageOp::LeafUpdate { slot, row } => {
                out.put_varint(*slot as u64);
                row.encode_shape(out);
                out.put_string(&row.value);
            }
            PageOp::LeafClean { rows } => encode_clean(out, rows),
            PageOp::InnerSplit { slot, key, right } => {
                place(out, *slot, key);
                out.put_varint(right.get());
            }
            PageOp::NodeCut { count, upper } => place(out, *count, upper),
            PageOp::InnerChild { index, page } | PageOp::RadixChild { index, page } => {
                numbers(out, &[*index as u64, page.get()])
            }
            PageOp::RadixInit(image) => image.encode(out),
            PageOp::RadixSplit { symbol, right } => numbers(out, &[*symbol as u64, right.get()]),
            PageOp::RadixMerge { symbol } => out.put_varint(*symbol as u64),
            PageOp::SlotDelete { slot: index }
            | PageOp::FixedClear { index }
            | PageOp::LeafRemove { slot: index }
            | PageOp::InnerMerge { slot: index } => out.put_varint(*index as u64),
            _ => {}
        }
    }

    fn code(&self) -> u8 {
        match self {
            PageOp::Image { .. } => code::IMAGE,
            PageOp::SlottedInit { .. } => code::SLOTTED_INIT,
            PageOp::SlotInsert { .. } => code::SLOT_INSERT,
            PageOp::SlotReplace { .. } => code::SLOT_REPLACE,
            PageOp::SlotDelete { .. } => code::SLOT_DELETE,
            PageOp::SlottedHeader { .. } => code::SLOTTED_HEADER,
            PageOp::FixedInit { .. } => code::FIXED_INIT,
            PageOp::FixedSet { .. } => code::FIXED_SET,
            PageOp::FixedClear { .. } => code::FIXED_CLEAR,
            PageOp::NodeInit(_) => code::NODE_INIT,
            PageOp::LeafInsert { .. } => code::LEAF_INSERT,
            PageOp::LeafUpdate { .. } => code::LEAF_UPDATE,
            PageOp::LeafRemove { .. } => code::LEAF_REMOVE,
            PageOp::LeafClean { .. } => code::LEAF_CLEAN,
            PageOp::InnerSplit { .. } => code::INNER_SPLIT,
            PageOp::InnerMerge { .. } => code::INNER_MERGE,
            PageOp::NodeCut { .. } => code::NODE_CUT,
            PageOp::MapInit { .. } => code::MAP_INIT,
            PageOp::MapSet { .. } => code::MAP_SET,
            PageOp::OverflowInit { .. } => code::OVERFLOW_INIT,
            PageOp::InnerChild { .. } => code::INNER_CHILD,
            PageOp::RadixInit(_) => code::RADIX_INIT,
            PageOp::RadixSplit { .. } => code::RADIX_SPLIT,
            PageOp::RadixMerge { .. } => code::RADIX_MERGE,
            PageOp::RadixChild { .. } => code::RADIX_CHILD,
        }
    }

    /// Reads an operation on a page of `size`.
    ///
    /// # Errors
    /// `Corruption` if the bytes are not an operation, or one that no page of this size could take.
    pub fn decode(reader: &mut Reader<'a>, size: PageSize) -> Result<Self> {
        let code = reader.u8()?;
        Ok(match code {
            code::IMAGE => PageOp::Image { bytes: string(reader, size.bytes() - 15)? },
            code::SLOTTED_INIT => {
                let page_type = slotted_type(reader)?;
                PageOp::SlottedInit {
                    page_type,
                    owner: reader.varint()?,
                    link: reader.varint()?,
                    aux: reader.varint()?,
                }
            }
            code::SLOT_INSERT => {
                PageOp::SlotInsert { slot: index(reader, size)?, bytes: short(reader, size)? }
            }
            code::SLOT_REPLACE => {
                PageOp::SlotReplace { slot: index(reader, size)?, bytes: short(reader, size)? }
            }
            code::SLOT_DELETE => PageOp::SlotDelete { slot: index(reader, size)? },
            code::SLOTTED_HEADER => PageOp::SlottedHeader { link: reader.varint()?, aux: reader.varint()? },
            code::FIXED_INIT => PageOp::FixedInit {
                record_size: reader.varint_below(size.bytes() as u64)? as usize,
                owner: reader.varint()?,
                link: reader.varint()?,
            },
            code::FIXED_SET => PageOp::FixedSet { index: index(reader, size)?, bytes: short(reader, size)? },
            code::FIXED_CLEAR => PageOp::FixedClear { index: index(reader, size)? },
            code::MAP_INIT => PageOp::MapInit { first: page_no(reader)?, covered: index(reader, size)? },
            code::MAP_SET => PageOp::MapSet {
                first: index(reader, size)?,
                count: index(reader, size)?,
                state: state(reader)?,
                psn_floor: Psn::new(reader.varint_below(Psn::END)?),
            },
            code::OVERFLOW_INIT => PageOp::OverflowInit {
                index: reader.varint_below(1 << 32)? as u32,
                first: page_no(reader)?,
                bytes: string(reader, overflow::capacity(size) + 1)?,
            },
            _ => return Self::decode_node(code, reader, size),
        })
    }

    fn decode_node(code: u8, reader: &mut Reader<'a>, size: PageSize) -> Result<Self> {
        Ok(match code {
            code::NODE_INIT => PageOp::NodeInit(NodeImage::decode(reader, size)?),
            code::LEAF_INSERT => {
                let slot = index(reader, size)?;
                let row = Row::decode_shape(reader)?;
                let key = short(reader, size)?;
                PageOp::LeafInsert { slot, key, row: row.with_value(reader, size)? }
            }
            code::LEAF_UPDATE => {
                let slot = index(reader, size)?;
                PageOp::LeafUpdate { slot, row: Row::decode_shape(reader)?.with_value(reader, size)? }
            }
            code::LEAF_REMOVE => PageOp::LeafRemove { slot: index(reader, size)? },
            code::LEAF_CLEAN => PageOp::LeafClean { rows: Cow::Owned(decode_clean(reader, size)?) },
            code::INNER_SPLIT => PageOp::InnerSplit {
                slot: index(reader, size)?,
                key: short(reader, size)?,
                right: page_no(reader)?,
            },
            code::INNER_MERGE => PageOp::InnerMerge { slot: index(reader, size)? },
            code::NODE_CUT => PageOp::NodeCut { count: index(reader, size)?, upper: short(reader, size)? },
            code::INNER_CHILD => PageOp::InnerChild { index: index(reader, size)?, page: page_no(reader)? },
            _ => return Self::decode_radix(code, reader, size),
        })
    }

    fn decode_radix(code: u8, reader: &mut Reader<'a>, size: PageSize) -> Result<Self> {
        Ok(match code {
            code::RADIX_INIT => PageOp::RadixInit(RadixImage::decode(reader, size)?),
            code::RADIX_SPLIT => PageOp::RadixSplit { symbol: read_symbol(reader)?, right: page_no(reader)? },
            code::RADIX_MERGE => PageOp::RadixMerge { symbol: read_symbol(reader)? },
            code::RADIX_CHILD => PageOp::RadixChild { index: index(reader, size)?, page: page_no(reader)? },
            _ => return Err(reader.bad(format!("unknown page operation {code}"))),
        })
    }
}

fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| out.put_varint(*number));
}

fn place(out: &mut Vec<u8>, index: usize, bytes: &[u8]) {
    out.put_varint(index as u64);
    out.put_string(bytes);
}

fn encode_clean(out: &mut Vec<u8>, rows: &[(usize, Clean)]) {
    out.put_varint(rows.len() as u64);
    for (slot, what) in rows {
        out.put_varint(*slot as u64);
        out.put_u8(match what {
            Clean::StripVersion => 1,
            Clean::Remove => 2,
        });
    }
}

fn decode_clean(reader: &mut Reader, size: PageSize) -> Result<Vec<(usize, Clean)>> {
    let count = index(reader, size)?;
    (0..count).map(|_| Ok((index(reader, size)?, clean(reader)?))).collect()
}

fn clean(reader: &mut Reader) -> Result<Clean> {
    match reader.u8()? {
        1 => Ok(Clean::StripVersion),
        2 => Ok(Clean::Remove),
        other => Err(reader.bad(format!("unknown way to clean {other}"))),
    }
}

/// A slot, index or count: below the bytes of a page.
fn index(reader: &mut Reader, size: PageSize) -> Result<usize> {
    Ok(reader.varint_below(size.bytes() as u64)? as usize)
}

fn short<'a>(reader: &mut Reader<'a>, size: PageSize) -> Result<Cow<'a, [u8]>> {
    Ok(Cow::Borrowed(short_string(reader, size)?))
}

/// A byte string shorter than `end`.
fn string<'a>(reader: &mut Reader<'a>, end: usize) -> Result<Cow<'a, [u8]>> {
    let len = reader.varint_below(end as u64)?;
    Ok(Cow::Borrowed(reader.bytes(len as usize)?))
}

fn slotted_type(reader: &mut Reader) -> Result<PageType> {
    match PageType::from_code(reader.u8()?) {
        Some(page_type @ (PageType::Slotted | PageType::Undo)) => Ok(page_type),
        _ => Err(reader.bad("not a type of slotted pages")),
    }
}

fn state(reader: &mut Reader) -> Result<PageState> {
    match reader.u8()? {
        code @ 0..=3 => Ok(PageState::from_bits(u16::from(code))),
        other => Err(reader.bad(format!("unknown page state {other}"))),
    }
}
