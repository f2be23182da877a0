//! Undo segments: chains of undo pages, one writer each, trimmed from the front.
//!
//! Successive transactions of one segment share its pages. The roots page holds each segment's first page in a
//! 16-byte record: kind 1 (4), stream (4), page (8, 0 none). A page's link leads to the next. After a restart the
//! chain serves only the losers' rollback; the first lease of a segment frees what is left of it.

use crate::rank;
use crate::serial::{Meter, WriteSet, account};
use crate::trace;
use aether_page::fixed::Fixed;
use aether_page::slotted::Slotted;
use aether_page::{PageOp, PageType, Swip, header};
use aether_recovery::wal::buffer::page as aether_page;
use aether_recovery::{Mtr, PAGES_FILE, PageSlot, ROOTS_PAGE, Store};
use aether_sync::Mutex;
use aether_types::{Error, ErrorKind, PageNo, Reader, Result, StreamId, Timestamp, TxnId, Writer, limits};
use core::ops::Range;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

const KIND: u32 = 1;
/// Bytes of log that freeing or linking one batch of pages takes at the most.
const MTR_BYTES: usize = 8192;
/// Pages freed in one group.
const FREE_BATCH: usize = 16;

/// A segment, owned by the transaction that leases it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    stream: StreamId,
    /// The last page, where records are added.
    pub(crate) tail: Option<PageNo>,
    /// The pages of this open, oldest first, each with the last timestamp that needs it.
    pages: VecDeque<(PageNo, Timestamp)>,
    /// The first page of an earlier open, still to be freed.
    stale: Option<PageNo>,
    /// The keys that the writer changes; here for its memory, which the next writer uses again.
    pub(crate) writes: WriteSet,
    meter: Meter,
}

const IN_USE: Timestamp = Timestamp::new(u64::MAX);

/// All segments that nobody leases.
pub(crate) struct Segments {
    idle: Mutex<Idle>,
}

struct Idle {
    segments: Vec<Segment>,
    count: u32,
    /// Segments of an earlier open with records of prepared transactions, and which these are.
    held: Vec<(Segment, BTreeSet<TxnId>)>,
}

fn record(stream: StreamId, head: Option<PageNo>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.put_u32(KIND);
    out.put_u32(u32::from(stream.get()));
    out.put_u64(head.map_or(0, PageNo::get));
    out
}

fn page_or_none(raw: u64) -> Option<PageNo> {
    (raw != 0).then(|| PageNo::new(raw))
}

impl Segments {
    /// Reads the segments of a store.
    pub(crate) fn read(store: &Store) -> Result<Self> {
        let account = account(store);
        let roots = store.pool().shared(PAGES_FILE, Swip::new(ROOTS_PAGE))?;
        let mut segments = Vec::new();
        let records = Fixed::new(roots.view());
        for index in 0..records.capacity() {
            let mut bytes = Vec::with_capacity(16);
            if !records.record_into(index, &mut bytes) {
                continue;
            }
            let mut reader = Reader::new(&bytes);
            if reader.u32()? != KIND {
                continue;
            }
            let stream = StreamId::new(reader.u32()? as u8 % limits::STREAMS_MAX as u8);
            let stream = store.stream_in_use(stream);
            let stale = page_or_none(reader.u64()?);
            segments.push(Segment {
                number: index as u32,
                stream,
                tail: None,
                pages: VecDeque::new(),
                stale,
                writes: WriteSet::default(),
                meter: Meter::new(account.clone()),
            });
        }
        let count = segments.iter().map(|segment| segment.number + 1).max().unwrap_or(0);
        Ok(Self { idle: Mutex::new(rank::SEGMENTS, Idle { segments, count, held: Vec::new() }) })
    }

    /// A segment for one writer. Blocks if an earlier open's pages must be freed first.
    pub(crate) fn lease(&self, store: &Store, stream: StreamId) -> Result<Segment> {
        let mut segment = self.take(store, stream)?;
        if let Some(stale) = segment.stale
            && let Err(error) = segment.free_stale(store, stale)
        {
            self.idle.lock().segments.push(segment);
            return Err(error);
        }
        Ok(segment)
    }

