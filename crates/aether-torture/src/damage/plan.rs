//! Which cases there are, and which of them are examined.
//!
//! Every file of every store has, for each kind of harm, a row of cases. A sample takes the same number of every
//! row, or all of a short one, so that a small file is not lost beside a large one.

use super::Settings;
use super::harm::{Filler, Harm};
use super::specimen::{Slip, Specimen};
use crate::rng::{Rng, derive};

/// Kinds of harm; each has a row of cases for each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flip,
    Fill(u64),
    Swap(u64),
    Copy(u64),
    Stale(u64),
    StaleFile,
    Cut,
    Extend,
    Remove,
    Empty,
    Lost,
    Misplaced,
}

const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;
const FILLERS: u64 = 3;
/// Lengths that a file is extended by.
const MORE: [u64; 4] = [1, 512, 4096, 1 << 20];

/// A row of cases.
struct Row {
    store: usize,
    file: String,
    size: u64,
    kind: Kind,
    count: u64,
    taken: u64,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number.
    pub number: u64,
    /// The number of the store.
    pub store: usize,
    /// The file.
    pub file: String,
    /// What happens.
    pub harm: Harm,
}

/// All stores and the cases to examine.
pub struct Plan {
    /// The stores.
    pub specimens: Vec<Specimen>,
    /// What follows from the seed besides.
    pub settings: Settings,
    rows: Vec<Row>,
}

impl Plan {
    /// Plans for these stores.
    pub fn new(specimens: Vec<Specimen>, settings: &Settings) -> Self {
        let mut rows: Vec<Row> =
            specimens.iter().enumerate().flat_map(|(store, specimen)| rows(store, specimen)).collect();
        let share = settings.cases.map_or(u64::MAX, |cases| share(&rows, cases));
        rows.iter_mut().for_each(|row| row.taken = row.count.min(share));
        Self { specimens, settings: settings.clone(), rows }
    }

    /// How many cases are examined.
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|row| row.taken).sum()
    }

    /// Case number `number` of those examined.
    pub fn case(&self, number: u64) -> Option<Case> {
        let mut left = number;
        for (index, row) in self.rows.iter().enumerate() {
            if left < row.taken {
                let seed = derive(self.settings.seed, (index as u64) << 32);
                // Evenly over the row, from a place that the seed decides.
                let unit = (left * row.count / row.taken + seed % row.count) % row.count;
                let specimen = &self.specimens[row.store];
                let harm = row.harm(unit, specimen, &mut Rng::new(derive(seed, unit)));
                let file = if row.size > 0 { &row.file } else { &specimen.writes[unit as usize] };
                return Some(Case { number, store: row.store, file: file.clone(), harm });
            }
            left -= row.taken;
        }
        None
    }
}

fn rows(store: usize, specimen: &Specimen) -> Vec<Row> {
    let mut kinds = vec![Kind::Flip, Kind::StaleFile, Kind::Cut, Kind::Extend, Kind::Remove, Kind::Empty];
    let mut lengths = vec![SECTOR, BLOCK, specimen.page_bytes];
    lengths.dedup();
    for length in lengths {
        kinds.extend([Kind::Fill(length), Kind::Swap(length), Kind::Copy(length), Kind::Stale(length)]);
    }
    let moments = specimen.older.len() as u64;
    let row = |file: &str, size: u64, kind: Kind, count| Row {
        store,
        file: file.to_owned(),
        size,
        kind,
        count,
        taken: 0,
    };
    let mut rows = Vec::new();
    for (file, bytes) in specimen.files.iter().filter(|(file, _)| *file != "lock") {
        let size = bytes.len() as u64;
        rows.extend(kinds.iter().map(|&kind| row(file, size, kind, kind.count(size, moments))));
    }
    rows.extend([Kind::Lost, Kind::Misplaced].map(|kind| row("", 0, kind, specimen.writes.len() as u64)));
    rows.retain(|row| row.count > 0);
    rows
}

/// How many of each row make about `cases` together.
fn share(rows: &[Row], cases: u64) -> u64 {
    let total = |share: u64| rows.iter().map(|row| row.count.min(share)).sum::<u64>();
    let (mut low, mut high) = (1, cases.max(1));
    while low < high {
        let middle = (low + high) / 2;
        if total(middle) >= cases { high = middle } else { low = middle + 1 }
    }
    low
}

impl Kind {
    fn count(self, size: u64, moments: u64) -> u64 {
        match self {
            Self::Flip => size * 8,
            Self::Fill(length) => size.div_ceil(length) * FILLERS,
            Self::Swap(length) | Self::Copy(length) => size.div_ceil(length),
            Self::Stale(length) => size.div_ceil(length) * moments,
            Self::StaleFile => moments,
            Self::Cut => size.div_ceil(SECTOR),
            Self::Extend => MORE.len() as u64 * FILLERS,
            Self::Remove | Self::Empty => 1,
            Self::Lost | Self::Misplaced => 0,
        }
    }
}

impl Row {
    fn harm(&self, unit: u64, specimen: &Specimen, rng: &mut Rng) -> Harm {
        match self.kind {
            Kind::Flip => Harm::Flip(unit),
            Kind::Fill(length) => Harm::Fill(unit / FILLERS * length, length, filler(unit, rng)),
            Kind::Swap(length) => Harm::Swap(unit * length, self.other(unit, length, rng), length),
            Kind::Copy(length) => Harm::Copy(unit * length, self.other(unit, length, rng), length),
            Kind::Stale(length) => {
                let moments = specimen.older.len() as u64;
                Harm::Stale(unit / moments * length, length, (unit % moments) as usize)
            }
            Kind::StaleFile => Harm::StaleFile(unit as usize),
            Kind::Cut => Harm::Cut(unit * SECTOR),
            Kind::Extend => Harm::Extend(MORE[(unit / FILLERS) as usize], filler(unit, rng)),
            Kind::Remove => Harm::Remove,
            Kind::Empty => Harm::Empty,
            Kind::Lost => Harm::Slip(Slip::Lost(unit)),
            Kind::Misplaced => Harm::Slip(Slip::Misplaced(unit)),
        }
    }

    /// Another piece of the file; as often as not a neighbour.
    fn other(&self, unit: u64, length: u64, rng: &mut Rng) -> u64 {
        let count = self.size.div_ceil(length);
        let far = rng.word() % count;
        (if rng.chance(50) { (unit + 1) % count } else { far }) * length
    }
}

fn filler(unit: u64, rng: &mut Rng) -> Filler {
    match unit % FILLERS {
        0 => Filler::Zeros,
        1 => Filler::Ones,
        _ => Filler::Garbage(rng.word()),
    }
}
