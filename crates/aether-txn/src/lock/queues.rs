//! The queues, one for each resource that somebody has, or waits for, in the table.

use super::request::{Request, Want};
use super::resource::Resource;
use aether_sync::Arc;
use aether_types::TxnId;
use std::collections::BTreeMap;

/// All queues, in the order of their resources: what may overlap lies side by side.
#[derive(Default)]
pub(super) struct Queues(BTreeMap<Resource, Vec<Request>>);

impl Queues {
    pub(super) fn get(&self, resource: &Resource, owner: TxnId) -> Option<&Request> {
        self.0.get(resource)?.iter().find(|request| request.owner == owner)
    }

    /// Replaces an owner's request; one that is empty is taken out.
    pub(super) fn put(&mut self, resource: &Resource, request: Request) {
        if request.is_empty() {
            return self.take_out(resource, request.owner);
        }
        let queue = match self.0.get_mut(resource) {
            Some(queue) => queue,
            None => self.0.entry(resource.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        match queue.iter_mut().find(|known| known.owner == request.owner) {
            Some(known) => *known = request,
            None => queue.push(request),
        }
    }

    fn take_out(&mut self, resource: &Resource, owner: TxnId) {
        let Some(queue) = self.0.get_mut(resource) else { return };
        queue.retain(|request| request.owner != owner);
        if queue.is_empty() {
            self.0.remove(resource);
        }
    }

    /// Every request on what overlaps `resource`.
    pub(super) fn rivals<'q>(
        &'q self,
        resource: &'q Resource,
    ) -> impl Iterator<Item = (&'q Resource, &'q Request)> + 'q {
        let (exact, ranges, keys) = self.places(resource);
        exact
            .into_iter()
            .chain(ranges.into_iter().flatten())
            .chain(keys.into_iter().flatten())
            .filter(|(other, _)| resource.overlaps(other))
            .flat_map(|(other, queue)| queue.iter().map(move |request| (other, request)))
    }

    /// Where they may lie: at the resource itself, among the tree's ranges, among the keys of a range.
    #[allow(clippy::type_complexity, reason = "three iterators of one map")]
    fn places<'q>(
        &'q self,
        resource: &'q Resource,
    ) -> (
        Option<(&'q Resource, &'q Vec<Request>)>,
        Option<impl Iterator<Item = (&'q Resource, &'q Vec<Request>)>>,
        Option<impl Iterator<Item = (&'q Resource, &'q Vec<Request>)>>,
    ) {
        let tree = resource.tree().filter(|_| resource.is_rows());
        let is_range = matches!(resource, Resource::Range { .. });
        let exact = if is_range { None } else { self.0.get_key_value(resource) };
        (exact, tree.map(|tree| self.ranges(tree)), self.keys_of(resource))
    }

    fn ranges(&self, tree: u32) -> impl Iterator<Item = (&Resource, &Vec<Request>)> {
        let first = Resource::Range { tree, from: Arc::default(), to: None };
        self.0.range(first..).take_while(
            move |(other, _)| matches!(other, Resource::Range { tree: other, .. } if *other == tree),
        )
    }

    fn keys_of<'q>(
        &'q self,
        range: &'q Resource,
    ) -> Option<impl Iterator<Item = (&'q Resource, &'q Vec<Request>)>> {
        let Resource::Range { tree, from, .. } = range else { return None };
        let first = Resource::Key { tree: *tree, key: from.clone() };
        Some(self.0.range(first..).take_while(|(other, _)| range.overlaps(other)))
    }

    /// The owners, without repetition, that `want` of `owner` must wait for.
    pub(super) fn blockers(&self, owner: TxnId, resource: &Resource, want: &Want) -> Vec<TxnId> {
        let mut found = Vec::new();
        for (_, request) in self.rivals(resource) {
            if request.owner != owner && request.blocks(want) && !found.contains(&request.owner) {
                found.push(request.owner);
            }
        }
        found
    }

    /// Must `want` of `owner` wait?
    pub(super) fn is_blocked(&self, owner: TxnId, resource: &Resource, want: &Want) -> bool {
        self.rivals(resource).any(|(_, request)| request.owner != owner && request.blocks(want))
    }

    /// Does `owner` have anything here already?
    pub(super) fn has_foothold(&self, owner: TxnId, resource: &Resource) -> bool {
        self.rivals(resource).any(|(_, request)| request.owner == owner && request.held().is_some())
    }

    /// True if nobody has or wants anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Resource, &Request)> {
        self.0.iter().flat_map(|(resource, queue)| queue.iter().map(move |request| (resource, request)))
    }
}