    fn take(&self, store: &Store, stream: StreamId) -> Result<Segment> {
        let mut idle = self.idle.lock();
        if let Some(at) = idle.segments.iter().rposition(|segment| segment.stream == stream) {
            let mut segment = idle.segments.remove(at);
            segment.begin();
            return Ok(segment);
        }
        let capacity = {
            let roots = store.pool().shared(PAGES_FILE, Swip::new(ROOTS_PAGE))?;
            Fixed::new(roots.view()).capacity() as u32
        };
        if idle.count >= capacity {
            return Err(Error::new(
                ErrorKind::OverLimit,
                format!("{capacity} transactions are writing at once"),
            ));
        }
        idle.count += 1;
        Ok(Segment {
            number: idle.count - 1,
            stream,
            tail: None,
            pages: VecDeque::new(),
            stale: None,
            writes: WriteSet::default(),
            meter: Meter::new(account(store)),
        })
    }

    /// Takes a segment back from a transaction that ended; its records are needed until `at` is forgotten.
    pub(crate) fn give_back(&self, mut segment: Segment, at: Timestamp) {
        for (_, until) in segment.pages.iter_mut().rev().take_while(|(_, until)| *until == IN_USE) {
            *until = at;
        }
        segment.writes.clear();
        segment.meter.clear();
        self.idle.lock().segments.push(segment);
    }

    /// Keeps the segments numbered so, of an earlier open, until `txn` is decided: its undo records stand there.
    pub(crate) fn hold(&self, txn: TxnId, numbers: &BTreeSet<u32>) {
        let mut idle = self.idle.lock();
        for (segment, holders) in &mut idle.held {
            if numbers.contains(&segment.number) {
                holders.insert(txn);
            }
        }
        let found: Vec<Segment> = idle.segments.extract_if(.., |at| numbers.contains(&at.number)).collect();
        idle.held.extend(found.into_iter().map(|segment| (segment, BTreeSet::from([txn]))));
    }

    /// Lets go of what only `txn` needed.
    pub(crate) fn let_go(&self, txn: TxnId) {
        let mut idle = self.idle.lock();
        idle.held.iter_mut().for_each(|(_, holders)| {
            holders.remove(&txn);
        });
        let free: Vec<_> = idle.held.extract_if(.., |(_, holders)| holders.is_empty()).collect();
        idle.segments.extend(free.into_iter().map(|(segment, _)| segment));
    }

    /// Pages that nobody leases, whose records are needed by snapshots below a commit in `range` alone.
    pub(crate) fn pages_needed_in(&self, range: Range<Timestamp>) -> usize {
        let idle = self.idle.lock();
        let pages = idle.segments.iter().flat_map(|segment| &segment.pages);
        pages.filter(|(_, until)| *until > range.start && *until <= range.end).count()
    }

    /// Frees pages whose records nobody needs.
    pub(crate) fn trim(&self, store: &Store, horizon: Timestamp) -> Result<()> {
        let trimmable = |segment: &Segment| segment.pages.len() > 1 && segment.pages[0].1 <= horizon;
        loop {
            let found = {
                let mut idle = self.idle.lock();
                let at = idle.segments.iter().position(trimmable);
                at.map(|at| idle.segments.remove(at))
            };
            let Some(mut segment) = found else { return Ok(()) };
            let freed = segment.free_front(store, horizon);
            self.idle.lock().segments.insert(0, segment);
            freed?;
        }
    }
}

impl Segment {
    /// A new writer goes on in the last page: that page is needed as long as the writer's own.
    fn begin(&mut self) {
        if let Some((_, until)) = self.pages.back_mut() {
            *until = IN_USE;
        }
    }

    /// Notes a change of a whole tree.
    pub(crate) fn wrote_all(&mut self, tree: u32) {
        self.writes.coarsen(tree);
    }

    /// Notes a change; beyond the memory budget, less exactly.
    pub(crate) fn wrote(&mut self, tree: u32, key: &[u8]) {
        self.writes.add(tree, key);
        if !self.meter.covers(self.writes.size_bytes()) {
            self.writes.coarsen(tree);
        }
    }

