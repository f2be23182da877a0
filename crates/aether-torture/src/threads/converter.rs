//! A thread that converts the keyspaces while the others write.

use super::{ACCOUNTS, OWN};
use crate::kind::Kind;
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use aether_kv::{DbEnv, ErrorKind};
use aether_types::IndexKind;
use std::collections::BTreeMap;

/// In so many of a hundred runs something is converted.
const BUSY_PERCENT: usize = 35;

/// Conversions at the most.
const CONVERSIONS: usize = 3;

/// What the keyspaces may be.
#[derive(Debug)]
pub(super) struct Becoming {
    /// From the last kind acknowledged on, by keyspace.
    kinds: BTreeMap<&'static str, Vec<IndexKind>>,
    /// What ended the work.
    pub(super) error: Option<String>,
}

impl Becoming {
    /// As they were made.
    pub(super) fn new(own: Kind, accounts: Kind) -> Self {
        let kinds = [(OWN, own), (ACCOUNTS, accounts)];
        Self { kinds: kinds.map(|(name, kind)| (name, vec![kind.index()])).into(), error: None }
    }

    /// Checks what a store shows.
    pub(super) fn check(&self, shown: &BTreeMap<String, IndexKind>) -> Verdict<()> {
        self.kinds.iter().try_for_each(|(name, permitted)| match shown.get(*name) {
            Some(kind) if permitted.contains(kind) => Ok(()),
            kind => Err(format!("keyspace {name} is of {kind:?}, not of {permitted:?}")),
        })
    }

    fn newest(&self, name: &str) -> Option<IndexKind> {
        self.kinds.get(name)?.last().copied()
    }
}

/// The thread.
pub(super) struct Converter {
    env: DbEnv,
    rng: Rng,
    conversions: usize,
    becoming: Becoming,
}

impl Converter {
    /// One for keyspaces of these kinds; in most runs it does nothing.
    pub(super) fn new(env: &DbEnv, mut rng: Rng, becoming: Becoming) -> Self {
        let conversions = if rng.chance(BUSY_PERCENT) { rng.between(1, CONVERSIONS) } else { 0 };
        Self { env: env.clone(), rng, conversions, becoming }
    }

    /// One that does nothing.
    pub(super) fn idle(env: &DbEnv, becoming: Becoming) -> Self {
        Self { env: env.clone(), rng: Rng::new(0), conversions: 0, becoming }
    }

    /// Converts until all is done or the store fails. Blocks.
    pub(super) fn work(mut self) -> Becoming {
        for _ in 0..self.conversions {
            let name = if self.rng.chance(50) { OWN } else { ACCOUNTS };
            let to = Kind::draw(&mut self.rng, self.becoming.newest(name));
            if let Err(error) = self.convert(name, to) {
                self.becoming.error = Some(error);
                break;
            }
        }
        self.becoming
    }

    fn convert(&mut self, name: &'static str, to: Kind) -> Verdict<()> {
        let kinds = self.becoming.kinds.entry(name).or_default();
        kinds.push(to.index());
        let outcome = self.env.convert(name, to.options());
        match outcome {
            Ok(_) => {
                *kinds = vec![to.index()];
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::InDoubt => Err(failed("convert")(error)),
            Err(error) => {
                kinds.pop();
                let is_refusal = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Deadlock);
                if is_refusal { Ok(()) } else { Err(failed("convert")(error)) }
            }
        }
    }
}
