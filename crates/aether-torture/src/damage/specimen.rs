//! The stores that are damaged: small, of several shapes, with the states that each may show.

use super::design::Design;
use super::harm::Harm;
use super::maker::{Maker, files};
use crate::model::State;
use crate::oracle::Verdict;
use crate::world::World;
use aether_sim::Fault;
use aether_sync::Arc;
use std::collections::BTreeMap;

/// Files by name.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// A store at rest.
pub struct Specimen {
    /// Its name.
    pub name: String,
    /// It was closed cleanly.
    pub closed: bool,
    /// The size of its pages.
    pub page_bytes: u64,
    /// The machine that it lies on.
    pub world: World,
    /// Its files.
    pub files: Files,
    /// Its files at earlier moments, oldest first.
    pub older: Vec<Files>,
    /// Every state that it was ever in.
    pub history: Vec<Arc<State>>,
    /// What it may show if the last flush of a stream, or the last two, are taken for torn.
    excused: [Vec<Arc<State>>; 2],
    /// The file of every write that was made to it.
    pub writes: Vec<String>,
    design: &'static Design,
    seed: u64,
}

/// A write that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// It lands nowhere.
    Lost(u64),
    /// It lands beside its place.
    Misplaced(u64),
}

impl Slip {
    /// How many flushes of the log it can damage.
    fn flushes(self) -> usize {
        match self {
            Self::Lost(_) => 1,
            Self::Misplaced(_) => 2,
        }
    }

    fn fault(self) -> Fault {
        match self {
            Self::Lost(nth) => Fault::LoseWrite { nth },
            Self::Misplaced(nth) => Fault::Misdirect { nth },
        }
    }
}

impl Specimen {
    /// Makes a store of this kind; closes it, or stops in mid-work.
    ///
    /// # Errors
    /// What the engine reports, in words.
    pub fn make(design: &'static Design, seed: u64, closed: bool) -> Verdict<Self> {
        let mut maker = Maker::new(design, seed);
        maker.make(closed)?;
        let (world, writes) =
            (maker.rest.take().unwrap_or_else(|| maker.world.at_rest()), maker.world.writes());
        let excused = [maker.excused(closed, 1), maker.excused(closed, 2)];
        let (files, older) = (files(&world)?, maker.older);
        let history = maker.states;
        let (name, page_bytes) = (design.store_name(closed), design.page_bytes as u64);
        Ok(Self { name, closed, page_bytes, world, files, older, history, excused, writes, design, seed })
    }

    /// The same store once more, with a write that goes wrong: the machine, the states that it may show, and the error
    /// that ended the work before its time, if one did.
    pub fn with_slip(&self, slip: Slip) -> (World, Vec<Arc<State>>, Option<String>) {
        let mut maker = Maker::new(self.design, self.seed);
        maker.world.sim.inject(slip.fault());
        let ended = maker.make(self.closed).err();
        let states = match ended {
            Some(_) => maker.unproved(slip.flushes()),
            None => maker.excused(self.closed, slip.flushes()),
        };
        let world = maker.rest.take().unwrap_or_else(|| maker.world.at_rest());
        (world, states, ended)
    }

    /// The states that it may show after harm to a file, the right one last.
    pub fn permitted(&self, file: &str, harm: &Harm) -> &[Arc<State>] {
        match harm {
            _ if !file.starts_with("log-") => &self.history[self.history.len() - 1..],
            Harm::Swap(..) => &self.excused[1],
            Harm::StaleFile(_) if !self.closed => &self.history,
            _ => &self.excused[0],
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }
}
