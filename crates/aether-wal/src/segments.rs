//! The segment files of one stream: those in use, the next one, those kept free, the one in reserve.

use crate::config::WalConfig;
use crate::home::Home;
use crate::rank;
use crate::record::BLOCK_BYTES;
use crate::segment::{Header, NEXT_AT, Name};
use aether_sync::{Arc, Condvar, Mutex, MutexGuard};
use aether_types::{Error, ErrorKind, Result, StreamId};
use aether_vfs::File;
use std::collections::VecDeque;

/// What an earlier open left of a stream's files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The segments that the retained log lives in, oldest first.
    pub(crate) headers: Vec<Header>,
    /// Files kept free and their capacities.
    pub(crate) free: Vec<Free>,
    /// Segments that belong to no incarnation any more, or were never used by one.
    pub(crate) strays: Vec<Name>,
    /// One above every sequence number in use, and one above every number of a free file.
    pub(crate) sequence: u64,
    pub(crate) number: u64,
}

/// A file under a free name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Free {
    pub(crate) name: Name,
    pub(crate) capacity: u64,
}

/// Where the files end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Prepared {
    /// For everyone: a reserve segment in use is not counted until another follows it.
    pub(crate) ordinary: u64,
    /// For rollback and checkpoint.
    pub(crate) urgent: u64,
}

/// Why no further segment could be made.
pub(crate) enum Refused {
    /// The disk is full, and nothing has changed.
    Full(Error),
    /// A file operation failed half way.
    Failed(Error),
}

/// Where a position lies in the files.
pub(crate) struct Located {
    pub(crate) file: Arc<dyn File>,
    pub(crate) header: Header,
}

impl Located {
    pub(crate) fn offset(&self, position: u64) -> u64 {
        BLOCK_BYTES + position - self.header.first
    }
}

/// The segment files of one stream.
pub(crate) struct Segments {
    home: Arc<Home>,
    stream: StreamId,
    epoch: u64,
    config: WalConfig,
    state: Mutex<State>,
    made: Condvar,
}

struct Segment {
    header: Header,
    /// Open in this incarnation's own segments.
    file: Option<Arc<dyn File>>,
}

struct State {
    list: VecDeque<Segment>,
    /// Overridden by the rewrite, or free files of a stream that is not appended to.
    dead: Vec<Name>,
    free: Vec<Free>,
    reserve: Option<Free>,
    sequence: u64,
    number: u64,
    /// Where the next segment begins and how large it shall be.
    prepared: Prepared,
    plan: u64,
    making: bool,
    /// The last attempt to make a segment found the disk full: only those in need try again.
    full: bool,
}

impl Segments {
    pub(crate) fn new(
        home: Arc<Home>,
        stream: StreamId,
        epoch: u64,
        start: u64,
        found: Found,
        config: &WalConfig,
    ) -> Self {
        let list = found.headers.into_iter().map(|header| Segment { header, file: None }).collect();
        let plan = config.first_segment_bytes();
        let state = State {
            list,
            dead: Vec::new(),
            free: found.free,
            reserve: None,
            sequence: found.sequence,
            number: found.number,
            prepared: Prepared { ordinary: start, urgent: start },
            plan,
            making: false,
            full: false,
        };
        let state = Mutex::new(rank::SEGMENTS, state);
        Self { home, stream, epoch, config: config.clone(), state, made: Condvar::new() }
    }

    /// Writes `bytes`, whose first byte has position `first`, to a segment of its own that overrides whatever
    /// older segments hold from there on (L1: the rewrite).
    pub(crate) fn rewrite(&self, epoch: u64, first: u64, bytes: &[u8]) -> Result<()> {
        let capacity = (bytes.len() as u64).next_multiple_of(BLOCK_BYTES);
        let (name, sequence) = {
            let mut state = self.state.lock();
            (state.draw_name(self.stream), state.draw_sequence())
        };
        let header = Header { stream: self.stream, epoch, sequence, first, capacity };
        self.home.make(name, capacity, bytes)?;
        self.home.adopt(name, &header)?;
        let mut state = self.state.lock();
        let kept = state.list.partition_point(|segment| segment.header.first < first);
        let dead: Vec<_> = state.list.drain(kept..).collect();
        state.dead.extend(dead.iter().map(|segment| Name::Segment(self.stream, segment.header.sequence)));
        state.list.push_back(Segment { header, file: None });
        Ok(())
    }

