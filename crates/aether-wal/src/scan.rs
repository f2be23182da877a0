//! What an earlier open left: a read-only look at the log, cut back to its largest consistent cut.

use crate::config::{Incarnation, WalConfig};
use crate::cut;
use crate::home::Home;
use crate::pieces::{Pieces, Tail};
use crate::records::{Record, Records, Span};
use crate::segment::{NUMBER_END, Name};
use crate::segments::Found;
use crate::walk::{Walked, walk};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Error, Lsn, Lv, Result, StoreId, StreamId};
use aether_vfs::Env;
use std::path::Path;

/// A look at the log of an earlier open. Writes nothing.
pub struct Scan {
    home: Arc<Home>,
    incarnations: Vec<Incarnation>,
    streams: Vec<Pieces>,
    walked: Vec<Option<Walked>>,
    clean_end: Option<Lv>,
    ends: Lv,
    cut: Lv,
}

/// Each is newer than the one before and begins above it, and above what it was cut back to.
fn check_incarnations(incarnations: &[Incarnation]) -> Result<()> {
    let possible = incarnations.iter().all(|each| each.is_below(NUMBER_END) && each.start.covers(&each.cut));
    let follows = |older: &Incarnation, newer: &Incarnation| {
        older.epoch < newer.epoch && newer.start.covers(&older.start)
    };
    if possible && incarnations.is_sorted_by(follows) {
        return Ok(());
    }
    Err(Error::corruption("the incarnations of the log, as the control file has them, cannot be"))
}

/// The end of a stream that must be written anew before anything else (L1).
pub(crate) struct Rewrite {
    pub(crate) stream: StreamId,
    pub(crate) epoch: u64,
    pub(crate) tail: Tail,
    pub(crate) cut: u64,
}

impl Scan {
    /// Looks at the log in `home`; blocks.
    ///
    /// `incarnations` are all that the retained log touches, oldest first, as the control file has them; redo
    /// starts at `from`, which was durable when it was chosen; `clean_end` is the end of every stream if
    /// the store was closed cleanly.
    ///
    /// # Errors
    /// `Corruption` if bytes that were durable are missing or damaged; of the files if they cannot be read.
    pub fn open(
        env: &Env,
        home: &Path,
        store: StoreId,
        config: &WalConfig,
        incarnations: &[Incarnation],
        from: &Lv,
        clean_end: Option<&Lv>,
    ) -> Result<Self> {
        config.check()?;
        check_incarnations(incarnations).map_err(|error| error.at_path(home))?;
        let home = Home::new(env, home, store);
        let names = home.list()?;
        let ids = (0..STREAMS_MAX as u8).map(StreamId::new);
        let streams: Vec<_> =
            ids.map(|id| Pieces::read(&home, id, &names, incarnations)).collect::<Result<_>>()?;
        let clean_end = clean_end.copied();
        let incarnations = incarnations.to_vec();
        let mut scan = Self {
            home,
            incarnations,
            streams,
            walked: Vec::new(),
            clean_end,
            ends: Lv::ZERO,
            cut: Lv::ZERO,
        };
        scan.walk_newest(from)?;
        scan.check_proofs()?;
        scan.find_cut();
        Ok(scan)
    }

    fn newest(&self) -> Option<&Incarnation> {
        self.incarnations.last()
    }

    fn walk_newest(&mut self, from: &Lv) -> Result<()> {
        let start = self.newest().map_or(Lv::ZERO, |newest| newest.start);
        let nowhere = from.iter(STREAMS_MAX).find(|(id, from)| from.get() > 0 && start.get(*id).get() == 0);
        if let Some((id, from)) = nowhere {
            let what = format!("redo starts at position {} of {id}, which has no log", from.get());
            return Err(Error::corruption(what).at_path(&self.home.path));
        }
        let Some(newest) = self.incarnations.last() else { return Ok(()) };
        for (pieces, (id, start)) in self.streams.iter().zip(newest.start.iter(STREAMS_MAX)) {
            let known = start > Lsn::new(0);
            let walked = if known { Some(walk(pieces, id, newest, from.get(id))?) } else { None };
            if let Some(walked) = walked.as_ref().filter(|walked| walked.end < from.get(id).get()) {
                let what =
                    format!("a bad log record below position {}, which was durable", from.get(id).get());
                return Err(pieces.damage(walked.end, what));
            }
            self.walked.push(walked);
        }
        Ok(())
    }

    /// Every end that was found must be at or beyond what was proved durable elsewhere.
    fn check_proofs(&self) -> Result<()> {
        let mut durable = Lv::ZERO;
        self.walked.iter().flatten().for_each(|walked| durable.join(&walked.durable));
        let found = self.walked.iter().zip(&self.streams).zip(durable.iter(STREAMS_MAX));
        for ((walked, pieces), (id, proved)) in found {
            let Some(walked) = walked else { continue };
            if walked.end < proved.get() {
                let what = format!(
                    "a bad log record, yet another stream shows that {id} was durable up to {}",
                    proved.get()
                );
                return Err(pieces.damage(walked.end, what));
            }
            if let Some(clean) =
                self.clean_end.map(|clean| clean.get(id).get()).filter(|clean| *clean != walked.end)
            {
                let what = format!("the log ends here, but it was closed cleanly at position {clean}");
                return Err(pieces.damage(walked.end, what));
            }
        }
        Ok(())
    }

