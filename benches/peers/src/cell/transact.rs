//! Transactions that read before they write.

use super::hammer::Done;
use super::{Bench, Tally};
use crate::engine::{Durability, Failure, Result, Transactions};
use crate::meter::Meter;
use crate::transact::{self, Business, Client, Kept};
use crate::workload::Task;
use std::time::Duration;

impl Bench<'_> {
    /// Loads, runs for a while unmeasured, then measured, and checks the books.
    pub(super) fn transacted(&self, store: &dyn Transactions) -> Result<(Tally, Meter)> {
        let Task::Transact(trade) = self.workload.task else {
            return Err(Failure::from("not a transactional workload"));
        };
        let business = transact::business(trade, self.scale);
        let kept: Vec<Kept> = (0..self.workload.threads).map(|_| Kept::default()).collect();
        business.load(self.engine)?;
        let time = self.scale.time(self.workload.task);
        self.clients(store, &*business, &kept, time / 8)?;
        self.engine.sync()?;
        let meter = Meter::start();
        let work = || self.clients(store, &*business, &kept, time);
        let tally = match self.workload.durability {
            Durability::EverySecond => self.synced_every_second(work)?,
            Durability::Each | Durability::Never => work()?,
        };
        self.engine.sync()?;
        business.check(self.engine, &kept)?;
        Ok((tally, meter))
    }

    fn clients(
        &self,
        store: &dyn Transactions,
        business: &dyn Business,
        kept: &[Kept],
        time: Duration,
    ) -> Result<Tally> {
        self.hammer(time, |thread| {
            let mut client = Client::new(thread as u32, time.as_nanos() as u64, &kept[thread as usize]);
            move || {
                let transact::Done { attempts, user_bytes } = business.step(store, &mut client)?;
                Ok(Done { operations: 1, attempts, user_bytes })
            }
        })
    }
}