    /// Removes what nobody needs any more. The next open finds again what could not be removed.
    pub(crate) fn remove_dead(&self) {
        let dead = std::mem::take(&mut self.state.lock().dead);
        dead.into_iter().for_each(|name| drop(self.home.remove(name)));
    }

    /// Makes the first segment of the incarnation, and the reserve if the stream is appended to; otherwise it is as
    /// small as it may be, and files kept free are not needed any more.
    pub(crate) fn begin(&self, active: bool) -> Result<()> {
        if !active {
            let mut state = self.state.lock();
            state.plan = BLOCK_BYTES;
            let free = std::mem::take(&mut state.free);
            state.dead.extend(free.into_iter().map(|free| free.name));
        }
        let wanted = self.prepared().urgent + 1;
        if active {
            self.ensure_reserve()?;
        }
        self.extend(wanted, false).map(drop).map_err(|refused| match refused {
            Refused::Full(error) | Refused::Failed(error) => error,
        })
    }

    /// Makes segments until they reach `wanted`; returns where they end. One at a time makes, the others
    /// wait; no lock is held meanwhile. If the disk is full, an urgent caller gets the reserve.
    pub(crate) fn extend(&self, wanted: u64, urgent: bool) -> Result<Prepared, Refused> {
        loop {
            let mut state = self.lock_to_make();
            let end = if urgent { state.prepared.urgent } else { state.prepared.ordinary };
            if end >= wanted {
                return Ok(state.prepared);
            }
            state.making = true;
            drop(state);
            let made = self.make_next(urgent);
            let mut state = self.state.lock();
            state.making = false;
            state.full = matches!(made, Err(Refused::Full(_)));
            self.made.notify_all();
            let (segment, reserve) = made?;
            state.push(segment, reserve, self.config.segment_capacity());
        }
    }

    fn lock_to_make(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while state.making {
            state = self.made.wait(state);
        }
        state
    }

    /// The next segment, and whether it was the reserve.
    fn make_next(&self, urgent: bool) -> Result<(Segment, bool), Refused> {
        let (free, reserve) = self.next_file(urgent)?;
        let header = {
            let mut state = self.state.lock();
            let (sequence, first) = (state.draw_sequence(), state.prepared.urgent);
            Header { stream: self.stream, epoch: self.epoch, sequence, first, capacity: free.capacity }
        };
        let file = self.home.adopt(free.name, &header).map_err(Refused::Failed)?;
        self.mark_before(&header).map_err(Refused::Failed)?;
        Ok((Segment { header, file: Some(file) }, reserve))
    }

    /// Notes in the segment before that `next` follows, before anything is written there: without the note nobody would
    /// miss it.
    fn mark_before(&self, next: &Header) -> Result<()> {
        let before = {
            let state = self.state.lock();
            let last = state.list.back();
            last.and_then(|segment| Some((segment.header, segment.file.clone()?)))
        };
        match before {
            Some((header, file)) => file.write_at(NEXT_AT, &header.encode_next(self.home.store, next)),
            None => Ok(()),
        }
    }

    /// A complete file for the next segment, and whether it was the reserve.
    fn next_file(&self, urgent: bool) -> Result<(Free, bool), Refused> {
        if let Some(free) = self.state.lock().free.pop() {
            return Ok((free, false));
        }
        match self.make_planned(urgent) {
            Ok(free) => Ok((free, false)),
            Err(error) if error.kind() != ErrorKind::Full => Err(Refused::Failed(error)),
            Err(error) if urgent => {
                let reserve = self.state.lock().reserve.take();
                reserve.map(|free| (free, true)).ok_or(Refused::Full(error))
            }
            Err(error) => Err(Refused::Full(error)),
        }
    }

    /// Makes a file of the size that is due, or, as the disk fills, of what still fits.
    fn make_planned(&self, urgent: bool) -> Result<Free> {
        let smallest = self.config.first_segment_bytes();
        let plan = self.state.lock().plan;
        if plan > BLOCK_BYTES && !urgent {
            self.ensure_reserve()?;
        }
        match self.make_free(plan) {
            Err(error) if error.kind() == ErrorKind::Full && plan > smallest => {
                // Trying the full size again and again would fill the disk each time.
                self.state.lock().plan = smallest;
                self.make_free(smallest)
            }
            made => made,
        }
    }

    fn ensure_reserve(&self) -> Result<()> {
        if self.state.lock().reserve.is_some() {
            return Ok(());
        }
        let capacity = self.config.reserve_segment_bytes();
        let found = {
            let mut state = self.state.lock();
            let at = state.free.iter().position(|free| free.capacity >= capacity);
            at.map(|at| state.free.swap_remove(at))
        };
        let reserve = found.map_or_else(|| self.make_free(capacity), Ok)?;
        self.state.lock().reserve = Some(reserve);
        Ok(())
    }

