//! The table's book: who has what, who waits. Plain data, used under the table's mutex; it never waits.
//!
//! What must hold between any two calls:
//! 1. No two owners stand on overlapping resources in incompatible modes.
//! 2. Nobody waits who is blocked by nobody.
//! 3. What a transaction asked for is in its history, in order, so that a savepoint can take it back.
//! 4. The watches count what the queues hold, and the account is charged for it.

use super::mode::LockMode;
use super::owner::LockOwner;
use super::queues::Queues;
use super::report::Cycle;
use super::request::{Part, Phase, Request, Want, join};
use super::resource::Resource;
use super::watch::Watches;
use crate::state::TxnState;
use aether_recovery::wal::buffer::Account;
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Result, TxnId};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Bytes that one entry is charged with, besides its keys: a place in a queue of its own, and in its owner's history.
pub const ENTRY_BYTES: u64 = 288;

/// Cycles remembered.
const CYCLES_MAX: usize = 16;

/// What became of a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// It has it.
    Has,
    /// It stands, but writers without an entry must be looked for.
    Tentative,
    /// Others are before it.
    Waits,
}

/// One transaction with entries.
pub(super) struct Holder {
    pub(super) state: Arc<TxnState>,
    /// What it asked for and got, oldest first, each with what it had asked for there before.
    history: Vec<(Resource, Option<LockMode>)>,
    /// Where it has entries that its writing stands for.
    written: Vec<Resource>,
    /// Where its thread waits, or is about to.
    pub(super) waits_at: Option<Resource>,
    /// The cycle whose victim it is, until it is told.
    pub(super) denied: Option<Arc<Cycle>>,
}

impl Holder {
    fn owner(&self) -> &LockOwner {
        self.state.lock_owner()
    }
}

pub(super) struct Book {
    pub(super) queues: Queues,
    pub(super) holders: HashMap<TxnId, Holder>,
    /// Every want that waits, by turn.
    pub(super) waits: BTreeMap<u64, (TxnId, Resource)>,
    pub(super) cycles: VecDeque<Arc<Cycle>>,
    watches: Arc<Watches>,
    account: Account,
    turns: u64,
}

impl Book {
    pub(super) fn new(watches: Arc<Watches>, account: Account) -> Self {
        Self {
            queues: Queues::default(),
            holders: HashMap::new(),
            waits: BTreeMap::new(),
            cycles: VecDeque::new(),
            watches,
            account,
            turns: 0,
        }
    }

    /// The owner may have entries from now on. False if it has ended.
    pub(super) fn try_adopt(&mut self, state: &Arc<TxnState>) -> bool {
        if !state.lock_owner().try_adopt() {
            return false;
        }
        self.holders.entry(state.id()).or_insert_with(|| Holder {
            state: state.clone(),
            history: Vec::new(),
            written: Vec::new(),
            waits_at: None,
            denied: None,
        });
        true
    }

    pub(super) fn request(&self, owner: TxnId, resource: &Resource) -> Request {
        self.queues.get(resource, owner).copied().unwrap_or_else(|| Request::new(owner))
    }

    /// Puts a request in its place, with all that is counted. Fails only when it is new.
    fn put(&mut self, resource: &Resource, request: Request) -> Result<()> {
        let before = self.request(request.owner, resource);
        let bytes = ENTRY_BYTES + resource.key_bytes() as u64;
        match (before.is_empty(), request.is_empty()) {
            (true, false) => {
                self.account.charge(bytes)?;
                self.watches.add_entry(resource);
            }
            (false, true) => {
                self.account.release(bytes);
                self.watches.remove_entry(resource);
            }
            _ => {}
        }
        self.watches.note_strength(resource, before.is_strong(), request.is_strong());
        if let Some(want) = before.waiting() {
            self.waits.remove(&want.turn);
        }
        if let Some(want) = request.waiting() {
            self.waits.insert(want.turn, (request.owner, resource.clone()));
        }
        self.queues.put(resource, request);
        Ok(())
    }

    /// Puts back a request that is there.
    fn update(&mut self, resource: &Resource, request: Request) {
        self.put(resource, request).expect("only a new entry is charged for");
    }

    /// `owner`, adopted, wants `mode` too.
    pub(super) fn ask(
        &mut self,
        owner: TxnId,
        resource: &Resource,
        mode: LockMode,
        part: Part,
    ) -> Result<Asked> {
        match self.wish(owner, resource, mode, part) {
            Some(request) => self.enter(resource, request),
            None => Ok(Asked::Has),
        }
    }

