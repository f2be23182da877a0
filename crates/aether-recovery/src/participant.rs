//! Those who keep rows in memory and have the log make them durable.

use crate::rows::RowPart;
use crate::store::Store;
use aether_sync::Arc;
use aether_types::{Error, Lv, Result};

/// How far a participant has come when it was asked to let the log go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advance {
    /// It needs nothing below the bound.
    Reached,
    /// It has done a slice of the work, and there is more.
    Again,
    /// Another thread does it now.
    Busy,
    /// It cannot now. The log is kept for it; who asks goes on.
    Cannot,
}

/// Who has rows in memory that are redone from the log. What it keeps beside (an image, runs) says from where on.
pub trait Participant: Send + Sync + 'static {
    /// What reports call it.
    fn name(&self) -> &'static str;

    /// Takes in what a group did to rows of a stripe; false if the table is nobody's here. The parts of one stripe come
    /// one after the other, in any order: of the changes of a row the one with the highest number counts. The catalog cannot be
    /// read yet.
    ///
    /// # Errors
    /// `Corruption`; of the memory.
    fn redo(&self, part: &RowPart<'_>) -> Result<bool>;

    /// Lowers `start` to the first positions from which redo is needed. Asked after the claim positions of a checkpoint were
    /// read. Does not block for long, and for no I/O.
    fn floor(&self, start: &mut Lv);

    /// Does a slice of what it takes to need nothing below `bound`. Called without latches and locks; blocks for I/O.
    ///
    /// # Errors
    /// What ends writing, or is damage.
    fn advance(&self, bound: &Lv) -> Result<Advance>;

    /// Bytes beside the log that a restart reads for its rows.
    fn restart_bytes(&self) -> u64;
}

/// All participants of a store.
pub type Participants = Vec<Arc<dyn Participant>>;

impl Store {
    /// Hands a part to whoever has the table.
    pub(crate) fn redo_rows(&self, part: &RowPart<'_>) -> Result<()> {
        for participant in &self.participants {
            if participant.redo(part)? {
                return Ok(());
            }
        }
        let table = part.place.table;
        Err(Error::corruption(format!("the log has rows of table {table}, and nobody takes them")))
    }

    /// Lowers `start` to what the participants need.
    pub(crate) fn lower_to_floors(&self, start: &mut Lv) {
        self.participants.iter().for_each(|participant| participant.floor(start));
    }

    /// Has one participant do a slice of its work. Blocks; called without latches and locks.
    pub(crate) fn advance_floors(&self, bound: &Lv) -> Result<Advance> {
        for participant in &self.participants {
            match participant.advance(bound)? {
                Advance::Reached => {}
                Advance::Cannot => self.held_back.add(1),
                not_yet => return Ok(not_yet),
            }
        }
        Ok(Advance::Reached)
    }

    /// True if no participant needs anything below `bound`.
    pub(crate) fn is_let_go(&self, bound: &Lv) -> bool {
        let mut floor = *bound;
        self.lower_to_floors(&mut floor);
        floor == *bound
    }
}