    fn make_free(&self, capacity: u64) -> Result<Free> {
        let name = self.state.lock().draw_name(self.stream);
        self.home.make(name, capacity, &[])?;
        Ok(Free { name, capacity })
    }

    /// The file of this incarnation that holds `position`. Positions are asked for in rising order: the files before
    /// are closed.
    pub(crate) fn locate(&self, position: u64) -> Option<Located> {
        let mut state = self.state.lock();
        let holds = |segment: &Segment| (segment.header.first..segment.header.end()).contains(&position);
        let index = state.list.iter().rposition(holds)?;
        state.list.iter_mut().take(index).for_each(|segment| segment.file = None);
        let segment = state.list.get(index)?;
        Some(Located { file: segment.file.clone()?, header: segment.header })
    }

    /// Whether the files end so soon after `position` that the next one should be made in the background.
    pub(crate) fn wants_next(&self, position: u64) -> Option<u64> {
        let state = self.state.lock();
        let last = state.list.back()?.header;
        (!state.making && !state.full && position >= last.first + last.capacity / 2).then_some(last.end() + 1)
    }

    /// Renames or removes the segments that lie wholly below `bound`; of this incarnation's own, so many
    /// bytes below it stay as one flush has at the most, so that a scan from `bound` finds a flush's start. Returns what
    /// [`recycle`](Self::recycle) gets once the directory is synced; none if there was nothing to do.
    pub(crate) fn retire_below(&self, bound: u64) -> Result<Option<Vec<Free>>> {
        let gone = self.take_below(bound);
        if gone.is_empty() {
            return Ok(None);
        }
        let mut recycled = Vec::new();
        for header in gone {
            recycled.extend(self.retire(&header, recycled.len())?);
        }
        Ok(Some(recycled))
    }

    /// Makes the names of the log's files durable. Blocks for the device.
    pub(crate) fn sync_names(&self) -> Result<()> {
        self.home.sync_dir()
    }

    /// True if there are files to reuse.
    pub(crate) fn has_free(&self) -> bool {
        !self.state.lock().free.is_empty()
    }

    /// Offers files for reuse: a file may get another header only once its segment name is surely gone.
    pub(crate) fn recycle(&self, free: Vec<Free>) {
        self.state.lock().free.extend(free);
    }

    fn take_below(&self, bound: u64) -> Vec<Header> {
        let margin = self.config.ring_bytes as u64;
        let mut state = self.state.lock();
        let mut gone = Vec::new();
        while let [first, second, ..] = &*state.list.make_contiguous() {
            let end = first.header.end().min(second.header.first);
            let bound = if first.header.epoch == self.epoch { bound.saturating_sub(margin) } else { bound };
            if end > bound {
                break;
            }
            gone.extend(state.list.pop_front().map(|segment| segment.header));
        }
        gone
    }

    fn retire(&self, header: &Header, pending: usize) -> Result<Option<Free>> {
        let name = Name::Segment(self.stream, header.sequence);
        let keep = {
            let mut state = self.state.lock();
            let wanted = header.capacity == self.config.segment_capacity();
            let room = state.free.len() + pending < self.config.recycle;
            (wanted && room).then(|| state.draw_name(self.stream))
        };
        match keep {
            Some(free) => {
                self.home.rename(name, free).map(|()| Some(Free { name: free, capacity: header.capacity }))
            }
            None => self.home.remove(name).map(|()| None),
        }
    }

    /// The lowest position that the files still hold.
    pub(crate) fn retained_from(&self) -> u64 {
        let state = self.state.lock();
        state.list.front().map_or(state.prepared.urgent, |segment| segment.header.first)
    }

    pub(crate) fn prepared(&self) -> Prepared {
        self.state.lock().prepared
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().list.len()
    }
}

impl State {
    fn draw_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    fn draw_name(&mut self, stream: StreamId) -> Name {
        self.number += 1;
        Name::Free(stream, self.number - 1)
    }

    fn push(&mut self, segment: Segment, reserve: bool, largest: u64) {
        self.prepared.urgent = segment.header.end();
        if !reserve {
            self.prepared.ordinary = self.prepared.urgent;
        }
        self.plan = (self.plan * 4).min(largest);
        self.list.push_back(segment);
    }
}