    /// The request that `owner` makes who wants `mode` too; none if it has that.
    pub(super) fn wish(
        &self,
        owner: TxnId,
        resource: &Resource,
        mode: LockMode,
        part: Part,
    ) -> Option<Request> {
        let mut request = self.request(owner, resource);
        let has = if part == Part::Asked { request.asked } else { request.held() };
        if has.is_some_and(|held| held.covers(mode)) {
            return None;
        }
        let before = request.get(part).filter(|_| !planted("convert-to-what-was-asked"));
        let mode = join(before, Some(mode)).unwrap_or(mode);
        let has_something = request.held().is_some() || self.queues.has_foothold(owner, resource);
        let is_conversion = has_something && !planted("convert-behind-others");
        let want =
            Want { mode, part, phase: Phase::Waiting, is_clean: false, is_conversion, turn: self.turns };
        request.want = Some(want);
        Some(request)
    }

    /// A request with a want takes its place.
    pub(super) fn enter(&mut self, resource: &Resource, request: Request) -> Result<Asked> {
        let Request { owner, want: Some(want), .. } = request else { return Ok(Asked::Has) };
        self.turns += 1;
        self.put(resource, request)?;
        if self.queues.is_blocked(owner, resource, &want) {
            self.holder(owner).waits_at = Some(resource.clone());
            return Ok(Asked::Waits);
        }
        self.grant(owner, resource);
        let is_settled = self.request(owner, resource).want.is_none();
        Ok(if is_settled { Asked::Has } else { Asked::Tentative })
    }

    pub(super) fn holder(&mut self, owner: TxnId) -> &mut Holder {
        self.holders.get_mut(&owner).expect("an owner with a request was adopted")
    }

    /// Nobody is before the want of `owner`.
    fn grant(&mut self, owner: TxnId, resource: &Resource) {
        let mut request = self.request(owner, resource);
        let Some(want) = &mut request.want else { return };
        want.phase = Phase::Tentative;
        // Above rows, who has a strong lock has found all writers, and no other has begun since.
        let has_searched = !resource.is_rows() && request.asked.is_some_and(LockMode::is_strong);
        let can_need_one = resource.is_rows() || want.mode.is_strong();
        let needs_search = want.part == Part::Asked && can_need_one && !has_searched;
        self.update(resource, request);
        if !needs_search {
            self.settle(owner, resource);
        }
        let holder = self.holder(owner);
        if holder.waits_at.as_ref() == Some(resource) {
            holder.waits_at = None;
            holder.owner().granted.notify_all();
        }
    }

    /// The owner of a tentative want is about to look for writers without an entry.
    pub(super) fn begin_search(&mut self, owner: TxnId, resource: &Resource) {
        let mut request = self.request(owner, resource);
        if let Some(want) = &mut request.want {
            want.is_clean = true;
        }
        self.update(resource, request);
    }

    /// Makes a lock of a tentative want whose owner has looked for writers and named them. False if it was pushed back
    /// meanwhile: who is in no need to wait for it may have written since, so it must look again, after a wait if
    /// there is one.
    pub(super) fn try_settle(&mut self, owner: TxnId, resource: &Resource) -> bool {
        let Some(want) = self.request(owner, resource).want else { return true };
        if want.phase == Phase::Waiting {
            self.holder(owner).waits_at = Some(resource.clone());
        } else if want.is_clean {
            self.settle(owner, resource);
            return true;
        }
        false
    }

    fn settle(&mut self, owner: TxnId, resource: &Resource) {
        let mut request = self.request(owner, resource);
        let Some(want) = request.want else { return };
        let before = request.get(want.part);
        request.set(want.part, Some(want.mode));
        request.want = None;
        self.update(resource, request);
        let holder = self.holder(owner);
        match want.part {
            Part::Asked => holder.history.push((resource.clone(), before)),
            Part::Written if before.is_none() => holder.written.push(resource.clone()),
            Part::Written => {}
        }
    }

    /// An entry for what a running writer has without one. Whoever stands against it only tentatively, or only
    /// because it was next, does so no longer. False if the writer has ended.
    pub(super) fn put_written(
        &mut self,
        writer: &Arc<TxnState>,
        resource: &Resource,
        mode: LockMode,
    ) -> Result<bool> {
        let owner = writer.id();
        if !self.try_adopt(writer) {
            return Ok(false);
        }
        let mut request = self.request(owner, resource);
        let before = request.written;
        if before.is_some_and(|before| before.covers(mode)) {
            return Ok(true);
        }
        request.written = join(before, Some(mode));
        self.put(resource, request)?;
        if before.is_none() {
            self.holder(owner).written.push(resource.clone());
        }
        self.yield_to(owner, resource, mode);
        Ok(true)
    }