    /// Notes a page added at the end.
    pub(crate) fn added(&mut self, page: PageNo) {
        self.tail = Some(page);
        self.pages.push_back((page, IN_USE));
    }

    /// Latches what must point to a new last page: the present last page, or the segment's record.
    pub(crate) fn latch_link<'s, 'o>(&self, mtr: &mut Mtr<'s, 'o>) -> Result<PageSlot> {
        let page = self.tail.unwrap_or(ROOTS_PAGE);
        if let Some(slot) = mtr.find(PAGES_FILE, page) {
            return Ok(slot);
        }
        let guard = mtr.store().pool().exclusive(PAGES_FILE, Swip::new(page))?;
        Ok(mtr.add(guard))
    }

    /// Makes it point to `page`.
    pub(crate) fn link<'s, 'o>(&self, mtr: &mut Mtr<'s, 'o>, at: PageSlot, page: PageNo) -> Result<()> {
        match self.tail {
            Some(_) => mtr.op(at, PageOp::SlottedHeader { link: page.get(), aux: 0 }),
            None => mtr.op(at, self.set_record(Some(page))),
        }
    }

    fn set_record(&self, head: Option<PageNo>) -> PageOp<'static> {
        PageOp::FixedSet { index: self.number as usize, bytes: Cow::Owned(record(self.stream, head)) }
    }

    /// Frees an earlier open's pages, batch by batch; the record follows, so that a crash loses none.
    fn free_stale(&mut self, store: &Store, first: PageNo) -> Result<()> {
        let mut next = Some(first);
        while let Some(from) = next {
            let mut batch = Vec::new();
            let mut page = Some(from);
            while let Some(current) = page.filter(|_| batch.len() < FREE_BATCH) {
                page =
                    self.next_stale(store, current)?.filter(|next| !batch.contains(next) && *next != current);
                batch.push(current);
            }
            self.free_pages(store, &batch, page)?;
            next = page;
            self.stale = page;
        }
        Ok(())
    }

    /// The page after `page` of an earlier open. A page of somebody else is no part of the chain: it must not be freed.
    fn next_stale(&self, store: &Store, page: PageNo) -> Result<Option<PageNo>> {
        store.check_page(page)?;
        let guard = store.pool().shared(PAGES_FILE, Swip::new(page))?;
        let records = Slotted::new(guard.view());
        if !header::is_type(guard.view(), PageType::Undo) || records.owner() != u64::from(self.number) {
            let what = format!("undo segment {} leads to a page that is not its own", self.number);
            return Err(Error::corruption(what).at_page(page));
        }
        Ok(page_or_none(records.link()))
    }

    fn free_front(&mut self, store: &Store, horizon: Timestamp) -> Result<()> {
        let last = self.pages.len() - 1;
        let count =
            self.pages.iter().take(last.min(FREE_BATCH)).take_while(|(_, until)| *until <= horizon).count();
        let batch: Vec<PageNo> = self.pages.iter().take(count).map(|(page, _)| *page).collect();
        let rest = self.pages.get(count).map(|(page, _)| *page);
        trace::trim(&batch, || self.free_pages(store, &batch, rest))?;
        self.pages.drain(..count);
        Ok(())
    }

    fn free_pages(&self, store: &Store, pages: &[PageNo], rest: Option<PageNo>) -> Result<()> {
        // The pages are this segment's alone; their map pages are latched in rising order.
        let mut pages = pages.to_vec();
        pages.sort_unstable();
        let mut mtr = store.mtr(self.stream, MTR_BYTES)?;
        let slots = pages
            .iter()
            .map(|page| Ok(mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(*page))?)))
            .collect::<Result<Vec<_>>>()?;
        let roots = mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(ROOTS_PAGE))?);
        mtr.op(roots, self.set_record(rest))?;
        slots.into_iter().try_for_each(|slot| mtr.free(slot))?;
        mtr.commit();
        Ok(())
    }
}
