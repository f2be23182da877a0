//! The records of one stream, one after the other.

use crate::pieces::{Pieces, Window};
use crate::record::FIRST_KIND;
use aether_types::{Lsn, Lv, Result, StreamId};
use core::ops::Range;
use std::collections::VecDeque;

/// A record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// Where it starts.
    pub lsn: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// The kind that it was appended with.
    pub kind: u8,
    /// The stream's accumulated vector at its end, as far as it grew since the position that reading began at;
    /// what is missing was durable when that position was chosen.
    pub lv: Lv,
    /// The body that it was appended with.
    pub body: &'a [u8],
}

/// What an incarnation has of a stream.
pub(crate) struct Span {
    pub(crate) epoch: u64,
    /// The stream's accumulated vector where the incarnation begins.
    pub(crate) slv: Lv,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// Reads the records of a stream. Holds one of them and a few hundred KiB at a time.
pub struct Records<'s> {
    pieces: &'s Pieces,
    stream: StreamId,
    window: Window<'s>,
    /// The span being read, from where reading stands, and those to come.
    span: Span,
    rest: VecDeque<Span>,
}

/// A record as it lies in the window: where it begins, its kind, and where its body lies behind that.
struct Found {
    at: u64,
    kind: u8,
    body: Range<usize>,
}

impl<'s> Records<'s> {
    pub(crate) fn new(pieces: &'s Pieces, stream: StreamId, spans: VecDeque<Span>) -> Self {
        let span = Span { epoch: 0, slv: Lv::ZERO, first: 0, end: 0 };
        Self { pieces, stream, window: pieces.window(0, 0), span, rest: spans }
    }

    /// Everything below was read.
    pub fn position(&self) -> Lsn {
        Lsn::new(self.span.first)
    }

    /// The next record; none at the end. Blocks.
    ///
    /// # Errors
    /// `Corruption` if it is bad; of the files.
    #[allow(clippy::should_implement_trait, reason = "a record is lent, which an iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        let found = loop {
            match self.advance()? {
                None => return Ok(None),
                Some(found) if found.kind >= FIRST_KIND => break found,
                Some(_) => {}
            }
        };
        let body = self.window.bytes(found.at, found.body);
        let (lsn, end) = (Lsn::new(found.at), self.position());
        Ok(Some(Record { stream: self.stream, lsn, end, kind: found.kind, lv: self.span.slv, body }))
    }

    fn advance(&mut self) -> Result<Option<Found>> {
        while self.span.first >= self.span.end {
            let Some(next) = self.rest.pop_front() else { return Ok(None) };
            self.window = self.pieces.window(next.epoch, next.end);
            self.span = next;
        }
        let at = self.span.first;
        let Some((frame, _)) = self.window.record(at)? else {
            return Err(self.pieces.damage(at, "a bad log record where a durable one must be"));
        };
        let (kind, bytes, body_end) = (frame.kind, frame.bytes(), frame.body_end());
        let (lv, body) = frame.split().map_err(|error| self.pieces.damage(at, error.what()))?;
        let body = body_end - body.len()..body_end;
        self.span.first = at + bytes;
        self.span.slv.join(&lv);
        self.span.slv.set(self.stream, Lsn::new(self.span.first));
        Ok(Some(Found { at, kind, body }))
    }
}
