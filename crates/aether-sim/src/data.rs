//! One file: what is durable, what a reader sees, and the changes between the two, each of which a power cut may
//! keep, lose or tear.

use crate::content::{Content, SECTOR};
use crate::crash::{Chooser, Fate, Sectors};
use crate::rng::Rng;
use aether_sync::Arc;

/// A file. Copies share the bytes.
#[derive(Clone, Default)]
pub(crate) struct Data {
    durable: Arc<Content>,
    live: Arc<Content>,
    pending: Vec<Change>,
    /// A failed sync has dropped changes: readers see them, the disk never will.
    diverged: bool,
}

/// A change that no sync has covered.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) order: u64,
    /// A durable write among changes that are not: it survives.
    pub(crate) is_durable: bool,
    size_after: u64,
    what: What,
}

#[derive(Clone)]
enum What {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetSize,
}

impl Change {
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.what, What::Write { .. })
    }

    fn apply(&self, content: &mut Content) {
        match &self.what {
            What::Write { offset, bytes } => content.write(*offset, bytes),
            What::SetSize => {}
        }
        content.set_size(self.size_after);
    }

    /// Where this change alone makes the file at least this long.
    fn end(&self) -> u64 {
        match &self.what {
            What::Write { offset, bytes } => offset + bytes.len() as u64,
            What::SetSize => 0,
        }
    }
}

impl Data {
    pub(crate) fn live(&self) -> &Content {
        &self.live
    }

    pub(crate) fn pending(&self) -> &[Change] {
        &self.pending
    }

    pub(crate) fn write(&mut self, order: u64, offset: u64, bytes: &[u8], is_durable: bool) {
        if bytes.is_empty() {
            return;
        }
        Arc::make_mut(&mut self.live).write(offset, bytes);
        self.record(order, What::Write { offset, bytes: bytes.into() }, is_durable);
        if self.pending.iter().all(|change| change.is_durable) {
            self.sync();
        }
    }

    pub(crate) fn set_size(&mut self, order: u64, size: u64) {
        Arc::make_mut(&mut self.live).set_size(size);
        self.record(order, What::SetSize, false);
    }

    fn record(&mut self, order: u64, what: What, is_durable: bool) {
        self.pending.push(Change { order, is_durable, size_after: self.live.size(), what });
    }

    pub(crate) fn sync(&mut self) {
        if self.diverged {
            let durable = Arc::make_mut(&mut self.durable);
            self.pending.iter().for_each(|change| change.apply(durable));
        } else {
            self.durable = self.live.clone();
        }
        self.pending.clear();
    }

    /// What Linux does when a sync fails: the dirty bytes are marked clean and stay in the cache only.
    pub(crate) fn drop_dirty(&mut self) {
        self.diverged |= !self.pending.is_empty();
        let is_durable = |change: &Change| change.is_durable;
        let kept: Vec<Change> = self.pending.drain(..).filter(is_durable).collect();
        kept.iter().for_each(|change| change.apply(Arc::make_mut(&mut self.durable)));
    }

    /// Damages what is stored and what is seen.
    pub(crate) fn flip(&mut self, byte: u64, bit: u8) {
        Arc::make_mut(&mut self.durable).flip(byte, bit);
        Arc::make_mut(&mut self.live).flip(byte, bit);
    }

    /// What a power cut leaves.
    pub(crate) fn survivor(&self, chooser: &mut Chooser) -> Self {
        let fates: Vec<Fate> = self.pending.iter().map(|change| chooser.fate(change)).collect();
        let keeps_all = fates.iter().all(|fate| fate.sectors == Sectors::All && fate.size);
        let content = if keeps_all && !self.diverged && !self.pending.is_empty() {
            self.live.clone()
        } else if self.pending.is_empty() {
            self.durable.clone()
        } else {
            Arc::new(self.mixed(&fates, chooser.garbage()))
        };
        Self { durable: content.clone(), live: content, pending: Vec::new(), diverged: false }
    }

    /// Replays the changes beside the image, so that a sector that survives is the whole sector as it was after its
    /// change: a disk writes sectors, and earlier changes of the same sector travel along.
    fn mixed(&self, fates: &[Fate], garbage: Option<Rng>) -> Content {
        let mut seen = (*self.durable).clone();
        let mut image = (*self.durable).clone();
        let size = self.surviving_size(fates);
        if let Some(mut rng) = garbage {
            let mut grown = vec![0; size.saturating_sub(image.size()) as usize];
            rng.fill(&mut grown);
            image.poke(image.size(), &grown);
        }
        for (change, fate) in self.pending.iter().zip(fates) {
            change.apply(&mut seen);
            match &change.what {
                What::Write { offset, bytes } => keep(&mut image, &seen, *offset, bytes.len() as u64, fate),
                What::SetSize if fate.size => image.cut(change.size_after),
                What::SetSize => {}
            }
        }
        image.set_size(size);
        image
    }

    fn surviving_size(&self, fates: &[Fate]) -> u64 {
        let mut size = self.durable.size();
        for (change, fate) in self.pending.iter().zip(fates) {
            if fate.size && !change.is_durable {
                size = change.size_after;
            } else if change.is_durable {
                size = size.max(change.end());
            }
        }
        size
    }
}

/// Takes over the sectors of one write that survive it.
fn keep(image: &mut Content, seen: &Content, offset: u64, len: u64, fate: &Fate) {
    let start = offset / SECTOR * SECTOR;
    let end = (offset + len).next_multiple_of(SECTOR);
    match &fate.sectors {
        Sectors::All => image.copy_range(seen, start, end - start),
        Sectors::None => {}
        Sectors::Some(rng) => {
            let mut rng = rng.clone();
            let sectors = (start..end).step_by(SECTOR as usize);
            sectors.filter(|_| rng.coin()).for_each(|sector| image.copy_range(seen, sector, SECTOR));
        }
        Sectors::Zeroed(rng) => {
            let mut rng = rng.clone();
            image.copy_range(seen, start, end - start);
            for sector in (start..end).step_by(SECTOR as usize).filter(|_| rng.coin()) {
                let from = sector.max(offset);
                let until = (sector + SECTOR).min(offset + len);
                image.poke(from, &vec![0; (until - from) as usize]);
            }
        }
    }
}
