//! Which steps are possible, and the states after them.

use super::{Conversion, End, Side, Step, TxnScript};
use crate::model::{Draft, Op, State};
use aether_sync::Arc;

/// Walks through steps and keeps what is possible.
#[derive(Default)]
pub(super) struct Planner {
    pub(super) state: State,
    pub(super) side: Vec<Op>,
}

impl Planner {
    pub(super) fn plan(&mut self, step: Step) -> Option<Step> {
        Some(match step {
            Step::Txn(txn) => Step::Txn(self.transaction(txn)),
            Step::Convert(conversion) => Step::Convert(self.conversion(conversion)?),
            Step::Side(side) => Step::Side(self.side(side)?),
            Step::Reopen(tuning) => {
                self.side.clear();
                Step::Reopen(tuning)
            }
            step => step,
        })
    }

    /// No keyspace can be a transaction's own while the side transaction has written there.
    fn transaction(&mut self, TxnScript { mut ops, end, .. }: TxnScript) -> TxnScript {
        ops.retain(|op| self.side.is_empty() || !op.is_bulk());
        let ops = possible(&mut Draft::new(self.state.clone()), ops);
        if end != End::Abort {
            self.state = self.state.after(&ops);
        }
        TxnScript { ops, end, after: Arc::new(self.state.clone()) }
    }

    /// Nor can a keyspace be converted then.
    fn conversion(&mut self, conversion: Conversion) -> Option<Conversion> {
        let Conversion { space, to, is_broken_off, mut during } = conversion;
        let kind = self.state.kinds.get(space)?;
        if *kind == to.index() || !self.side.is_empty() {
            return None;
        }
        // The catalog's row of the keyspace is the conversion's.
        during.ops.retain(|op| !matches!(op, Op::Create(..) | Op::Drop(_)));
        let during = self.transaction(during);
        if !is_broken_off {
            self.state = self.state.converted(space, to);
        }
        Some(Conversion { space, to, is_broken_off, during })
    }

    fn side(&mut self, side: Side) -> Option<Side> {
        match side {
            Side::Calls(mut ops) => {
                ops.retain(|op| !op.is_bulk());
                let mut draft = Draft::new(self.state.clone());
                self.side.iter().for_each(|op| draft.apply(op));
                let ops = possible(&mut draft, ops);
                self.side.extend(ops.iter().cloned());
                (!ops.is_empty()).then_some(Side::Calls(ops))
            }
            _ if self.side.is_empty() => None,
            Side::Commit(_) => {
                self.state = self.state.after(&core::mem::take(&mut self.side));
                Some(Side::Commit(Arc::new(self.state.clone())))
            }
            Side::Abort => {
                self.side.clear();
                Some(Side::Abort)
            }
        }
    }
}

fn possible(draft: &mut Draft, ops: Vec<Op>) -> Vec<Op> {
    let mut permitted = |op: &Op| {
        let permits = draft.permits(op);
        if permits {
            draft.apply(op);
        }
        permits
    };
    ops.into_iter().filter(|op| permitted(op)).collect()
}