    fn yield_to(&mut self, owner: TxnId, resource: &Resource, mode: LockMode) {
        let stands = |request: &Request| {
            request.owner != owner && request.standing().is_some_and(|other| !other.is_compatible(mode))
        };
        let rivals = self.queues.rivals(resource).filter(|(_, request)| stands(request));
        let yielding: Vec<_> = rivals.map(|(other, request)| (other.clone(), *request)).collect();
        for (other, mut request) in yielding {
            if let Some(want) = &mut request.want {
                (want.phase, want.is_clean) = (Phase::Waiting, false);
            }
            if other.is_rows() {
                request.written = None;
            }
            self.update(&other, request);
            debug_assert!(!stands(&request), "a writer and a lock that excludes it: {other}");
        }
    }

    /// Takes a want back, granted tentatively or not.
    pub(super) fn cancel(&mut self, owner: TxnId, resource: &Resource) {
        let mut request = self.request(owner, resource);
        request.want = None;
        self.update(resource, request);
        self.holder(owner).waits_at = None;
        if !planted("leave-a-gap") {
            self.grant_all();
        }
    }

    /// Grants whatever is blocked by nobody. Granting blocks and frees nobody, so once through is enough.
    pub(super) fn grant_all(&mut self) {
        let free = |(owner, resource): &&(TxnId, Resource)| {
            let want = self.queues.get(resource, *owner).and_then(Request::waiting);
            want.is_some_and(|want| !self.queues.is_blocked(*owner, resource, &want))
        };
        let granted: Vec<_> = self.waits.values().filter(free).cloned().collect();
        granted.iter().for_each(|(owner, resource)| self.grant(*owner, resource));
    }

    /// Removes all that a transaction has.
    pub(super) fn remove(&mut self, owner: TxnId) {
        let Some(holder) = self.holders.remove(&owner) else { return };
        let waits_at = holder.waits_at.into_iter();
        let resources = holder.history.into_iter().map(|(resource, _)| resource);
        for resource in resources.chain(holder.written).chain(waits_at) {
            self.update(&resource, Request::new(owner));
        }
        self.grant_all();
    }

    /// How much a transaction has asked for and got.
    pub(super) fn mark(&self, owner: TxnId) -> usize {
        self.holders.get(&owner).map_or(0, |holder| holder.history.len())
    }

    /// Takes back what a transaction asked for since `mark`, and what its writing stands for on rows: who waits there
    /// looks at the rows again.
    pub(super) fn roll_back(&mut self, owner: TxnId, mark: usize) {
        let Some(holder) = self.holders.get_mut(&owner) else { return };
        let undone = holder.history.split_off(mark.min(holder.history.len()));
        let (rows, kept) = core::mem::take(&mut holder.written).into_iter().partition(Resource::is_rows);
        holder.written = kept;
        for (resource, before) in undone.into_iter().rev() {
            let request = self.request(owner, &resource);
            self.update(&resource, Request { asked: before, ..request });
        }
        let rows: Vec<Resource> = rows;
        for resource in rows {
            let request = self.request(owner, &resource);
            self.update(&resource, Request { written: None, ..request });
        }
        self.grant_all();
    }

    /// What a transaction has here, but rows that its writing stands for.
    pub(super) fn held_by(&self, owner: TxnId) -> Vec<(Resource, LockMode)> {
        let Some(holder) = self.holders.get(&owner) else { return Vec::new() };
        let asked = holder.history.iter().map(|(resource, _)| resource);
        let above = holder.written.iter().filter(|resource| !resource.is_rows());
        let mut resources: Vec<_> = asked.chain(above).collect();
        resources.sort_unstable();
        resources.dedup();
        let mode = |resource: &Resource| {
            let request = self.request(owner, resource);
            let held = if resource.is_rows() { request.asked } else { request.held() };
            Some((resource.clone(), held?))
        };
        resources.into_iter().filter_map(mode).collect()
    }

    pub(super) fn remember(&mut self, cycle: Arc<Cycle>) {
        if self.cycles.len() == CYCLES_MAX {
            self.cycles.pop_front();
        }
        self.cycles.push_back(cycle);
    }
}
