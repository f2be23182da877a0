//! Walks the book and reports every broken rule.

use super::book::Book;
use super::request::Request;

impl Book {
    /// Every broken rule, in words.
    pub(super) fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (resource, request) in self.queues.iter() {
            let mut say = |what: &str| problems.push(format!("{} on {resource}: {what}", request.owner));
            if self.stands_in_conflict(resource, request) {
                say("stands beside another whose mode excludes it");
            }
            if let Some(want) = request.waiting() {
                if !self.queues.is_blocked(request.owner, resource, &want) {
                    say("waits for nobody");
                }
                if self.waits.get(&want.turn).is_none_or(|wait| wait.0 != request.owner) {
                    say("waits without a turn");
                }
            }
            if !self.holders.contains_key(&request.owner) {
                say("has no owner");
            }
            if request.is_empty() {
                say("is empty");
            }
        }
        if self.queues.is_empty() && !self.waits.is_empty() {
            problems.push("a turn without a request".into());
        }
        problems
    }

    fn stands_in_conflict(&self, resource: &super::Resource, request: &Request) -> bool {
        let Some(mode) = request.standing() else { return false };
        let others = self.queues.rivals(resource).filter(|(_, other)| other.owner != request.owner);
        others.filter_map(|(_, other)| other.standing()).any(|other| !other.is_compatible(mode))
    }
}
