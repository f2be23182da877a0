//! Salvages a damaged store: what comes out is right, and what does not is named.

use crate::model::{Rows, State, show};
use crate::shape;
use crate::world::World;
use aether_kv::{ErrorKind, IndexKind, Lost, Salvaged, salvage};
use aether_sync::Arc;

/// What came out of a store.
#[derive(Default)]
struct Rescue {
    state: State,
    lost: Vec<Lost>,
    name: String,
    twice: Option<String>,
}

impl Rescue {
    fn take(&mut self, found: Salvaged<'_>) {
        match found {
            Salvaged::Keyspace(name) => {
                self.name = name.to_owned();
                self.state.spaces.entry(name.to_owned()).or_default();
            }
            Salvaged::Row { key, value } => {
                let rows = self.state.spaces.entry(self.name.clone()).or_default();
                if rows.insert(key.into(), value.into()).is_some() {
                    self.twice = Some(format!("salvage gives key {} twice", show(key)));
                }
            }
            Salvaged::Lost(lost) => self.lost.push(lost.clone()),
        }
    }

    /// Fails unless this is `state` but for what is named as lost.
    fn compare(&self, state: &State) -> Result<(), String> {
        // The name of a keyspace may be lost with the catalog's leaf.
        let is_unnamed = |rows: &Rows| {
            let others = self.state.spaces.iter().filter(|(name, _)| name.starts_with("tree-"));
            others.into_iter().any(|(name, got)| self.compare_rows(name, got, rows).is_ok())
        };
        for (name, rows) in &state.spaces {
            match self.state.spaces.get(name) {
                Some(got) => self.compare_rows(name, got, rows)?,
                None if rows.is_empty() || is_unnamed(rows) => {}
                None if self.is_nameless(name, state.kinds.get(name).copied()) => {}
                None => return Err(format!("keyspace {name} is missing")),
            }
        }
        Ok(())
    }

    fn compare_rows(&self, name: &str, got: &Rows, wanted: &Rows) -> Result<(), String> {
        if let Some((key, _)) = got.iter().find(|(key, value)| wanted.get(*key) != Some(value)) {
            return Err(format!("keyspace {name}: key {} is not as it should be", show(key)));
        }
        let missing = wanted.keys().find(|key| !got.contains_key(*key) && !self.is_lost(name, key));
        missing
            .map_or(Ok(()), |key| Err(format!("keyspace {name}: key {} is missing and not named", show(key))))
    }

    /// True if the catalog's row of a keyspace is named as lost, and pages that may have been all of it, or that it may have had none.
    fn is_nameless(&self, space: &str, kind: Option<IndexKind>) -> bool {
        let has_leaves = ![Some(IndexKind::SKIPLIST), Some(IndexKind::LSM)].contains(&kind);
        let may_be_all = |lost: &Lost| lost.keyspace.is_none() && (lost.page.is_some() || !has_leaves);
        self.is_lost("the catalog", format!("n{space}").as_bytes()) && self.lost.iter().any(may_be_all)
    }

    fn is_lost(&self, space: &str, key: &[u8]) -> bool {
        self.lost.iter().any(|lost| {
            lost.keyspace.as_deref() == Some(space)
                && lost.from.as_ref().is_none_or(|from| &from[..] <= key)
                && lost.to.as_ref().is_none_or(|to| key < &to[..])
        })
    }
}

/// Checks a salvage of `world`, which may show any of `states`. Of a store that cannot be opened, and is read without its
/// log, nothing is expected but that it ends.
pub(super) fn check(world: &World, states: &[Arc<State>]) -> Result<(), String> {
    let mut rescue = Rescue::default();
    let report = salvage(&world.sim.env(), shape::home(), world.options(), &mut |found| {
        rescue.take(found);
        Ok(())
    });
    match (report, rescue.twice.take()) {
        (_, Some(twice)) => Err(twice),
        (Ok(report), None) if report.unopened.is_none() => {
            let judged = states.iter().rev().map(|state| rescue.compare(state));
            judged.reduce(Result::or).unwrap_or(Ok(())).map_err(|what| format!("salvage: {what}"))
        }
        (Ok(_), None) => Ok(()),
        (Err(error), None) if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported) => {
            Ok(())
        }
        (Err(error), None) => Err(format!("salvage fails: {:?}: {error}", error.kind())),
    }
}
