//! What the book tells of its steps, in numbers, to whoever holds traces against `tla/lock_manager`.

use super::book::{Asked, Book};
use super::mode::LockMode;
use super::resource::Resource;
use aether_types::{Result, TxnId};

impl Book {
    /// Of a request: who, on what, in which mode, whether it has it (0), waits (1) or was refused (2), how many wait now.
    /// Nothing of one that failed.
    pub(super) fn told_of_request(
        &self,
        owner: TxnId,
        resource: &Resource,
        mode: LockMode,
        asked: &Result<Asked>,
    ) -> Option<[u64; 5]> {
        let holder = self.holders.get(&owner)?;
        let outcome = match asked.as_ref().ok()? {
            Asked::Has | Asked::Tentative => 0,
            Asked::Waits if holder.denied.is_some() => 2,
            Asked::Waits => u64::from(holder.waits_at.is_some()),
        };
        Some([owner.get(), number(resource), 1 + mode as u64, outcome, self.waits.len() as u64])
    }

    /// Who has taken a step, and how many wait now.
    pub(super) fn told_of(&self, owner: TxnId) -> [u64; 2] {
        [owner.get(), self.waits.len() as u64]
    }
}

/// Tells resources apart that do not overlap: keys by their first byte.
fn number(resource: &Resource) -> u64 {
    let tree = u64::from(resource.tree().unwrap_or_default());
    match resource {
        Resource::Database => 0,
        Resource::Keyspace(_) => 1 << 40 | tree,
        Resource::Range { .. } => 2 << 40 | tree,
        Resource::Key { key, .. } => {
            3 << 40 | tree << 8 | u64::from(key.first().copied().unwrap_or_default())
        }
    }
}