    fn find_cut(&mut self) {
        let mut ends = self.newest().map_or(Lv::ZERO, |newest| newest.start);
        let mut durable = Lv::ZERO;
        let mut needs = Vec::new();
        for (walked, id) in self.walked.iter_mut().zip((0..).map(StreamId::new)) {
            let Some(walked) = walked else { continue };
            ends.set(id, Lsn::new(walked.end));
            durable.join(&walked.durable);
            needs.push((id, std::mem::take(&mut walked.needs)));
        }
        self.ends = ends;
        self.cut = if planted("no-cut") { ends } else { cut::largest(ends, &needs) };
        for (walked, pieces) in self.walked.iter_mut().zip(&mut self.streams) {
            let Some(walked) = walked else { continue };
            walked.durable = durable;
            pieces.tail = Some(walked.tail.clone());
        }
    }

    /// Fails if the cut is below `proved`, up to which the log is known to have been durable.
    ///
    /// # Errors
    /// `Corruption` naming the place where the log ends.
    pub fn check_durable(&self, proved: &Lv) -> Result<()> {
        let short = proved.iter(STREAMS_MAX).find(|(id, proved)| self.cut.get(*id) < *proved);
        let Some((id, proved)) = short else { return Ok(()) };
        let what = format!(
            "the log ends here, yet a page that was written shows that it was durable up to {proved}"
        );
        Err(self.damage(id, self.cut.get(id), &what))
    }

    /// An error at a position of a stream: names the file and the offset in it.
    pub fn damage(&self, stream: StreamId, at: Lsn, what: &str) -> Error {
        self.streams[usize::from(stream.get())].damage(at.get(), what)
    }

    /// The largest consistent cut (L5): everything below it is kept, everything above is void.
    pub fn cut(&self) -> Lv {
        self.cut
    }

    /// Where the readable log of each stream ends, within the cut or above it.
    pub fn ends(&self) -> Lv {
        self.ends
    }

    /// The streams that records may be in.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + use<> {
        let known = self.newest().map_or(Lv::ZERO, |newest| newest.start);
        (0..STREAMS_MAX as u8).map(StreamId::new).filter(move |id| known.get(*id).get() > 0)
    }

    /// The records of `stream` from `from`, a record boundary, up to the cut, in order; skips void ranges.
    ///
    /// # Errors
    /// `Corruption` if the log does not go back so far.
    pub fn records(&self, stream: StreamId, from: Lsn) -> Result<Records<'_>> {
        let ends = self.incarnations.iter().skip(1).map(|next| next.cut).chain([self.cut]);
        if let Some(oldest) = self.incarnations.first().filter(|oldest| from < oldest.cut.get(stream)) {
            let what =
                format!("position {} is below the oldest incarnation known, {}", from.get(), oldest.epoch);
            return Err(Error::corruption(what).at_path(&self.home.path));
        }
        let pieces = &self.streams[usize::from(stream.get())];
        let spans = self.incarnations.iter().zip(ends).filter_map(|(incarnation, end)| {
            let start = incarnation.start.get(stream);
            let (first, end) = (from.max(start).get(), end.get(stream).get());
            let (epoch, slv) = (incarnation.epoch, incarnation.start);
            (start.get() > 0 && first < end).then_some(Span { epoch, slv, first, end })
        });
        Ok(Records::new(pieces, stream, spans.collect()))
    }

    /// Calls `visit` for every one of [`Scan::records`]. Blocks; holds one record and a few hundred KiB at a time.
    ///
    /// # Errors
    /// `Corruption` if a record is bad; of the files; of `visit`.
    pub fn for_each(
        &self,
        stream: StreamId,
        from: Lsn,
        visit: &mut dyn FnMut(Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut records = self.records(stream, from)?;
        while let Some(record) = records.next()? {
            visit(record)?;
        }
        Ok(())
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(crate) fn found(&self, stream: StreamId) -> Found {
        self.streams[usize::from(stream.get())].found.clone()
    }

    /// The files that no incarnation needs.
    pub(crate) fn strays(&self) -> Vec<Name> {
        self.streams.iter().flat_map(|pieces| pieces.found.strays.iter().copied()).collect()
    }

    pub(crate) fn clean_end(&self) -> Option<Lv> {
        self.clean_end.or(self.incarnations.is_empty().then_some(Lv::ZERO))
    }

    pub(crate) fn epoch_max(&self) -> u64 {
        let known = self.newest().map_or(0, |newest| newest.epoch);
        self.streams.iter().map(|pieces| pieces.epoch_max).fold(known, u64::max)
    }

    /// Above every byte that can be readable in any stream; 0 where there never was one.
    pub(crate) fn ends_ever(&self) -> Lv {
        let mut ends = self.newest().map_or(Lv::ZERO, |newest| newest.start);
        for (pieces, id) in self.streams.iter().zip((0..).map(StreamId::new)) {
            ends.raise(id, Lsn::new(pieces.end_ever));
        }
        ends
    }

    /// What must be written anew: of each stream, what lies below the cut and is not proved durable.
    pub(crate) fn rewrites(&self) -> Vec<Rewrite> {
        let Some(newest) = self.newest().filter(|_| self.clean_end.is_none()) else { return Vec::new() };
        let walked = self.walked.iter().zip((0..).map(StreamId::new));
        let unproved = walked.filter_map(|(walked, id)| {
            let (walked, cut) = (walked.as_ref()?, self.cut.get(id).get());
            let proved = walked.durable.get(id).get().max(walked.tail.first);
            let tail = walked.tail.clone();
            (cut > proved).then_some(Rewrite { stream: id, epoch: newest.epoch, tail, cut })
        });
        unproved.collect()
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("incarnations", &self.incarnations)
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}
